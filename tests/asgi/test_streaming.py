"""Bodies larger than memory should be, in both directions, and real frameworks on top."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from tests.support.server import resident_bytes

from .support import Receive, Send, Serving, http_only, respond, routed, serving, wait_until

Scope = dict[str, Any]
MIB = 1 << 20
SIZE = 256 * MIB
GROWTH = 32 * MIB
BLOCK = b"x" * 65536


@contextmanager
def bounded_memory(limit: int) -> Iterator[None]:
    """Fail when this process, server and client, grows by more than ``limit`` bytes meanwhile."""
    before = resident_bytes(os.getpid())
    peak = before
    stop = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not stop.wait(0.01):
            peak = max(peak, resident_bytes(os.getpid()))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield
    finally:
        stop.set()
        sampler.join()
    assert peak - before < limit, f"grew by {(peak - before) / MIB:.1f} MiB"


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    total = 0
    while True:
        message = await receive()
        total += len(message["body"])
        assert len(message["body"]) < MIB
        if not message["more_body"]:
            return await respond(send, str(total).encode())


async def slow_count(scope: Scope, receive: Receive, send: Send) -> None:
    await anyio.sleep(0.2)
    await count(scope, receive, send)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    for _ in range(SIZE // len(BLOCK)):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("path", ["/count", "/slow"])
def test_a_large_upload_in_bounded_memory(backend: str, chunked: bool, path: str) -> None:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {SIZE}"
    piece = b"10000\r\n" + BLOCK + b"\r\n" if chunked else BLOCK
    app = routed({"/count": count, "/slow": slow_count})
    with serving(app, backend) as server, server.client() as client, bounded_memory(GROWTH):
        client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())
        for _ in range(SIZE // len(BLOCK)):
            client.send(piece)
        if chunked:
            client.send(b"0\r\n\r\n")
        assert client.response().body == str(SIZE).encode()


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_large_download_in_bounded_memory(backend: str, version: str) -> None:
    with serving(http_only(stream), backend) as server, server.client() as client:
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        assert client.head()[0] == 200
        buffer = bytearray(1 << 18)
        received = 0
        with bounded_memory(GROWTH):
            while received < SIZE:
                count = client._reader.readinto(buffer)
                assert count
                received += count


def test_a_reader_that_stops_stops_the_application(backend: str) -> None:
    sent = 0
    done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
            sent += len(BLOCK)
        await send({"type": "http.response.body"})
        done.set()

    with serving(http_only(app), backend) as server:
        with server.client(receive_buffer=65536) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: is_steady(lambda: sent), "the application waits")
            assert sent < 20 * MIB
            assert not done.is_set()
            assert len(client.response().body) == 1000 * len(BLOCK)
        assert done.wait(5)


def is_steady(value: Any) -> bool:
    before = value()
    threading.Event().wait(0.2)
    return bool(before and value() == before)


class Events:
    """What a FastAPI application with everything in it has done."""

    def __init__(self) -> None:
        self.background: list[str] = []
        self.closed: list[float] = []

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/background")
        async def background(tasks: BackgroundTasks) -> str:
            tasks.add_task(self._later)
            return "now"

        @app.get("/tokens")
        async def tokens() -> StreamingResponse:
            return StreamingResponse(self._tokens(), media_type="text/event-stream")

        @app.get("/blocking")
        def blocking() -> str:
            return threading.current_thread().name

        @app.post("/echo")
        async def echo(request: Request) -> Response:
            parts = [part async for part in request.stream()]
            return Response(b"".join(parts))

        return app

    async def _later(self) -> None:
        await anyio.sleep(0.05)
        self.background.append("later")

    async def _tokens(self) -> Any:
        try:
            for number in range(1000):
                yield f"data: {number}\n\n"
                await anyio.sleep(0.001 if number < 5 else 30)
        finally:
            self.closed.append(time.monotonic())


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def fastapi(backend: str, events: Events) -> Iterator[Serving]:
    with serving(events.app(), backend) as server:
        yield server


def url(server: Serving) -> str:
    return f"http://127.0.0.1:{server.address[1]}"


def test_fastapi_streams_both_ways(fastapi: Serving) -> None:
    with httpx.Client(base_url=url(fastapi)) as client:
        content = os.urandom(1_000_000)
        assert client.post("/echo", content=content).content == content
        parts = (content[offset : offset + 12345] for offset in range(0, len(content), 12345))
        assert client.post("/echo", content=parts).content == content


def test_fastapi_runs_blocking_endpoints_in_threads(fastapi: Serving) -> None:
    assert httpx.get(f"{url(fastapi)}/blocking").json() != "server"


def test_fastapi_background_tasks_run_after_the_response(fastapi: Serving, events: Events) -> None:
    with httpx.Client(base_url=url(fastapi)) as client:
        assert client.get("/background").json() == "now"
        assert client.get("/background").json() == "now"  # the first task need not be over
        wait_until(lambda: len(events.background) == 2, "both background tasks")


def test_fastapi_tokens_stop_when_their_reader_leaves(fastapi: Serving, events: Events) -> None:
    with httpx.stream("GET", f"{url(fastapi)}/tokens") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
    left = time.monotonic()
    wait_until(lambda: events.closed, "the generator is closed")
    assert events.closed[0] - left < 0.5
