"""What is judged of the whole configuration: exclusions, paths, the interface of the application."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni import build
from greenuni.config import (
    SETTINGS,
    Config,
    asks_for,
    check_applicable,
    render_config,
    render_given,
    worker_interface,
)
from greenuni.config.declare import Applies
from greenuni.errors import ConfigError

Read = Callable[..., Config]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "a:b --mount /=c:d",
            "'a:b' (command line APP) is one application too many beside --mount (command line --mount): "
            "mount it, too, or leave it out",
        ),
        ("--reload --preload", "--reload and --preload exclude each other: it is a worker"),
        ("--async-backend trio --loop uvloop", "--loop uvloop is a loop of asyncio"),
        ("--chdir nowhere", "--chdir (command line --chdir): '{here}/nowhere' is not a directory"),
        ("--chdir there --app-dir src", "'{here}/there/src' is not a directory"),
        ("--log-config log.yaml", "YAML is not read: write it as JSON for --log-config-json"),
        ("--log-config a.ini --log-config-json b", "logconfig and logconfig_json both configure"),
        ("--log-config a.ini", "'{here}/a.ini' cannot be read"),
        ("--user nobody-here", "--user (command line --user): there is no user 'nobody-here'"),
        ("--group nobody-here", "there is no group 'nobody-here'"),
    ],
)
def test_what_cannot_work_is_refused(
    arguments: str, sentence: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError) as refused:
        read(*arguments.split())
    assert sentence.format(here=tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "library"), [("--async-backend trio", "trio"), ("--loop uvloop", "uvloop")]
)
def test_library_that_is_not_installed_is_named(
    arguments: str, library: str, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(*arguments.split())
    monkeypatch.setitem(sys.modules, library, None)  # how Python marks what cannot be imported
    with pytest.raises(ConfigError, match=f"{library} is not installed: pip install {library}"):
        read(*arguments.split())


def test_compiled_engine_that_is_not_built_is_refused(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "compiled", lambda: True)
    assert read("--http-engine", "fast").http_engine == "fast"
    monkeypatch.setattr(build, "compiled", lambda: False)
    assert read("--http-engine", "auto").http_engine == "auto"
    with pytest.raises(ConfigError) as refused:
        read("--http-engine", "fast")
    assert str(refused.value) == (
        "--http-engine (command line --http-engine): fast needs the compiled modules: reinstall greenuni "
        "where a C compiler is (apt-get install gcc python3-dev), or use --http-engine auto"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root can enter every directory")
def test_directory_that_cannot_be_entered(read: Read, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(ConfigError, match="locked' cannot be entered"):
        read("--chdir", "locked")


def test_relative_paths_start_in_chdir(read: Read, tmp_path: Path) -> None:
    (tmp_path / "site" / "src").mkdir(parents=True)
    (tmp_path / "site" / "log.ini").touch()
    config = read("--chdir", "site", "--app-dir", "src", "--log-config", "log.ini")
    assert config.chdir == str(tmp_path / "site")
    assert (config.app_dir, config.logconfig) == ("src", "log.ini")


def test_reading_again_elsewhere_gives_the_same(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "greenuni.toml").write_text('chdir = "site"')
    first = read()
    monkeypatch.chdir(tmp_path / "site")
    assert read() == first


def test_json_log_configuration_in_uvicorns_spelling(read: Read, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text("{}")
    config = read("--log-config", "log.json")
    assert (config.logconfig, config.logconfig_json) == (None, "log.json")
    assert config.source_of("logconfig_json") == "command line --log-config"


def test_sync_with_threads_is_gthread(read: Read) -> None:
    assert read("-k", "sync", "--threads", "4").worker_class == "gthread"
    assert read("-k", "sync").worker_class == "sync"
    assert read("-k", "gthread").worker_class == "gthread"
    assert read("--threads", "4").worker_class == "auto"


# --- the interface ------------------------------------------------------------------------------

ONE_SIDED = [setting for setting in SETTINGS.values() if setting.applies is not Applies.BOTH]
VALUES = {
    "lifespan": "off",
    "loop": "asyncio",
    "async_backend": "trio",
    "threads": "4",
    "spool_memory": "1",
    "spool_limit": "1",
    "tmp_upload_dir": ".",
    "ws_max_size": "1",
    "ws_max_queue": "1",
    "ws_ping_interval": "1",
    "ws_ping_timeout": "1",
    "ws_per_message_deflate": "",
    "ws_drain_code": "1001",
    "on_disconnect": "cancel",
    "priority": "/healthz",
    "max_connections": "9",
    "shutdown_timeout": "9",
}


def test_every_one_sided_setting_is_tried() -> None:
    assert set(VALUES) == {setting.name for setting in ONE_SIDED}


@pytest.mark.parametrize("name", VALUES)
def test_setting_of_the_other_interface_is_refused(name: str, read: Read) -> None:
    setting = SETTINGS[name]
    flag = setting.off_flags[0] if setting.is_switch else setting.flag
    config = read(*filter(None, (flag, VALUES[name])))
    is_of_wsgi = setting.applies in (Applies.WSGI, Applies.WSGI_WORKER)
    own, other = ("wsgi", "asgi") if is_of_wsgi else ("asgi", "wsgi")
    check_applicable(config, own)
    with pytest.raises(ConfigError) as refused:
        check_applicable(config, other)
    assert str(refused.value) == (
        f"{setting.flag} (command line {flag}) applies to {setting.applies.value} only, "
        f"and this one is {other.upper()}: leave it out"
    )


def test_asgi2_is_asgi(read: Read) -> None:
    check_applicable(read("--loop", "asyncio"), "asgi2")
    with pytest.raises(ConfigError, match="--threads"):
        check_applicable(read("--threads", "2"), "asgi2")


@pytest.mark.parametrize("interface", ["wsgi", "asgi", "asgi2"])
def test_defaults_apply_to_everything_even_when_written(interface: str, read: Read) -> None:
    check_applicable(read(), interface)
    check_applicable(read("--threads", "1", "--lifespan", "auto", "-k", "auto"), interface)


@pytest.mark.parametrize(
    ("worker_class", "interfaces", "worker"),
    [
        ("auto", ["wsgi"], "wsgi"),
        ("auto", ["wsgi", "wsgi"], "wsgi"),
        ("auto", ["asgi"], "asgi"),
        ("auto", ["asgi2"], "asgi"),
        ("auto", ["wsgi", "asgi"], "asgi"),
        ("sync", ["asgi"], "wsgi"),
        ("gthread", ["asgi2", "wsgi"], "wsgi"),
        ("asgi", ["wsgi"], "asgi"),
        ("uvicorn.workers.UvicornWorker", ["wsgi"], "asgi"),
        ("gunicorn.workers.sync.SyncWorker", ["asgi"], "wsgi"),
    ],
)
def test_any_application_runs_on_any_worker(
    worker_class: str, interfaces: list[str], worker: str, read: Read
) -> None:
    config = read("-k", worker_class)
    check_applicable(config, *interfaces)
    assert worker_interface(config, *interfaces) == worker


@pytest.mark.parametrize(
    ("arguments", "interfaces", "refused"),
    [
        # a WSGI application in an asgi worker: its threads are the adapter's
        ("-k asgi --threads 8", ["wsgi"], None),
        ("-k asgi --loop asyncio", ["wsgi"], None),
        ("-k asgi --spool-memory 1", ["wsgi"], "--spool-memory"),
        ("-k asgi --lifespan on", ["wsgi"], "--lifespan"),
        # an ASGI application in a sync worker
        ("-k sync --threads 8", ["asgi"], None),
        ("-k sync --spool-memory 1", ["asgi"], None),
        ("-k sync --lifespan on --loop asyncio", ["asgi"], None),
        # both, side by side
        ("--threads 8 --lifespan on --loop asyncio", ["asgi", "wsgi"], None),
        ("--spool-memory 1", ["asgi", "wsgi"], "--spool-memory"),
        ("-k gthread --spool-memory 1 --lifespan on", ["asgi2", "wsgi"], None),
        ("-k gthread --lifespan on", ["wsgi", "wsgi"], "--lifespan"),
    ],
)
def test_what_applies_depends_on_application_and_worker(
    arguments: str, interfaces: list[str], refused: str | None, read: Read
) -> None:
    config = read(*arguments.split())
    if refused is None:
        check_applicable(config, *interfaces)
        return
    with pytest.raises(ConfigError, match=f"^{refused} .* applies to .* only, and this one is "):
        check_applicable(config, *interfaces)


# --- what is shown ------------------------------------------------------------------------------


def test_print_config_has_name_value_and_source(read: Read, tmp_path: Path) -> None:
    (tmp_path / "greenuni.toml").write_text("keepalive = 5")
    lines = [line.split() for line in render_config(read("-w", "auto")).splitlines()]
    assert ["keepalive", "5", "s", "greenuni.toml"] in lines
    assert ["backlog", "2048", "default"] in lines
    assert ["chdir", "none", "default"] in lines
    assert lines[-1][:3] == ["workers", "=", "auto:"]
    shown = {line[0] for line in lines if line}
    assert set(SETTINGS) - {"print_config", "check_config", "mount"} <= shown


def test_given_settings_are_listed_for_check_config(read: Read) -> None:
    config = read("main:app", "--check-config", "--timeout", "5")
    assert render_given(config) == (
        "  wsgi_app = main:app (command line APP)\n  timeout = 5 s (command line --timeout)"
    )


def test_commands_are_asked_for_on_the_command_line_and_in_the_variable() -> None:
    assert asks_for("print_config", ["--print-config"], {})
    assert asks_for("check_config", [], {"GREENUNI_CMD_ARGS": "--check-config"})
    assert not asks_for("check_config", ["main:app"], {})
    assert not asks_for(
        "check_config", ["--no-check-config"], {"GREENUNI_CMD_ARGS": "--check-config"}
    )


def test_config_shows_what_is_not_default(read: Read) -> None:
    assert repr(Config()) == "<Config of defaults>"
    assert repr(read("-w", "3")) == "<Config workers=3>"
