"""Messages both ways, in one frame or many, and what waits for whom."""

from __future__ import annotations

import os
from select import select
from typing import Any

import anyio
import pytest

from greenuni.asgi.reply import UnexpectedMessage
from greenuni.asgi.websocket.outbox import FRAGMENT

from ..support import SECONDS, Receive, Send, serving, wait_until
from .support import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Journal,
    WebSocketClient,
    accept,
    connected,
    echo,
    frame,
    in_loop,
    websocket_only,
)

Scope = dict[str, Any]


def test_empty_messages(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        assert client.text("").message() == ""
        assert client.binary(b"").message() == b""


def test_messages_in_fragments_with_a_ping_between(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        snowman = "☃".encode()
        client.send(frame(TEXT, b"a" + snowman[:1], fin=False))
        client.send(frame(CONTINUATION, snowman[1:2], fin=False))
        client.send(frame(PING, b"there?"))
        client.send(frame(CONTINUATION, snowman[2:] + b"z"))
        assert client.frame().opcode == PONG
        assert client.message() == "a☃z"
        client.send(frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"\xff", fin=False))
        client.send(frame(CONTINUATION, b""))
        assert client.message() == b"\xff"


def test_a_message_of_many_small_fragments() -> None:
    with serving(websocket_only(echo)) as server, connected(server) as client:
        parts = [frame(CONTINUATION, b"%d" % (number % 10), fin=False) for number in range(5000)]
        client.send(frame(TEXT, b"", fin=False) + b"".join(parts) + frame(CONTINUATION))
        assert client.message() == "0123456789" * 500


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, FRAGMENT, 3 * FRAGMENT + 1])
def test_sizes(size: int, backend: str) -> None:
    payload = os.urandom(size)
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        assert client.binary(payload).message() == payload
        text = payload.hex()[:size]
        assert client.text(text).message() == text


def test_large_messages_leave_in_frames_and_never_mixed(backend: str) -> None:
    large = os.urandom(4 * FRAGMENT)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(send, {"type": "websocket.send", "bytes": large})
                tasks.start_soon(send, {"type": "websocket.send", "text": "small"})

    with serving(websocket_only(app), backend) as server, connected(server) as client:
        messages = [client.message() for _ in range(6)]
        assert sorted(messages, key=len) == ["small"] * 3 + [large] * 3
        assert client.wait_for_close() == (1000, "")


def test_a_large_message_that_is_given_up_ends_the_connection(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        with anyio.move_on_after(0.05):
            await send({"type": "websocket.send", "bytes": bytes(100 * FRAGMENT)})
        await receive()

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address, receive_buffer=4096) as client,
    ):
        client.open()
        wait_until(lambda: server.slot.requests, "the application has given up")
        first = client.frame()
        assert (first.opcode, first.fin) == (BINARY, False)
        while (last := client.frame()).opcode == CONTINUATION:
            assert not last.fin
        assert last.close == (1011, "A message was not completed.")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": None, "bytes": None},
        {"type": "websocket.send", "text": b"octets"},
        {"type": "websocket.send", "bytes": "text"},
        {"type": "websocket.accept"},
        {"type": "websocket.http.response.start", "status": 200},
        {"type": "http.response.start", "status": 200},
        {"type": "websocket.close", "code": 1005},
        {"type": "websocket.close", "code": 5000},
    ],
)
def test_a_message_that_cannot_come(message: dict[str, Any]) -> None:
    errors: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        try:
            await send(message)
        except UnexpectedMessage as error:
            errors.append(error)
        await send({"type": "websocket.send", "text": "still here"})

    with serving(websocket_only(app)) as server, connected(server) as client:
        assert client.message() == "still here"
    assert len(errors) == 1


def test_memoryviews_and_bytearrays_may_be_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await send({"type": "websocket.send", "bytes": bytearray(b"one")})
        await send({"type": "websocket.send", "bytes": memoryview(b"two"), "text": None})

    with serving(websocket_only(app)) as server, connected(server) as client:
        assert (client.message(), client.message()) == (b"one", b"two")


def test_a_slow_application_holds_its_client_up_and_nobody_else(backend: str) -> None:
    """The socket's buffers fill, because nothing is read that the inbox has no room for."""
    gates: list[anyio.Event] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        if scope["path"] == "/slow":
            gates.append(anyio.Event())
            await gates[0].wait()
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": str(len(message["bytes"]))})

    with (
        serving(websocket_only(app), backend, ws_max_queue=4) as server,
        connected(server, "/slow") as slow,
        connected(server, "/") as other,
    ):
        raw = frame(BINARY, bytes(65536)) * 500
        slow.socket.setblocking(False)
        sent = slow.socket.send(raw)
        # What the kernel holds takes a while to fill; then nothing more is taken.
        while other.binary(b"abc").message() == "3" and select([], [slow.socket], [], 0.2)[1]:
            sent += slow.socket.send(raw[sent:])
            assert sent < len(raw), "the server reads without end"
        wait_until(lambda: gates, "the application waits")
        in_loop(server, gates[0].set)
        slow.socket.settimeout(SECONDS)
        slow.send(raw[sent:])
        assert [slow.message() for _ in range(500)] == ["65536"] * 500


def test_many_messages_at_once_come_in_order(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(1000)))
        assert [client.message() for _ in range(1000)] == [str(n) for n in range(1000)]


def test_pings_are_answered_while_the_application_does_not_receive(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await anyio.sleep_forever()

    with serving(websocket_only(app), backend) as server, connected(server) as client:
        for number in range(3):
            client.send(frame(PING, b"%d" % number))
            answer = client.frame()
            assert (answer.opcode, answer.payload) == (PONG, b"%d" % number)


def test_several_receivers_get_a_message_each(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)

        async def one() -> None:
            message = await receive()
            await send({"type": "websocket.send", "text": message["text"]})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)

    with serving(websocket_only(app), backend) as server, connected(server) as client:
        client.text("one").text("two")
        assert {client.message(), client.message()} == {"one", "two"}


def test_all_that_came_before_the_close_can_be_read(backend: str) -> None:
    journal = Journal()
    with serving(websocket_only(journal), backend) as server:
        with connected(server) as client:
            for number in range(3):
                client.text(str(number))
        wait_until(lambda: len(journal) == 5, "the application has read it all")
    assert [message.get("text") for message in journal[:3]] == ["0", "1", "2"]
    assert journal.disconnects == [(1006, "")] * 2
