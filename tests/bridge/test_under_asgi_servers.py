"""WSGIToASGI under real servers, with real clients and a real framework."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import anyio
import flask
import httpx
import pytest

from greenuni.bridge import WSGIToASGI
from greenuni.bridge.interfaces import Environ, StartResponse
from tests.asgi.support import serving

from .support import PLAIN, SECONDS, Closing, run, wait_until

Running = Callable[[Any], AbstractContextManager[tuple[str, int]]]


def under_greenuni(backend: str) -> Running:
    @contextlib.contextmanager
    def running(app: Any) -> Iterator[tuple[str, int]]:
        with serving(app, backend, lifespan="on") as server:
            yield server.address

    return running


@contextlib.contextmanager
def under_uvicorn(app: Any) -> Iterator[tuple[str, int]]:
    uvicorn = pytest.importorskip("uvicorn")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws="none", lifespan="on", loop="asyncio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "uvicorn serves")
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        listener.close()
    assert not thread.is_alive()


SERVERS = {
    "greenuni-asyncio": under_greenuni("asyncio"),
    "greenuni-uvloop": under_greenuni("uvloop"),
    "greenuni-trio": under_greenuni("trio"),
    "uvicorn": under_uvicorn,
}


@pytest.fixture(params=SERVERS)
def running(request: pytest.FixtureRequest) -> Running:
    return SERVERS[request.param]


site = flask.Flask(__name__)


@site.get("/")
def index() -> str:
    return "Hello, world!"


@site.post("/echo")
def echo() -> bytes:
    return flask.request.get_data()


@site.post("/count")
def count() -> str:
    return str(sum(map(len, iter(lambda: flask.request.stream.read(65536), b""))))


@site.get("/stream")
def stream() -> Any:
    return (bytes([65 + number]) * 20_000 for number in range(20))


@site.get("/where/<name>")
def where(name: str) -> str:
    return f"{flask.request.script_root} {flask.request.path} {name}"


@site.get("/error")
def error() -> str:
    raise RuntimeError("on purpose")


def test_flask_is_served(running: Running) -> None:
    with (
        running(WSGIToASGI(site, threads=4)) as (host, port),
        httpx.Client(base_url=f"http://{host}:{port}", timeout=SECONDS) as client,
    ):
        for _ in range(3):
            response = client.get("/")
            assert (response.status_code, response.text) == (200, "Hello, world!")
        assert client.head("/").headers["content-length"] == "13"
        body = bytes(range(256)) * 2000
        assert client.post("/echo", content=body).content == body
        assert client.post("/count", content=[b"x" * 9999] * 50).text == str(9999 * 50)
        assert len(client.get("/stream").content) == 400_000
        assert client.get("/where/caf%C3%A9").text == " /where/caf\xe9 caf\xe9"
        assert client.get("/error").status_code == 500
        assert client.get("/").text == "Hello, world!"


def test_clients_that_leave_leave_no_thread_behind(running: Running) -> None:
    bodies: list[Closing] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(PLAIN))
        if environ["PATH_INFO"] == "/":
            return [b"well"]
        bodies.append(Closing(iter(lambda: bytes(16384), b"")))
        return bodies[-1]

    adapter = WSGIToASGI(app, threads=4)
    with running(adapter) as address:
        for _ in range(20):
            clients = [socket.create_connection(address, SECONDS) for _ in range(4)]
            for client in clients:
                client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                assert client.recv(100).startswith(b"HTTP/1.1 200")
                client.close()
        wait_until(lambda: adapter.load[:3] == (4, 0, 0), "every thread is free")
        assert len(bodies) == 80
        assert all(body.closed.is_set() for body in bodies)
        host, port = address
        assert httpx.get(f"http://{host}:{port}/").text == "well"


def test_a_body_that_breaks_off_is_not_taken_for_whole(running: Running) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"begun"
        raise RuntimeError("on purpose")

    with running(WSGIToASGI(app)) as (host, port), pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://{host}:{port}/")


def test_an_upload_that_breaks_off_raises_in_the_application(running: Running) -> None:
    raised: list[BaseException] = []
    done = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            raised.append(error)
            raise
        finally:
            done.set()
        raise AssertionError("the body came to an end")

    with running(WSGIToASGI(app)) as address:
        with socket.create_connection(address, SECONDS) as client:
            # More than a server reads before it calls the application.
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
            client.sendall(bytes(200_000))
        assert done.wait(SECONDS)
    assert len(raised) == 1


def test_httpx_calls_it_without_a_server(backend: str) -> None:
    async def main() -> None:
        transport = httpx.ASGITransport(WSGIToASGI(site))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/")).text == "Hello, world!"
            assert (await client.post("/echo", content=b"x" * 100_000)).content == b"x" * 100_000
            assert len((await client.get("/stream")).content) == 400_000
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.get, "/")

    run(backend, main)
