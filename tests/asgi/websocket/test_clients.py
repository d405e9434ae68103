"""Clients that nobody here wrote: websockets, aiohttp and wsproto's own (a browser: tests/examples)."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from ..support import Receive, Send, Serving, serving
from .support import accept, echo, websocket_only

Scope = dict[str, Any]
TEXTS = ["", "short", "grüße ☃ " * 100, "x" * 100_000]
OCTETS = os.urandom(300_000)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/denied":
        await send({"type": "websocket.close"})
    elif scope["path"] == "/closes":
        await accept(send, subprotocol="b")
        await send({"type": "websocket.close", "code": 4321, "reason": "enough"})
    elif scope["path"] == "/raises":
        await accept(send)
        raise RuntimeError("on purpose")
    else:
        await echo(scope, receive, send)


@pytest.fixture(params=[True, False], ids=["deflate", "plain"])
def deflates(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def server(backend: str, deflates: bool) -> Iterator[Serving]:
    with serving(websocket_only(app), backend, ws_per_message_deflate=deflates) as server:
        yield server


def url(server: Serving, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.address[1]}{path}"


def test_websockets(server: Serving, deflates: bool) -> None:
    with connect(url(server), max_size=None) as client:
        offered = [extension.name for extension in client.protocol.extensions]
        assert offered == (["permessage-deflate"] if deflates else [])
        for text in TEXTS:
            client.send(text)
            assert client.recv(10) == text
        client.send(OCTETS)
        assert client.recv(10) == OCTETS
        client.send(["in ", "", "parts ", "é" * 200])
        assert client.recv(10) == "in parts " + "é" * 200
        assert client.ping().wait(10)
        client.close(4000, "bye")
        assert client.protocol.close_rcvd is not None
        assert client.protocol.close_rcvd.code == 4000


@pytest.mark.parametrize(
    "parameters",
    [
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        {"server_max_window_bits": 9, "client_max_window_bits": 9},
        {"server_max_window_bits": 15, "client_max_window_bits": 15},
        {"client_max_window_bits": True},
        {},
    ],
)
def test_websockets_with_parameters_of_compression(parameters: dict[str, Any]) -> None:
    factory = ClientPerMessageDeflateFactory(**parameters)
    with (
        serving(websocket_only(app)) as server,
        connect(url(server), compression=None, extensions=[factory], max_size=None) as client,
    ):
        assert [extension.name for extension in client.protocol.extensions]
        for text in TEXTS * 2:
            client.send(text)
            assert client.recv(10) == text
        client.send(OCTETS)
        assert client.recv(10) == OCTETS


def test_websockets_is_told_why(server: Serving) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(url(server, "/denied"))
    with connect(url(server, "/closes"), subprotocols=["a", "b"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "b"
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(10)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "enough")
    with connect(url(server, "/raises")) as client:
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
    with connect(url(server)) as client:
        client.close()
        with pytest.raises(ConnectionClosedOK):
            client.recv(10)


def test_aiohttp(server: Serving, deflates: bool) -> None:
    async def talk() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url(server), compress=15, max_msg_size=0) as client:
                assert bool(client.compress) == deflates
                for text in TEXTS:
                    await client.send_str(text)
                    assert await client.receive_str(timeout=10) == text
                await client.send_bytes(OCTETS)
                assert await client.receive_bytes(timeout=10) == OCTETS
                await client.ping(b"?")
                await client.close(code=4000)
                assert client.close_code == 4000
            async with session.ws_connect(url(server, "/closes"), protocols=["b"]) as client:
                assert client.protocol == "b"
                message = await client.receive(timeout=10)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4321)
                assert message.extra == "enough"
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url(server, "/denied"))
            assert refused.value.status == 403

    asyncio.run(talk())


class WsprotoClient:
    """wsproto is without I/O, so this much has to be written."""

    def __init__(self, server: Serving, path: str = "/") -> None:
        self._socket = socket.create_connection(server.address, timeout=10)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self.send(Request("localhost", path, extensions=[PerMessageDeflate()]))

    def send(self, event: Event) -> None:
        self._socket.sendall(self._connection.send(event))

    def events(self) -> Iterator[Event]:
        while True:
            yield from self._connection.events()
            self._connection.receive_data(self._socket.recv(65536) or None)

    def close(self) -> None:
        self._socket.close()


def test_wsproto(server: Serving, deflates: bool) -> None:
    client = WsprotoClient(server)
    events = client.events()
    accepted = next(events)
    assert isinstance(accepted, AcceptConnection)
    assert bool(accepted.extensions) == deflates
    for text in TEXTS:
        client.send(TextMessage(text))
        assert whole(events) == text
    client.send(BytesMessage(OCTETS[:1000], message_finished=False))
    client.send(Ping(b"between"))
    client.send(BytesMessage(OCTETS[1000:]))
    assert isinstance(next(events), Pong)
    assert whole(events) == OCTETS
    client.send(CloseConnection(1000, "bye"))
    answer = next(events)
    assert isinstance(answer, CloseConnection)
    assert (answer.code, answer.reason) == (1000, "bye")
    client.close()
    denied = WsprotoClient(server, "/denied")
    event = next(denied.events())
    assert isinstance(event, RejectConnection)
    assert event.status_code == 403
    denied.close()


def whole(events: Iterator[Event]) -> str | bytes:
    """The next message, of all its pieces."""
    pieces: list[Any] = []
    for event in events:
        assert isinstance(event, (TextMessage, BytesMessage))
        pieces.append(event.data)
        if event.message_finished:
            return pieces[0][:0].join(pieces)  # type: ignore[no-any-return]
    raise AssertionError("the connection has ended")
