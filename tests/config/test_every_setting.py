"""What holds for each setting of the table, tried on each: flag, file, precedence, bad values, default."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from greenuni.asgi import departure
from greenuni.config import SETTINGS, Config
from greenuni.config.declare import Alias, Applies, Setting
from greenuni.errors import ConfigError

Read = Callable[..., Config]


@dataclass(frozen=True)
class Example:
    """One value of a setting that is not its default, and one that it must refuse."""

    text: str  # on the command line; "" for a switch
    value: Any  # in Config
    bad: str | None = None  # text to refuse; None where every text will do
    other: str = ""  # another good text, to be overridden


EXAMPLES = {
    "wsgi_app": Example("main:app", "main:app", " ", "other:app"),
    "interface": Example("asgi", "asgi", "rsgi", "wsgi"),
    "mounts": Example("/api/=a:b", ("/api=a:b",), "a:b", "/=c:d"),
    "factory": Example("", True),
    "app_dir": Example("here", "here", "nowhere", "there"),
    "chdir": Example("here", None, "nowhere", "there"),
    "pythonpath": Example("lib,more", "lib,more", " ", "lib"),
    "raw_env": Example("A=1", ("A=1",), "A", "B=2"),
    "lifespan": Example("on", "on", "maybe", "off"),
    "loop": Example("asyncio", "asyncio", "libuv", "uvloop"),
    "async_backend": Example("trio", "trio", "curio", "asyncio"),
    "bind": Example("[::1]:80,unix:/x", ("[::1]:80", "unix:/x"), "host:port", "host:1"),
    "host": Example("::1", "::1", "127.0.0.1:80", "localhost"),
    "port": Example("8080", 8080, "65536", "8081"),
    "backlog": Example("64", 64, "0", "65"),
    "reuse_port": Example("", True),
    "workers": Example("3", 3, "0", "4"),
    "worker_class": Example("gthread", "gthread", "gevent", "sync"),
    "threads": Example("8", 8, "0", "9"),
    "worker_connections": Example("10", 10, "0", "11"),
    "max_requests": Example("1000", 1000, "-1", "2000"),
    "max_requests_jitter": Example("50", 50, "some", "60"),
    "max_worker_rss": Example("512M", 512 << 20, "much", "1G"),
    "max_worker_age": Example("3600", 3600.0, "-1", "60"),
    "surge": Example("2", 2, "0", "3"),
    "boot_retries": Example("0", 0, "-1", "3"),
    "preload_app": Example("", True),
    "reload": Example("", True),
    "timeout": Example("2.5", 2.5, "-1", "3"),
    "boot_timeout": Example("600", 600.0, "-1", "60"),
    "graceful_timeout": Example("0", 0.0, "long", "1"),
    "drain_delay": Example("3", 3.0, "-3", "4"),
    "stream_drain": Example("0", 0.0, "never", "1"),
    "shutdown_timeout": Example("8", 8.0, "", "9"),
    "keepalive": Example("5", 5.0, "nan", "6"),
    "header_timeout": Example("7", 7.0, "inf", "8"),
    "body_timeout": Example("9", 9.0, "", "10"),
    "body_min_rate": Example("1000", 1000, "0", "2000"),
    "send_timeout": Example("11", 11.0, "eleven", "12"),
    "request_timeout": Example("120", 120.0, "-1", "60"),
    "stream_idle_timeout": Example("45", 45.0, "soon", "46"),
    "queue_timeout": Example("15", 15.0, "-1", "16"),
    "priority": Example("/healthz,/ready", ("/healthz", "/ready"), "healthz", "/other"),
    "max_connections": Example("5000", 5000, "many", "1"),
    "sse_keepalive": Example("15", 15.0, "often", "16"),
    "on_disconnect": Example(
        "cancel:2,/chat=event", ("cancel:2", "/chat=event"), "chat=cancel", "event"
    ),
    "limit_request_line": Example("8190", 8190, "-1", "100"),
    "limit_request_fields": Example("50", 50, "32769", "60"),
    "limit_request_field_size": Example("0", 0, "1k", "1"),
    "limit_request_body": Example("0", 0, "2GB", "1"),
    "spool_memory": Example("1024", 1024, "1.5", "2048"),
    "spool_limit": Example("4096", 4096, "-5", "8192"),
    "tmp_upload_dir": Example("here", "here", "nowhere", "there"),
    "sendfile": Example("", False),
    "ws_max_size": Example("1024", 1024, "-1", "0"),
    "ws_max_queue": Example("1", 1, "0", "2"),
    "ws_ping_interval": Example("0", 0.0, "often", "5"),
    "ws_ping_timeout": Example("30", 30.0, "-1", "0"),
    "ws_per_message_deflate": Example("", False),
    "ws_drain_code": Example("1001", 1001, "1005", "1012"),
    "http_engine": Example("h11", "h11", "nginx", "auto"),
    "forwarded_allow_ips": Example("10.0.0.0/8, ::1", "10.0.0.0/8,::1", "10.0.0", "*"),
    "root_path": Example("/api/", "/api", "api", "/v2"),
    "user": Example("root", "root", "nobody-of-that-name", "0"),
    "group": Example("0", "0", "nobody-of-that-name", "root"),
    "umask": Example("027", 0o27, "1000", "0o22"),
    "pidfile": Example("run.pid", "run.pid", " ", "other.pid"),
    "proc_name": Example("shop", "shop", " ", "blog"),
    "accesslog": Example("-", "-", " ", "access.log"),
    "access_log_format": Example("json", "json", " ", "%(h)s"),
    "errorlog": Example("error.log", "error.log", " ", "-"),
    "loglevel": Example("DEBUG", "debug", "trace", "warn"),
    "logconfig": Example("log.ini", "log.ini", "missing.ini", "other.ini"),
    "logconfig_json": Example("log.json", "log.json", "missing.json", "other.json"),
    "capture_output": Example("", True),
}
ON_THE_COMMAND_LINE = [SETTINGS[name] for name in EXAMPLES]
WITH_A_VALUE = [setting for setting in ON_THE_COMMAND_LINE if EXAMPLES[setting.name].text]
BAD = [setting for setting in WITH_A_VALUE if EXAMPLES[setting.name].bad is not None]


def named(setting: Any) -> str:
    return setting.name if isinstance(setting, Setting) else str(setting)


def arguments(setting: Setting, text: str | None = None) -> list[str]:
    """Command line arguments that give the example's value, or ``text``."""
    if setting.name == "wsgi_app":
        return [text or EXAMPLES["wsgi_app"].text]
    if setting.is_switch:
        return [setting.off_flags[0] if setting.default else setting.flags[0]]
    return [f"{setting.flag}={EXAMPLES[setting.name].text if text is None else text}"]


