"""Any application on any worker, and several of them in one, over HTTP."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, serve, wait_until

SITE = """
import os, threading
GO = threading.Event()
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        GO.wait(0.1)
    body = f"site v1 {environ['SCRIPT_NAME']}|{environ['PATH_INFO']} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
API = """
import os
class App:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        else:
            assert "ready" in scope["state"]
            text = f"api v1 {scope['root_path']}|{scope['path']} {os.getpid()}"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": text.encode()})
    async def live(self, receive, send):
        await receive()
        if os.environ.get("FAIL"):
            raise RuntimeError("no database")
        print(f"api up in {os.getpid()}", flush=True)
        self.state["ready"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print(f"api down in {os.getpid()}", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
async def app(scope, receive, send):
    instance = App()
    instance.state = scope["state"]
    await instance(scope, receive, send)
class Old:  # ASGI 2
    def __init__(self, scope):
        self.scope = scope
    async def __call__(self, receive, send):
        if self.scope["type"] != "http":
            raise ValueError("HTTP only")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"old " + self.scope["path"].encode()})
async def stuck(scope, receive, send):
    if scope["type"] == "lifespan":
        import anyio
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await anyio.sleep_forever()
"""
MOUNTS = ("--mount", "/api=api_app:app", "--mount", "/=site_app:app")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "site_app.py").write_text(SITE)
    (tmp_path / "api_app.py").write_text(API)
    return tmp_path


def words(server: Server, path: str, host: str = "x") -> list[str]:
    return httpx.get(server.url + path, headers={"host": host}).text.split()


@pytest.mark.parametrize(
    ("arguments", "words_of_answer", "banner"),
    [
        (
            "site_app:app -k asgi",
            ["site", "v1", "|/x"],
            r"site_app:app, which is WSGI \(function\), through the adapter, with 2 asgi workers",
        ),
        (
            "site_app:app -k asgi --async-backend trio --threads 2",
            ["site", "v1", "|/x"],
            "with 2 asgi workers on trio, 2 threads each",
        ),
        (
            "api_app:app -k sync",
            ["api", "v1", "|/x"],
            r"api_app:app, which is ASGI \(async function\), through the adapter, with 2 sync workers",
        ),
        (
            "api_app:app -k gthread --threads 3 --async-backend trio --lifespan on",
            ["api", "v1", "|/x"],
            "through the adapter, with 2 gthread workers, 3 threads each",
        ),
        (
            "api_app:Old -k gunicorn.workers.sync.SyncWorker",
            ["old", "/x"],
            r"which is ASGI 2 \(class Old\), through the adapter, with 2 sync workers",
        ),
        (
            "site_app:app -k uvicorn.workers.UvicornWorker --preload",
            ["site", "v1", "|/x"],
            "through the adapter, with 2 asgi workers",
        ),
    ],
)
def test_any_application_on_any_worker(
    arguments: str, words_of_answer: list[str], banner: str, project: Path
) -> None:
    with serve(*arguments.split(), "--workers", "2", cwd=project) as server:
        server.wait_for_log(banner)
        assert words(server, "/x")[: len(words_of_answer)] == words_of_answer
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "Traceback" not in server.log


@pytest.mark.parametrize("flags", ["", "-k sync", "-k gthread --threads 2", "--preload"])
def test_several_applications_from_the_same_workers(flags: str, project: Path) -> None:
    hosted = ("--mount", "api.example.com/v2=api_app:app")
    with serve(*MOUNTS, *hosted, "-w", "1", *flags.split(), cwd=project) as server:
        root = words(server, "/x")
        api = words(server, "/api/x")
        assert root[:3] == ["site", "v1", "|/x"]
        assert api[:3] == ["api", "v1", "/api|/api/x"]
        assert root[3] == api[3]  # one process
        assert words(server, "/apis")[2] == "|/apis"
        assert words(server, "/v2/x", "API.example.com:80")[2] == "/v2|/v2/x"
        assert words(server, "/v2/x", "www.example.com")[2] == "|/v2/x"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert server.log.count("api up in") == server.log.count("api down in") == 1


