"""Pings of the server, and what of a client's silence is its own fault."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from ..support import Receive, Send, serving, wait_until
from .support import (
    BINARY,
    PING,
    PONG,
    Journal,
    accept,
    connected,
    echo,
    frame,
    in_loop,
    websocket_only,
)

Scope = dict[str, Any]


def test_pings_come_and_pongs_keep_the_connection(backend: str) -> None:
    with (
        serving(websocket_only(echo), backend, ws_ping_interval=0.1, ws_ping_timeout=0.3) as server,
        connected(server) as client,
    ):
        began = time.monotonic()
        for _ in range(8):
            ping = client.frame()
            assert ping.opcode == PING
            client.send(frame(PONG, ping.payload))
        assert time.monotonic() - began > 0.7
        assert client.binary(b"alive").message() == b"alive"


def test_no_pong_is_1011(backend: str) -> None:
    journal = Journal()
    with (
        serving(
            websocket_only(journal), backend, ws_ping_interval=0.1, ws_ping_timeout=0.1
        ) as server,
        connected(server) as client,
    ):
        assert client.frame().opcode == PING
        assert client.frame().close == (1011, "No pong came in time.")
        assert client.is_closed()
        wait_until(lambda: len(journal) == 2, "the application hears of it")
    assert journal.disconnects[0] == (1011, "No pong came in time.")


@pytest.mark.parametrize("settings", [{"ws_ping_interval": 0.0}, {"ws_ping_timeout": 0.0}])
def test_off(settings: dict[str, float], backend: str) -> None:
    settings = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1, **settings}
    with serving(websocket_only(echo), backend, **settings) as server, connected(server) as client:
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 10, "time passes")
        client.binary(b"alive")
        while (answer := client.frame()).opcode == PING:
            pass
        assert (answer.opcode, answer.payload) == (BINARY, b"alive")


def test_a_loop_that_is_held_up_blames_nobody(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pong is there, but the application keeps the loop from reading it."""
    monkeypatch.setattr("greenuni.ws.keepalive.HELD_UP", 0.3)
    held = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await receive()
        time.sleep(1)  # what it should not do
        held.set()
        await send({"type": "websocket.send", "text": "back again"})
        await receive()

    with (
        serving(websocket_only(app), backend, ws_ping_interval=0.2, ws_ping_timeout=0.5) as server,
        connected(server) as client,
    ):
        assert client.frame().opcode == PING
        client.binary(b"hold it")
        assert held.wait(10)
        client.send(frame(PONG))
        assert client.message() == "back again"
        assert client.frame().opcode == PING


def test_an_application_that_is_behind_blames_nobody(backend: str) -> None:
    """Reading is paused, so no pong can be read."""
    gates: list[anyio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        gates.append(anyio.Event())
        await accept(send)
        await gates[0].wait()
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    settings = {"ws_max_queue": 1, "ws_ping_interval": 0.2, "ws_ping_timeout": 0.2}
    with serving(websocket_only(app), backend, **settings) as server, connected(server) as client:
        client.binary(b"one").binary(b"two")
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 15, "time passes")
        in_loop(server, gates[0].set)
        assert client.message() == b"one"
        assert client.message() == b"two"