def expected(setting: Setting, directory: Path) -> Any:
    return str(directory / "here") if setting.name == "chdir" else EXAMPLES[setting.name].value


@pytest.fixture(autouse=True)
def _paths(tmp_path: Path) -> None:
    """What the examples name."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    for name in ("log.ini", "other.ini", "log.json", "other.json"):
        (tmp_path / name).touch()


def test_every_setting_has_an_example() -> None:
    outside = {"config", "print_config", "check_config", "logconfig_dict"}
    outside |= {"mount", "signal_pool"}  # of pools, which files alone can tell of
    assert set(EXAMPLES) == set(SETTINGS) - outside


@pytest.mark.parametrize("setting", ON_THE_COMMAND_LINE, ids=named)
def test_flag_sets_value_and_source(setting: Setting, read: Read, tmp_path: Path) -> None:
    config = read(*arguments(setting))
    assert getattr(config, setting.name) == expected(setting, tmp_path)
    assert config.source_of(setting.name).startswith("command line ")


@pytest.mark.parametrize("setting", ON_THE_COMMAND_LINE, ids=named)
def test_every_spelling_of_the_flag_means_the_same(
    setting: Setting, read: Read, tmp_path: Path
) -> None:
    example = EXAMPLES[setting.name]
    for flag in setting.flags:
        config = read(flag) if setting.is_switch else read(flag, example.text)
        value = not setting.off_flags or flag not in setting.off_flags
        assert getattr(config, setting.name) == (
            value if setting.is_switch else expected(setting, tmp_path)
        )


@pytest.mark.parametrize("setting", ON_THE_COMMAND_LINE, ids=named)
def test_toml_key_sets_value_and_source(setting: Setting, read: Read, tmp_path: Path) -> None:
    example = EXAMPLES[setting.name]
    raw = example.value if setting.is_switch else example.text
    (tmp_path / "greenuni.toml").write_text(f"{setting.name} = {json.dumps(raw)}\n")
    config = read()
    assert getattr(config, setting.name) == expected(setting, tmp_path)
    assert config.source_of(setting.name) == "greenuni.toml"


@pytest.mark.parametrize("setting", ON_THE_COMMAND_LINE, ids=named)
def test_python_variable_sets_value_and_source(
    setting: Setting, read: Read, tmp_path: Path
) -> None:
    value = EXAMPLES[setting.name].value if setting.name != "chdir" else "here"
    (tmp_path / "greenuni.conf.py").write_text(f"{setting.name} = {value!r}\n")
    config = read()
    assert getattr(config, setting.name) == expected(setting, tmp_path)
    assert config.source_of(setting.name) == "greenuni.conf.py"


@pytest.mark.parametrize("setting", WITH_A_VALUE, ids=named)
def test_higher_source_wins(setting: Setting, read: Read, tmp_path: Path) -> None:
    example = EXAMPLES[setting.name]
    (tmp_path / "greenuni.toml").write_text(f"{setting.name} = {json.dumps(example.other)}\n")
    in_environment = {"GREENUNI_CMD_ARGS": " ".join(arguments(setting, example.other))}
    from_file = getattr(read(), setting.name)
    from_command_line = read(*arguments(setting), environ=in_environment)
    assert getattr(from_command_line, setting.name) == expected(setting, tmp_path)
    (tmp_path / "greenuni.toml").write_text(f"{setting.name} = {json.dumps(example.text)}\n")
    from_environment = read(environ=in_environment)
    assert getattr(from_environment, setting.name) == from_file
    assert from_environment.source_of(setting.name).startswith("GREENUNI_CMD_ARGS ")


@pytest.mark.parametrize("setting", BAD, ids=named)
def test_bad_value_is_refused_with_its_place(setting: Setting, read: Read, tmp_path: Path) -> None:
    bad = EXAMPLES[setting.name].bad
    subject = "APP" if setting.name == "wsgi_app" else setting.flag
    with pytest.raises(ConfigError, match=f"^{subject}\\b") as on_command_line:
        read(*arguments(setting, bad))
    assert "\n" not in str(on_command_line.value)
    (tmp_path / "greenuni.toml").write_text(f"{setting.name} = {json.dumps(bad)}\n")
    with pytest.raises(ConfigError, match=r"greenuni\.toml"):
        read()


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=named)
def test_default_is_a_good_value(setting: Setting) -> None:
    assert getattr(Config(), setting.name) == setting.default
    if setting.default not in (None, ""):
        assert setting.parse(setting.default) == setting.default


@pytest.mark.parametrize(
    ("setting", "alias"), [(s, a) for s in SETTINGS.values() for a in s.aliases], ids=named
)
def test_alias_of_another_server_is_understood(setting: Setting, alias: Alias, read: Read) -> None:
    if alias.constant:
        assert getattr(read(alias.flag), setting.name) == alias.constant[0]
        return
    text = {"--uds": "/x", "--fd": "3"}.get(alias.flag, EXAMPLES[setting.name].text)
    config = read(alias.flag, text)
    assert config.source_of(setting.name) == f"command line {alias.flag}"
    if alias.is_rename:
        assert getattr(config, setting.name) == getattr(read(setting.flag, text), setting.name)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=named)
def test_declaration_is_complete(setting: Setting) -> None:
    assert not setting.help.endswith(".")
    assert setting.flags or setting.name in {"wsgi_app", "logconfig_dict", "mount", "signal_pool"}
    assert setting.applies in Applies


def test_help_tells_how_asgi_is_dismissed() -> None:
    """In the numbers that the server has, so that they cannot drift apart."""
    help = " ".join(SETTINGS["graceful_timeout"].help.split())
    assert f"http.disconnect {departure.DISMISS_BEFORE_END:g} s before its end" in help
    assert f"cancelled {departure.CANCEL_BEFORE_END:g} s before" in help
    shared_out = departure.Departure.after(3.0, Config())
    assert shared_out.end - shared_out.dismiss_at == pytest.approx(3.0 / 2)
    assert shared_out.end - shared_out.cancel_at == pytest.approx(3.0 / 4)
    assert "under 4 s is shared out, a half and a quarter of it before" in help
