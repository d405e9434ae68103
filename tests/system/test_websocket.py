"""WebSocket where it meets the rest: mounts, adapters, reloads."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from tests.support.server import Server, serve

SITE = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"site"]
"""
ECHO = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"root", scope["root_path"].encode())]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SITE)
    (tmp_path / "echo.py").write_text(ECHO)
    return tmp_path


def url(server: Server, path: str) -> str:
    return server.url.replace("http", "ws") + path


def test_a_wsgi_application_on_an_async_worker_denies_with_403(project: Path) -> None:
    with serve("--worker-class", "asgi", "shop:app", cwd=project) as server:
        with pytest.raises(InvalidStatus) as denied:
            connect(url(server, "/"))
        assert denied.value.response.status_code == 403
        assert b"does not speak WebSocket" in denied.value.response.body
        assert httpx.get(server.url).text == "site"


def test_behind_mounts(project: Path) -> None:
    mounts = ("--mount", "/api=echo:app", "--mount", "/=shop:app", "--worker-class", "asgi")
    with serve(*mounts, cwd=project) as server:
        with connect(url(server, "/api/x")) as client:
            assert client.response is not None
            assert client.response.headers["root"] == "/api"
            client.send("hello")
            assert client.recv(10) == "hello"
        with pytest.raises(InvalidStatus) as denied:
            connect(url(server, "/elsewhere"))
        assert denied.value.response.status_code == 403


def test_between_pools(project: Path) -> None:
    """The pool that accepted the connection hands it over before it is answered."""
    (project / "greenuni.toml").write_text(
        'workers = 1\n[pools.api]\napp = "echo:app"\nmount = "/api"\n'
        '[pools.shop]\napp = "shop:app"\nmount = "/"\n'
    )
    with serve(cwd=project) as server:
        server.wait_for_log("Serving ", count=2)
        for _ in range(8):
            with connect(url(server, "/api/x")) as client:
                client.send("hello")
                assert client.recv(10) == "hello"
            assert httpx.get(server.url).text == "site"


def test_a_reload_closes_with_1012(project: Path) -> None:
    with serve("echo:app", cwd=project) as server, connect(url(server, "/")) as client:
        client.send("hello")
        assert client.recv(10) == "hello"
        server.signal(signal.SIGHUP)
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        with connect(url(server, "/")) as again:
            again.send("hello again")
            assert again.recv(10) == "hello again"
