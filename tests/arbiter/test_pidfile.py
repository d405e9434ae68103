"""The pid file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from greenuni.arbiter.pidfile import PidFile
from greenuni.errors import ConfigError, GreenuniError


def dead_pid() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_it_holds_our_pid_and_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    file = PidFile(str(path))
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]
    file.remove()
    assert not path.exists()
    file.remove()


def test_a_server_that_runs_is_respected(tmp_path: Path) -> None:
    (tmp_path / "server.pid").write_text(f"{os.getppid()}\n")
    with pytest.raises(GreenuniError, match=f"process {os.getppid()} is this server already"):
        PidFile(str(tmp_path / "server.pid")).write()


@pytest.mark.parametrize("content", ["", "garbage", "DEAD"])
def test_what_is_stale_is_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "server.pid"
    path.write_text(str(dead_pid()) if content == "DEAD" else content)
    PidFile(str(path)).write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_the_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    path.write_text("1\n")
    PidFile(str(path)).remove()
    assert path.exists()


def test_a_directory_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write the pid file"):
        PidFile(str(tmp_path / "missing" / "server.pid")).write()
