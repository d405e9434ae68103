"""ASGIToWSGI under real servers, with real clients and a real framework."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import httpx
import pytest

from greenuni.bridge import ASGIToWSGI
from tests.support.server import serve
from tests.wsgi import harness

from .starlette_app import events, new_app
from .support import SECONDS, wait_until

Running = Callable[[Any], AbstractContextManager[tuple[str, int]]]
ROOT = Path(__file__).parent.parent.parent
TARGET = "tests.bridge.starlette_app:application"


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def get_stderr(self) -> Any:
        return io.StringIO()


@contextlib.contextmanager
def under_wsgiref(app: Any) -> Iterator[tuple[str, int]]:
    """One request at a time, with the validator around the application."""
    with make_server(
        "127.0.0.1", 0, validator(app), WSGIServer, handler_class=QuietHandler
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join(SECONDS)


def under_greenuni(threads: int) -> Running:
    @contextlib.contextmanager
    def running(app: Any) -> Iterator[tuple[str, int]]:
        with harness.serving(app, threads=threads) as shell:
            yield shell.address

    return running


SERVERS = {
    "wsgiref": under_wsgiref,
    "greenuni-1": under_greenuni(1),
    "greenuni-4": under_greenuni(4),
}


@pytest.fixture(params=SERVERS)
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of new_app, under each server."""
    events.clear()
    adapter = ASGIToWSGI(new_app(), disconnect_grace=0.05)
    try:
        with (
            SERVERS[request.param](adapter) as (host, port),
            httpx.Client(base_url=f"http://{host}:{port}", timeout=SECONDS) as client,
        ):
            yield client
    finally:
        adapter.close()


def test_starlette_is_served(client: httpx.Client) -> None:
    for _ in range(3):
        assert client.get("/").text == "Hello, 7!"
    body = bytes(range(256)) * 2000
    assert client.post("/echo", content=body).content == body
    assert len(client.get("/numbers").content) == 400_000
    assert client.get("/nowhere").status_code == 404
    assert client.head("/").status_code == 200


def test_an_error_is_a_500(client: httpx.Client) -> None:
    assert client.get("/error").status_code == 500
    assert client.get("/").text == "Hello, 7!"


def test_background_work_runs(client: httpx.Client) -> None:
    assert client.get("/later").text == "now"
    wait_until(lambda: events == ["background done"], "the background work")


def test_a_client_that_leaves_ends_the_stream(client: httpx.Client) -> None:
    with client.stream("GET", "/endless") as response:
        assert next(response.iter_bytes()).startswith(b"tick")
    wait_until(lambda: events == ["stream ended"], "the stream has ended")


def lifespans(log: str) -> tuple[list[str], list[str]]:
    """The processes that wrote of their startup, and of their shutdown."""
    return sorted(re.findall(r"startup in (\d+)", log)), sorted(
        re.findall(r"shutdown in (\d+)", log)
    )


def test_greenuni_workers_have_a_lifespan_each() -> None:
    arguments = ("--interface", "wsgi", "--preload", "--workers", "2", TARGET)
    with serve(*arguments, cwd=ROOT) as server:
        pids = {httpx.get(f"{server.url}/pid").text for _ in range(20)}
        server.stop()
        up, down = lifespans(server.log)
    assert set(up) == pids
    assert up == down


@contextlib.contextmanager
def gunicorn(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """gunicorn with TARGET, and its address."""
    pytest.importorskip("gunicorn")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-b", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, *arguments, TARGET], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: _answers(port), "gunicorn answers")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        if process.stderr is not None:
            process.stderr.close()
        process.wait(SECONDS)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("threads", ["1", "4"])
def test_gunicorn_serves_it_from_forked_workers(threads: str) -> None:
    with gunicorn("--preload", "--workers", "2", "--threads", threads) as (process, url):
        with httpx.Client(base_url=url, timeout=SECONDS) as client:
            pids = {client.get("/pid").text for _ in range(20)}
            body = bytes(range(256)) * 2000
            assert client.post("/echo", content=body).content == body
            parts = [b"x" * 9999] * 50  # chunked
            assert len(client.post("/echo", content=parts).content) == 9999 * 50
            assert len(client.get("/numbers").content) == 400_000
            with client.stream("GET", "/endless") as response:
                assert next(response.iter_bytes()).startswith(b"tick")
        process.terminate()
        assert process.stderr is not None
        up, down = lifespans(process.stderr.read())
    assert pids <= set(up)
    assert up == down
    assert str(process.pid) not in up
