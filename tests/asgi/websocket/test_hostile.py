"""Clients that break the rules, or keep us waiting: what they are told, and that nobody else suffers."""

from __future__ import annotations

import socket
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import anyio
import pytest

from greenuni.asgi import lingering

from ..support import SECONDS, Receive, Send, serving, tcp_listener, wait_until
from .support import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Journal,
    WebSocketClient,
    accept,
    close_frame,
    connected,
    echo,
    frame,
    handshake,
    websocket_only,
)

Scope = dict[str, Any]
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
LIMIT = 1 << 20


def bomb(size: int) -> bytes:
    """A compressed message of ``size`` zeros, in one frame."""
    stream = zlib.compressobj(9, wbits=-12)
    content = stream.compress(bytes(size)) + stream.flush(zlib.Z_SYNC_FLUSH)
    return frame(BINARY, content[:-4], rsv=4)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(TEXT, b"x", rsv=2), 1002),
        (frame(PING, fin=False), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\x28"), 1007),
        (frame(BINARY, bytes(LIMIT + 1)), 1009),
        (frame(BINARY, bytes(LIMIT + 1), announced=(1 << 63) - 1), 1009),
        (frame(BINARY, bytes(LIMIT), fin=False) + frame(CONTINUATION, b"x"), 1009),
        (bomb(64 << 20), 1009),
        (close_frame(1006), 1002),
        (b"\x88\x82" + bytes(4) + struct.pack("!H", 5000), 1002),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1002),
    ],
    ids=[
        "unmasked",
        "unknown opcode",
        "reserved bit",
        "ping in fragments",
        "continuation of nothing",
        "not UTF-8",
        "not UTF-8 in fragments",
        "too much",
        "announces very much",
        "too much in fragments",
        "bomb",
        "close code that is never sent",
        "close code that there is not",
        "HTTP",
    ],
)
def test_what_is_told_who_breaks_the_rules(raw: bytes, code: int, backend: str) -> None:
    journal = Journal()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (echo if scope["path"] == "/other" else journal)(scope, receive, send)

    with (
        serving(websocket_only(app), backend, ws_max_size=LIMIT) as server,
        connected(server, "/other") as other,
        connected(server, "/", DEFLATE) as client,
    ):
        client.send(raw)
        assert client.frame().close[0] == code
        assert client.is_closed()
        wait_until(lambda: len(journal) == 2, "the application hears of it")
        assert other.text("unharmed").message() == "unharmed"
    assert [found for found, _ in journal.disconnects] == [code] * 2


def test_messages_before_a_fault_are_answered(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        client.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"\xff"))
        assert (client.message(), client.message()) == ("one", "two")
        assert client.wait_for_close()[0] == 1007


def test_who_goes_on_talking_after_a_fault_is_cut_off(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 0.2)
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        client.send(frame(3))
        assert client.frame().close[0] == 1002
        client.socket.settimeout(SECONDS)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.send(bytes(1 << 30))


def test_a_client_that_reads_nothing_is_reset(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    """The application waits for it, and no more is kept than what one write brings."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            await echo(scope, receive, send)
            return
        await accept(send)
        while True:
            await send({"type": "websocket.send", "bytes": bytes(65536)})

    with (
        serving(websocket_only(app), backend, send_timeout=0.3) as server,
        WebSocketClient(server.address, receive_buffer=4096) as client,
        connected(server, "/other") as other,
    ):
        client.open()
        assert other.text("unharmed").message() == "unharmed"
        wait_until(lambda: server.slot.requests == 1, "the application has been told")
    assert "does not read what it is sent" in error_log.text


def test_pings_of_a_client_that_reads_nothing_are_answered_once(backend: str) -> None:
    """Memory does not grow with them, once the kernel takes no more."""
    listener = tcp_listener()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what it accepts inherits it
    with (
        serving(websocket_only(echo), backend, listener=listener) as server,
        WebSocketClient(server.address, receive_buffer=4096) as client,
    ):
        client.open()
        flood = frame(PING, bytes(125)) * 1000
        for _ in range(20):
            client.send(flood)
        client.text("the last word")
        pongs = 0
        while (answer := client.frame()).opcode == PONG:
            pongs += 1
        assert answer.payload == b"the last word"
        assert 0 < pongs < 20_000


def test_one_byte_now_and_then_is_no_sign_of_life(backend: str) -> None:
    with (
        serving(websocket_only(echo), backend, ws_ping_interval=0.2, ws_ping_timeout=0.4) as server,
        connected(server) as client,
        connected(server) as other,
    ):
        client.send(frame(BINARY, announced=LIMIT))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    client.send(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert client.frame().opcode == PING
            assert client.frame().close == (1011, "No pong came in time.")
            assert client.is_closed()
        finally:
            stop.set()
            thread.join()
        assert other.frame().opcode == PING


def test_early_bytes_are_not_kept_without_limit(backend: str) -> None:
    """Before it has been accepted, a client has nothing to say."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep_forever()

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        client.send(handshake())
        wait_until(lambda: server.slot.request_lines, "the application is called")
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.send(bytes(64 << 20))


def test_ten_thousand_empty_messages_at_once_wait_as_bytes(backend: str) -> None:
    sizes = []

    @websocket_only
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        while (await receive())["type"] == "websocket.receive":
            (session,) = server.server._service.population.running  # type: ignore[union-attr]
            sizes.append(len(session._socket.inbox._messages))  # type: ignore[attr-defined]

    with serving(app, backend, ws_max_queue=8) as server, connected(server) as client:
        client.send(frame(TEXT) * 10_000 + close_frame(1000))
        assert client.wait_for_close()[0] == 1000
    assert len(sizes) == 10_000
    assert max(sizes) <= 8


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_memory_does_not_grow_with_bombs(backend: str) -> None:
    raw = bomb(64 << 20)
    with serving(websocket_only(echo), backend, ws_max_size=LIMIT) as server:

        def explode() -> None:
            with connected(server, "/", DEFLATE) as client:
                client.send(raw)
                assert client.frame().close[0] == 1009

        explode()
        before = resident()
        for _ in range(10):
            explode()
        assert resident() - before < 32 << 20


def test_the_loop_is_not_held_up_by_many_small_fragments() -> None:
    """Each costs what it costs: twice as many take about twice as long."""

    def seconds(count: int) -> float:
        with serving(websocket_only(echo)) as server, connected(server) as client:
            raw = frame(BINARY, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * count
            began = time.perf_counter()
            client.send(raw + frame(CONTINUATION))
            assert len(client.message()) == count + 1
            return time.perf_counter() - began

    seconds(1000)
    once, four_times = seconds(5_000), seconds(20_000)
    assert four_times < 12 * once
