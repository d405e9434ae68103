"""Streams of events that are silent."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from .support import GET, Client, Receive, Send, http_only, serving, wait_until

Scope = dict[str, Any]
EVENTS = [(b"content-type", b"text/event-stream")]
COMMENT = b": keep-alive\n\n"


class Silent:
    """A stream that sends its chunks and is silent until it is let go."""

    def __init__(self, *chunks: bytes, headers: Any = EVENTS) -> None:
        self._chunks = chunks
        self._headers = headers
        self._is_over = False
        self.entered = threading.Event()

    def let_go(self) -> None:
        self._is_over = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self.entered.set()
        while not self._is_over:
            await anyio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"data: end\n\n"})


def read_comments(client: Client, count: int) -> list[bytes]:
    return [client.chunk() for _ in range(count)]


def test_a_silent_stream_gets_comments(backend: str) -> None:
    app = Silent(b"data: x\n\n")
    with (
        serving(http_only(app), backend, sse_keepalive=0.1) as server,
        server.client() as client,
    ):
        status, headers = client.send(GET).head()
        assert (status, headers["x-accel-buffering"], headers["cache-control"]) == (
            200,
            "no",
            "no-cache",
        )
        assert read_comments(client, 4) == [b"data: x\n\n", COMMENT, COMMENT, COMMENT]
        app.let_go()
        chunks = list(iter(client.chunk, b""))
        assert chunks[-1] == b"data: end\n\n"
        assert set(chunks[:-1]) <= {COMMENT}


def test_so_does_one_that_has_sent_no_event_yet(backend: str) -> None:
    app = Silent()
    with (
        serving(http_only(app), backend, sse_keepalive=0.1) as server,
        server.client() as client,
    ):
        assert client.send(GET).head()[0] == 200
        assert client.chunk() == COMMENT
        app.let_go()
        assert list(iter(client.chunk, b""))[-1] == b"data: end\n\n"


@pytest.mark.parametrize(
    "app",
    [
        Silent(b"data: in the middle\n"),
        Silent(b"x", headers=[(b"content-type", b"text/plain")]),
        Silent(b"x\n\n", headers=[*EVENTS, (b"content-encoding", b"gzip")]),
    ],
    ids=["within an event", "no events", "compressed"],
)
def test_where_there_is_no_place_for_a_comment(app: Silent) -> None:
    with (
        serving(http_only(app), sse_keepalive=0.05) as server,
        server.client() as client,
    ):
        client.send(GET)
        assert app.entered.wait(5)
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 6, "0.3 seconds of ticks")
        app.let_go()
        assert COMMENT not in client.response().body


def test_comments_do_not_count_as_life(backend: str) -> None:
    app = Silent(b"data: x\n\n")
    settings: dict[str, Any] = {"sse_keepalive": 0.1, "stream_idle_timeout": 0.6}
    with serving(http_only(app), backend, **settings) as server, server.client() as client:
        assert client.send(GET).head()[0] == 200
        rest = client.rest()
        assert COMMENT in rest
        assert not rest.endswith(b"0\r\n\r\n")


def test_by_default_nothing_is_added(backend: str) -> None:
    app = Silent(b"data: x\n\n")
    app.let_go()
    with serving(http_only(app), backend) as server, server.client() as client:
        response = client.get()
        assert "x-accel-buffering" not in response.headers
        assert response.body == b"data: x\n\ndata: end\n\n"
