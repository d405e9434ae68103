"""Requests that run longer than ``timeout`` on real workers: they are named with their stacks, and live."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.support.server import Server, serve

WSGI = """
import os, time
def think():
    while not os.path.exists("go"):
        time.sleep(0.01)
def app(environ, start_response):
    think()
    start_response("200 OK", [])
    return [b"thought"]
"""
ASGI = """
import asyncio, os
async def think():
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    kind = scope["query_string"] or b"text/plain"
    if kind == b"text/event-stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
    await think()
    if kind == b"text/plain":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": b"thought"})
"""
FASTAPI = """
import os, time
from fastapi import FastAPI
app = FastAPI()
def think():
    while not os.path.exists("go"):
        time.sleep(0.01)
@app.get("/slow")
def slow():
    think()
    return "thought"
"""


class Asking:
    """One request in a thread of its own."""

    def __init__(self, server: Server, target: str = "/slow") -> None:
        self.answer = b""
        self._server = server
        self._target = target
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        with self._server.connect(30) as client:
            client.sendall(
                f"GET {self._target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
            )
            while data := client.recv(65536):
                self.answer += data

    def wait(self) -> bytes:
        self._thread.join(30)
        return self.answer


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        (WSGI, ()),
        (WSGI, ("--threads", "4")),
        (ASGI, ("--loop", "asyncio")),
        (ASGI, ()),
        (FASTAPI, ()),
    ],
    ids=["wsgi", "wsgi-threads", "asyncio", "default-loop", "def-endpoint"],
)
def test_a_long_request_is_named_with_its_stack_and_lives(
    source: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "site_app.py").write_text(source)
    with serve("site_app:app", "--timeout", "1", *arguments, cwd=tmp_path) as server:
        request = Asking(server)
        try:
            server.wait_for_log(r"\[WARNING\] GET /slow has been running for \d\.\d s and goes on")
            server.wait_for_log("in think")
        finally:
            (tmp_path / "go").touch()
        assert b"thought" in request.wait()
    assert "has not turned" not in server.log
    assert server.log.count("Booting worker") == 1


def test_a_stream_of_events_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(ASGI)
    with serve("site_app:app", "--timeout", "1", cwd=tmp_path) as server:
        stream = Asking(server, "/events?text/event-stream")
        request = Asking(server)
        try:
            server.wait_for_log("GET /slow has been running")
        finally:
            (tmp_path / "go").touch()
        assert b"thought" in request.wait()
        assert b"thought" in stream.wait()
    assert "/events" not in server.log


def test_a_unix_socket_accepts_until_the_drain_delay_is_over(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(ASGI)
    (tmp_path / "go").touch()
    path = tmp_path / "server.sock"
    arguments = ("--drain-delay", "3", "--workers", "2")
    with serve("site_app:app", *arguments, cwd=tmp_path, bind=f"unix:{path}") as server:
        server.signal(signal.SIGTERM)
        server.wait_for_log("Handling signal: SIGTERM")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while data := client.recv(65536):
                answer += data
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close\r\n" in answer.lower()
        assert server.wait(20) == 0
    assert not path.exists()
