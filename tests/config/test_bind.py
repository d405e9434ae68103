"""``bind`` against ``--host``, ``--port``, ``$PORT``, ``--uds`` and ``--fd``, from all sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.config import Config
from greenuni.errors import ConfigError

Read = Callable[..., Config]


@pytest.mark.parametrize(
    ("arguments", "port", "bind"),
    [
        ("", None, "127.0.0.1:8000"),
        ("--port 80", None, "127.0.0.1:80"),
        ("--host 0.0.0.0", None, "0.0.0.0:8000"),
        ("--host :: --port 80", None, "[::]:80"),
        ("--host [::1]", None, "[::1]:8000"),
        ("", "5000", "0.0.0.0:5000"),
        ("", "", "127.0.0.1:8000"),
        ("--host localhost", "5000", "localhost:5000"),
        ("--port 80", "5000", "127.0.0.1:80"),
        ("--bind a:1", "5000", "a:1"),
        ("-b a:1 -b b:2,c:3", None, "a:1 b:2 c:3"),
        ("--uds /run/x", "5000", "unix:/run/x"),
        ("--fd 3", None, "fd://3"),
        ("--uds /run/x --bind a:1", None, "unix:/run/x a:1"),
    ],
)
def test_what_is_bound(arguments: str, port: str | None, bind: str, read: Read) -> None:
    environ = {} if port is None else {"PORT": port}
    assert read(*arguments.split(), environ=environ).bind == tuple(bind.split())


def test_a_port_alone_does_not_open_to_everybody(read: Read) -> None:
    shown = [str(address) for address in read("-b", "9000", "-b", ":9001").addresses]
    assert shown == ["127.0.0.1:9000", "0.0.0.0:9001"]


def test_port_of_the_environment_beats_the_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('bind = "unix:/run/app.sock"')
    config = read(environ={"PORT": "5000"})
    assert config.bind == ("0.0.0.0:5000",)
    assert config.source_of("bind") == "environment PORT"


def test_command_line_port_beats_bind_of_the_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('bind = "unix:/run/app.sock"')
    config = read("--port", "80")
    assert config.bind == ("127.0.0.1:80",)
    assert config.source_of("bind") == "command line --port"


def test_bind_beats_host_of_a_lower_source(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('host = "10.0.0.1"\nport = 1')
    assert read("--bind", "a:1").bind == ("a:1",)
    assert read("--port", "2").bind == ("10.0.0.1:2",)


def test_a_host_below_bind_does_not_come_back(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('host = "10.0.0.1"')
    config = read("--port", "2", environ={"GREENUNI_CMD_ARGS": "--bind a:1"})
    assert config.bind == ("127.0.0.1:2",)


@pytest.mark.parametrize("arguments", ["--bind a:1 --port 80", "--host a --bind b:1"])
def test_bind_and_host_together_are_refused(arguments: str, read: Read) -> None:
    with pytest.raises(ConfigError, match=r"--(port|host) and --bind both say where to listen"):
        read(*arguments.split())


def test_in_one_toml_file_too(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text('bind = "a:1"\nport = 80')
    with pytest.raises(ConfigError, match=r"port in greenuni\.toml and bind in greenuni\.toml"):
        read()
