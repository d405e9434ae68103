"""A worker that leaves: its WebSocket clients are told to come back, and its applications to end."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenuni.asgi.websocket.connection import LEAVING
from greenuni.shell import WorkerState

from ..support import GET, Receive, Send, serving, wait_until
from .support import (
    Journal,
    WebSocketClient,
    accept,
    connected,
    echo,
    handshake,
    in_loop,
    websocket_only,
)

Scope = dict[str, Any]


@pytest.mark.parametrize("code", [1012, 1001])
def test_clients_are_told(code: int, backend: str) -> None:
    journal = Journal()
    with (
        serving(websocket_only(journal), backend, ws_drain_code=code) as server,
        connected(server) as client,
    ):
        server.server.drain()
        assert client.wait_for_close() == (code, LEAVING)
        assert client.is_closed()
        server.wait_for_end()
    assert journal.disconnects == [(code, LEAVING)] * 2


def test_a_quick_stop_tells_them_too(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        server.server.quick_stop()
        assert client.frame().close == (1012, LEAVING)
        server.wait_for_end()


def test_an_application_that_does_not_end_is_cancelled(backend: str) -> None:
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    with (
        serving(websocket_only(app), backend, graceful_timeout=1.0) as server,
        connected(server) as client,
    ):
        server.server.drain()
        assert client.wait_for_close()[0] == 1012
        assert client.is_closed()
        server.wait_for_end()
    assert ended


def test_a_client_that_does_not_answer_does_not_hold_it_up(backend: str) -> None:
    app = websocket_only(echo)
    with serving(app, backend, graceful_timeout=1.0) as server, connected(server):
        server.server.drain()
        server.wait_for_end()


def test_a_handshake_that_comes_now_is_503(backend: str) -> None:
    gates: list[anyio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
            return
        gates.append(anyio.Event())
        await gates[0].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    with (
        serving(app, backend, lifespan="off") as server,
        server.client() as other,
        WebSocketClient(server.address) as client,
    ):
        client.send(handshake()[:20])
        other.send(GET)
        wait_until(lambda: gates, "a request keeps the worker")
        server.server.drain()
        wait_until(lambda: server.slot.state is WorkerState.DRAINING, "the drain has begun")
        client.send(handshake()[20:])
        assert client.head()[0] == 503
        in_loop(server, gates[0].set)
        assert other.response().status == 200


def test_who_is_accepted_in_the_drain_is_told_at_once(backend: str) -> None:
    gates: list[anyio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        gates.append(anyio.Event())
        await gates[0].wait()
        await echo(scope, receive, send)

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        client.send(handshake())
        wait_until(lambda: gates, "the application decides")
        server.server.drain()
        wait_until(lambda: server.slot.state is WorkerState.DRAINING, "the drain has begun")
        in_loop(server, gates[0].set)
        assert client.head()[0] == 101
        assert client.wait_for_close()[0] == 1012


def test_on_disconnect_cancels(backend: str) -> None:
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    with serving(websocket_only(app), backend, on_disconnect=("cancel",)) as server:
        connected_client = WebSocketClient(server.address).open()
        connected_client.close()
        wait_until(lambda: ended, "the application is cancelled")
