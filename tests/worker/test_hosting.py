"""Which worker runs an application, and what is said of it. The adapters themselves: tests/bridge."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from greenuni.bridge import ASGIToWSGI, WSGIToASGI
from greenuni.config import Config
from greenuni.errors import AppLoadError, BootError, NoApplicationError
from greenuni.routing import parse_mount
from greenuni.shell import Application, Interface
from greenuni.worker.applications import load_application
from greenuni.worker.hosting import ADAPTER_THREADS, describe, host, needs_adapter

WSGI, ASGI3, ASGI2 = Interface.WSGI, Interface.ASGI3, Interface.ASGI2
LOG = logging.getLogger("tests.hosting")


def application(interface: Interface, name: str = "site") -> Application:
    def wsgi(environ: Any, start_response: Any) -> Any: ...

    async def asgi(scope: Any, receive: Any, send: Any) -> None: ...

    def asgi2(scope: Any) -> Any: ...

    found = {WSGI: wsgi, ASGI3: asgi, ASGI2: asgi2}[interface]
    return Application(found, interface, f"{name}:app", "Flask instance")


def mounted(**interfaces: Interface) -> Application:
    """``api=ASGI3`` is ``api:app`` at /api."""
    parts = tuple(
        (parse_mount(f"/{name}"), application(interface, name))
        for name, interface in interfaces.items()
    )
    is_wsgi = set(interfaces.values()) == {WSGI}
    return Application(None, WSGI if is_wsgi else ASGI3, "", "", parts)


@pytest.mark.parametrize(
    ("app", "worker_class", "adapter"),
    [
        (application(WSGI), "auto", None),
        (application(WSGI), "gthread", None),
        (application(WSGI), "asgi", WSGIToASGI),
        (application(ASGI3), "auto", None),
        (application(ASGI2), "asgi", None),
        (application(ASGI3), "sync", ASGIToWSGI),
        (application(ASGI2), "gthread", ASGIToWSGI),
    ],
)
def test_an_adapter_is_where_the_worker_is_of_the_other_interface(
    app: Application, worker_class: str, adapter: type[Any] | None
) -> None:
    hosted = host(app, Config(worker_class=worker_class), LOG)
    if adapter is None:
        assert hosted.application is app
        return
    assert isinstance(hosted.application.callable, adapter)
    assert hosted.application.interface is (ASGI3 if adapter is WSGIToASGI else WSGI)
    assert hosted.application.target == "site:app"


@pytest.mark.parametrize(
    ("app", "worker_class", "interface"),
    [
        (mounted(a=WSGI, b=WSGI), "auto", WSGI),
        (mounted(a=WSGI, b=ASGI3), "auto", ASGI3),
        (mounted(a=WSGI, b=ASGI2), "sync", WSGI),
        (mounted(a=WSGI), "asgi", ASGI3),
    ],
)
def test_several_run_in_one_worker(
    app: Application, worker_class: str, interface: Interface
) -> None:
    assert host(app, Config(worker_class=worker_class), LOG).application.interface is interface


@pytest.mark.parametrize("mount", [None, "/api"])
def test_an_adapter_logs_what_is_written_to_wsgi_errors(
    mount: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    def complain(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.errors"].write("something is odd\n")
        start_response("204 No Content", [])
        return []

    app = Application(complain, WSGI, "site:app", "function")
    if mount is not None:
        other = (parse_mount("/other"), application(ASGI3))
        app = Application(None, ASGI3, "", "", ((parse_mount(mount), app), other))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": f"{mount or ''}/",
        "query_string": b"",
        "headers": [],
    }
    done = {"type": "http.request", "body": b"", "more_body": False}

    async def receive() -> dict[str, Any]:
        return done

    async def send(message: dict[str, Any]) -> None: ...

    hosted = host(app, Config(worker_class="asgi"), LOG)
    anyio.run(hosted.application.callable, scope, receive, send)
    assert (LOG.name, logging.ERROR, "something is odd") in caplog.record_tuples


def test_threads_of_the_adapter() -> None:
    def threads(config: Config) -> int:
        return int(host(application(WSGI), config, LOG).application.callable.load.threads)

    assert threads(Config(worker_class="asgi")) == ADAPTER_THREADS
    given = {"threads": "command line --threads"}
    assert threads(Config(worker_class="asgi", threads=3, sources=given)) == 3
    assert threads(Config(worker_class="asgi", threads=1, sources=given)) == 1


@pytest.mark.parametrize(
    ("app", "settings", "loop", "text"),
    [
        (
            application(WSGI),
            {},
            "",
            "site:app, which is WSGI (Flask instance), with 1 sync worker; "
            "idle connections are kept for 75 s",
        ),
        (
            application(WSGI),
            {"workers": 4, "threads": 8, "keepalive": 0.5},
            "",
            "site:app, which is WSGI (Flask instance), with 4 gthread workers, 8 threads each; "
            "idle connections are kept for 0.5 s",
        ),
        (
            application(ASGI2),
            {"workers": 2},
            "uvloop",
            "site:app, which is ASGI 2 (Flask instance), with 2 asgi workers on uvloop; "
            "idle connections are kept for 75 s",
        ),
        (
            application(WSGI),
            {"worker_class": "asgi", "keepalive": 0},
            "trio",
            "site:app, which is WSGI (Flask instance), through the adapter, with 1 asgi worker on trio, "
            "32 threads each; idle connections are closed at once",
        ),
        (
            application(ASGI3),
            {"worker_class": "sync", "mount": "/api"},
            "",
            "site:app at /api, which is ASGI (Flask instance), through the adapter, with 1 sync worker; "
            "idle connections are kept for 75 s",
        ),
        (
            mounted(a=ASGI3, b=ASGI2, c=WSGI),
            {"mount": "/"},
            "uvloop",
            "a:app at /a, which is ASGI (Flask instance); b:app at /b, which is ASGI 2 (Flask instance); "
            "and c:app at /c, which is WSGI (Flask instance), through the adapter, "
            "with 1 asgi worker on uvloop, 32 threads each; idle connections are kept for 75 s",
        ),
        (
            mounted(a=WSGI),
            {"mount": "/x"},
            "",
            "a:app at /a below /x, which is WSGI (Flask instance), with 1 sync worker; "
            "idle connections are kept for 75 s",
        ),
    ],
)
def test_it_says_what_is_served_and_how(
    app: Application, settings: dict[str, Any], loop: str, text: str
) -> None:
    assert describe(app, Config(**settings), loop) == text


def test_who_needs_an_adapter() -> None:
    assert [needs_adapter(application(i), "wsgi") for i in (WSGI, ASGI3, ASGI2)] == [
        False,
        True,
        True,
    ]
    assert [needs_adapter(application(i), "asgi") for i in (WSGI, ASGI3, ASGI2)] == [
        True,
        False,
        False,
    ]


# Loading


def test_an_application_must_be_named() -> None:
    with pytest.raises(BootError, match="write greenuni module:attribute"):
        load_application(Config())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("hosted_site", "hosted_api"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "hosted_site.py").write_text("WORD = 'a'\ndef app(environ, start_response): ...")
    (tmp_path / "hosted_api.py").write_text("async def app(scope, receive, send): ...")
    return tmp_path


@pytest.mark.usefixtures("project")
def test_all_that_is_mounted_is_loaded() -> None:
    app = load_application(Config(mounts=("/api=hosted_api:app", "/=hosted_site")))
    assert [(str(mount), part.interface) for mount, part in app.mounted] == [
        ("/api", ASGI3),
        ("/", WSGI),
    ]
    assert app.interface is ASGI3
    assert app.interfaces == ("asgi", "wsgi")
    assert app.target == "/api=hosted_api:app, /=hosted_site"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        (
            {"mounts": ("/=hosted_site:app", "/api=hosted_apy:app")},
            AppLoadError,
            "mount /api: there is no module 'hosted_apy' in ",
        ),
        (
            {"mounts": ("/=hosted_site:WORD",)},
            NoApplicationError,
            "mount /: --mount (default): 'hosted_site:WORD' is not an application: a str instance",
        ),
        (
            {"wsgi_app": "hosted_site:WORD"},
            NoApplicationError,
            "wsgi_app (default): 'hosted_site:WORD' is not an application: a str instance",
        ),
    ],
)
def test_what_cannot_be_loaded_is_named(
    settings: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        load_application(Config(**settings))
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize(
    ("interface", "worker_class", "absent"),
    [
        ("WSGI", "auto", {"asyncio", "anyio", "greenuni.asgi", "greenuni.bridge"}),
        ("ASGI3", "auto", {"greenuni.wsgi", "greenuni.bridge"}),
        ("WSGI", "asgi", {"greenuni.wsgi"}),
        ("ASGI3", "sync", {"greenuni.asgi"}),
    ],
)
def test_only_what_is_needed_is_imported(
    interface: str, worker_class: str, absent: set[str]
) -> None:
    script = f"""
import logging
import sys
from greenuni.config import Config
from greenuni.shell import Application, Interface
from greenuni.worker.hosting import host
from greenuni.worker.life import find_shell
def app(*arguments): ...
app = Application(app, Interface.{interface}, "a:b", "c")
hosted = host(app, Config(worker_class="{worker_class}"), logging.getLogger())
find_shell(hosted.application)
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert not absent & set(done.stdout.split())