def test_what_is_mounted_nowhere_is_not_found(project: Path) -> None:
    with serve("--mount", "/api=api_app:app", "--root-path", "/outer", cwd=project) as server:
        assert httpx.get(server.url + "/x").status_code == 404
        assert words(server, "/outer/api/x")[2] == "/outer/api|/outer/api/x"
        assert words(server, "/api/x")[2] == "/outer/api|/outer/api/x"  # a proxy took it off


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("api_app:app", "-k", "sync"), "The application could not start: RuntimeError: no dat"),
        (
            MOUNTS,
            "The application could not start: api_app:app at /api: RuntimeError: no database",
        ),
        (
            (*MOUNTS, "-k", "sync"),
            "could not start: api_app:app at /api: RuntimeError: no database",
        ),
        (
            ("api_app:Old", "-k", "sync", "--lifespan", "on"),
            "has no lifespan (ValueError: HTTP only",
        ),
        (
            ("--mount", "/=api_app:Old", "--lifespan", "on"),
            "api_app:Old at / has no lifespan (ValueError: HTTP only), but it is asked for",
        ),
    ],
)
def test_a_lifespan_that_fails_stops_the_boot(
    arguments: tuple[str, ...], sentence: str, project: Path
) -> None:
    environment = {"FAIL": "1"}
    with serve(*arguments, "-w", "2", cwd=project, environment=environment, wait=False) as server:
        assert server.wait() == 3
    assert sentence in server.log
    assert server.log.count("Traceback") == 1


def test_without_a_lifespan_none_is_run(project: Path) -> None:
    with serve("api_app:Old", "-k", "sync", "--lifespan", "off", cwd=project) as server:
        assert words(server, "/x") == ["old", "/x"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_shutdown_that_does_not_end_is_abandoned(number: signal.Signals, project: Path) -> None:
    times = ("--graceful-timeout", "1", "--shutdown-timeout", "1")
    arguments = ("api_app:stuck", "-k", "sync", *times)
    with serve(*arguments, cwd=project) as server:
        server.signal(number)
        server.wait()
    assert "Abandoned, as it does not finish: the lifespan shutdown" in server.log
    assert "SIGKILL" not in server.log


def test_without_a_limit_a_shutdown_takes_its_time(project: Path) -> None:
    with serve("api_app:app", "-k", "sync", "--graceful-timeout", "0", cwd=project) as server:
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "api down in" in server.log


def test_hup_rolls_what_is_mounted(project: Path) -> None:
    (project / "greenuni.toml").write_text('[mounts]\n"/api" = "api_app:app"\n')
    with serve(cwd=project) as server:
        assert words(server, "/api/x")[1] == "v1"
        (project / "api_app.py").write_text(API.replace("v1", "v2"))
        (project / "greenuni.toml").write_text('mounts = ["/api=api_app:app", "/=site_app:app"]')
        server.signal(signal.SIGHUP)
        server.wait_for_log("Reloaded")
        assert words(server, "/api/x")[1] == "v2"
        assert words(server, "/x")[0] == "site"


def test_a_save_of_any_of_them_reloads_them(project: Path) -> None:
    with serve(*MOUNTS, "--reload", cwd=project) as server:
        (project / "site_app.py").write_text(SITE.replace("v1", "v2"))
        server.wait_for_log("Serving ", 2)
        assert words(server, "/x")[1] == "v2"


def test_a_pool_mounts_several(project: Path) -> None:
    (project / "greenuni.toml").write_text(
        '[pools.all]\nbind = "127.0.0.1:0"\n[pools.all.mounts]\n'
        '"/api" = "api_app:app"\n"/" = "site_app:app"\n'
    )
    with serve(cwd=project, bind=None) as server:
        assert words(server, "/api/x")[:3] == ["api", "v1", "/api|/api/x"]
        assert words(server, "/x")[:3] == ["site", "v1", "|/x"]
        assert "[all] Serving api_app:app at /api" in server.log


def test_a_slow_wsgi_call_on_an_asgi_worker_keeps_no_other_waiting(project: Path) -> None:
    (project / "site_app.py").write_text(
        SITE + "GATE = threading.Barrier(32)\n"
        "def together(environ, start_response):\n"
        "    GATE.wait(30)  # none returns before all have come\n"
        "    return app(environ, start_response)\n"
    )
    with serve("site_app:together", "-k", "asgi", cwd=project) as server:
        statuses: list[int] = []
        ask: Callable[[], None] = lambda: statuses.append(  # noqa: E731
            httpx.get(server.url + "/slow", timeout=30).status_code
        )
        clients = [threading.Thread(target=ask) for _ in range(32)]
        for client in clients:
            client.start()
        wait_until(lambda: statuses == [200] * 32, "all of them together", 30)
        for client in clients:
            client.join()
