"""A WebSocket client that sends what it is told to, right or wrong, and small applications."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..support import Client, Message, Receive, Response, Send, Serving

Handler = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ENDED = (8, None)


@dataclass(frozen=True)
class Frame:
    """One frame as it came from the server."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def close(self) -> tuple[int | None, str]:
        """Code and reason of a close frame."""
        assert self.opcode == CLOSE, self
        if not self.payload:
            return None, ""
        return struct.unpack("!H", self.payload[:2])[0], self.payload[2:].decode()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    announced: int | None = None,
) -> bytes:
    """A client's frame; ``announced`` is the length in its head, if not that of the payload."""
    size = len(payload) if announced is None else announced
    head = bytearray([fin << 7 | rsv << 4 | opcode])
    mask_bit = masked << 7
    if size < 126:
        head.append(mask_bit | size)
    elif size < 65536:
        head += struct.pack("!BH", mask_bit | 126, size)
    else:
        head += struct.pack("!BQ", mask_bit | 127, size)
    if not masked:
        return bytes(head) + payload
    mask = b"\x37\xfa\x21\x3d"
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return bytes(head) + mask + hidden.to_bytes(len(payload), "big")


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def handshake(path: str = "/", *headers: str, version: str = "1.1") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return (
        f"GET {path} HTTP/{version}\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY.decode()}\r\n{lines}\r\n"
    ).encode()


class WebSocketClient(Client):
    """``open`` or ``ask`` first."""

    def ask(self, path: str = "/", *headers: str, behind: bytes = b"") -> Response:
        """The answer to a handshake, whatever it is."""
        self.send(handshake(path, *headers) + behind)
        status, fields = self.head()
        if status == 101:
            accept = base64.b64encode(hashlib.sha1(KEY + GUID).digest()).decode()
            assert fields["sec-websocket-accept"] == accept
            return Response(status, fields, b"", {})
        length = int(fields.get("content-length", "0"))
        return Response(status, fields, self.read(length), {})

    def open(self, path: str = "/", *headers: str, behind: bytes = b"") -> WebSocketClient:
        response = self.ask(path, *headers, behind=behind)
        assert response.status == 101, response
        return self

    def text(self, text: str) -> WebSocketClient:
        self.send(frame(TEXT, text.encode()))
        return self

    def binary(self, octets: bytes) -> WebSocketClient:
        self.send(frame(BINARY, octets))
        return self

    def frame(self) -> Frame:
        head = self.read(2)
        assert len(head) == 2, "the server has closed"
        assert not head[1] & 0x80, "servers do not mask"
        size = head[1]
        if size == 126:
            (size,) = struct.unpack("!H", self.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read(8))
        payload = self.read(size)
        assert len(payload) == size
        return Frame(head[0] & 15, payload, bool(head[0] & 0x80), head[0] >> 4 & 7)

    def message(self) -> str | bytes:
        """The next message, from all of its frames."""
        first = self.frame()
        assert first.opcode in (TEXT, BINARY), first
        payload, fin = first.payload, first.fin
        while not fin:
            part = self.frame()
            assert part.opcode == CONTINUATION, part
            payload, fin = payload + part.payload, part.fin
        return payload.decode() if first.opcode == TEXT else payload

    def wait_for_close(self) -> tuple[int | None, str]:
        """Code and reason of the server's close frame, which must come next; answers it."""
        code, reason = self.frame().close
        with contextlib.suppress(OSError):
            self.send(frame(CLOSE, struct.pack("!H", code) if code else b""))
        return code, reason


@contextlib.contextmanager
def connected(server: Serving, path: str = "/", *headers: str) -> Iterator[WebSocketClient]:
    with WebSocketClient(server.address) as client:
        yield client.open(path, *headers)


def in_loop(server: Serving, callback: Callable[[], object]) -> None:
    """Call back in the server's loop, soon."""
    runtime = server.server._runtime
    assert runtime is not None
    runtime.call_soon_threadsafe(callback)


def websocket_only(handler: Handler) -> Handler:
    """An application without a lifespan, of one handler for WebSockets; HTTP requests get 200."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": scope["path"].encode()})
            return
        assert scope["type"] == "websocket"
        assert (await receive()) == {"type": "websocket.connect"}
        await handler(scope, receive, send)

    return app


async def accept(send: Send, **fields: Any) -> None:
    await send({"type": "websocket.accept", **fields})


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Accept, and send back what comes until it ends."""
    await accept(send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


class Journal(list[Message]):
    """Accepts, and keeps all that was received; two disconnects in the end."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await accept(send)
        while len(self) < 2 or self[-2]["type"] != "websocket.disconnect":
            self.append(await receive())

    @property
    def disconnects(self) -> list[tuple[int, str]]:
        return [(m["code"], m["reason"]) for m in self if m["type"] == "websocket.disconnect"]
