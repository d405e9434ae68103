"""One WebSocket after its handshake, without I/O: bytes in, whole messages out.

Frames are wsproto's. Its `FrameProtocol` is the seam: whatever has these methods can stand there.

    receive_bytes(data)     received_frames()
    send_data(payload, fin)     ping(payload)     pong(payload)     close(code, reason)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, AnyStr, Generic

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed

from greenuni.ws.codes import CloseCode

# Bound once: before Python 3.12, finding a member through its class is a call.
_TEXT, _BINARY, _PING, _PONG = Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG

# Pieces of a message that are joined at a time. A list of single characters would take eight times
# the room of their message.
_PIECES = 1024

_TOO_LARGE = "The message is too large."


@dataclass(frozen=True)
class Ping:
    """The client wants a pong with the same payload."""

    payload: bytes


@dataclass(frozen=True)
class Pong:
    """The client has answered a ping, or says so unasked."""


@dataclass(frozen=True)
class Close:
    """The client wants to end, and says why."""

    code: int
    reason: str


@dataclass(frozen=True)
class Fault(Close):
    """The client broke the protocol or a limit, and is to be told this. Nothing more can be read."""


Event = str | bytes | Ping | Pong | Close


class Pieces(Generic[AnyStr]):
    """A message that comes in pieces."""

    __slots__ = ("_empty", "_joined", "_loose", "octets")

    def __init__(self, empty: AnyStr) -> None:
        self._empty: AnyStr = empty
        self._joined: list[AnyStr] = []
        self._loose: list[AnyStr] = []
        self.octets = 0  # as they came, text in UTF-8

    def add(self, piece: AnyStr) -> None:
        self.octets += octet_count(piece)
        if piece:
            self._loose.append(piece)
            if len(self._loose) == _PIECES:
                self._joined.append(self._empty.join(self._loose))
                self._loose.clear()

    def join(self) -> AnyStr:
        return self._empty.join(self._joined + self._loose)


class Conversation:
    """See the module. A message of the client's has ``limit`` bytes at most, or ends it with 1009.

    They are counted as they come, and when they are inflated, so no more than that is ever kept;
    0 is no limit. An extension compresses what is said.
    """

    __slots__ = ("_frames", "_limit", "_pieces")

    def __init__(self, limit: int, extension: Extension | None = None) -> None:
        self._frames = FrameProtocol(False, [extension] if extension else [])
        self._limit = limit or sys.maxsize
        self._pieces: Pieces[Any] | None = None  # of a message that has not come whole

    def __repr__(self) -> str:
        return f"<Conversation{' in the middle of a message' if self._pieces else ''}>"

    # Reading

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client. What comes after a `Close` means nothing."""
        self._frames.receive_bytes(data)

    def events(self) -> Iterator[Event]:
        """What has come, message by message, until more bytes are needed. A `Close` is the last.

        Whoever stops in the middle finds the rest when calling again.
        """
        try:
            for frame in self._frames.received_frames():
                opcode = frame.opcode
                if opcode is _TEXT or opcode is _BINARY:
                    message = self._assemble(frame)
                    if message is not None:
                        yield message
                elif opcode is _PING:
                    yield Ping(_octets(frame))
                elif opcode is _PONG:
                    yield Pong()
                else:
                    assert isinstance(frame.payload, tuple), "what else there is is a close frame"
                    yield Close(int(frame.payload[0]), frame.payload[1])
        except ParseFailed as error:
            is_size = error.code is CloseReason.MESSAGE_TOO_BIG
            yield Fault(int(error.code), _TOO_LARGE if is_size else str(error))

    def _assemble(self, frame: Frame) -> str | bytes | None:
        """The message, once it is whole. Raises ParseFailed when it is too large."""
        data = frame.payload
        assert not isinstance(data, tuple), "only close frames have codes"
        pieces = self._pieces
        if pieces is None:
            if frame.message_finished:
                if octet_count(data) > self._limit:
                    raise ParseFailed(_TOO_LARGE, CloseReason.MESSAGE_TOO_BIG)
                return data
            pieces = self._pieces = Pieces("") if frame.opcode is _TEXT else Pieces(b"")
        pieces.add(data)
        if pieces.octets > self._limit:
            raise ParseFailed(_TOO_LARGE, CloseReason.MESSAGE_TOO_BIG)
        if not frame.message_finished:
            return None
        self._pieces = None
        whole: str | bytes = pieces.join()
        return whole

    # Writing

    def message(self, data: str | bytes, is_last: bool = True) -> bytes:
        """The frame of a message, or of the next part of one; all parts are of one type."""
        return bytes(self._frames.send_data(data, is_last))

    def ping(self) -> bytes:
        return bytes(self._frames.ping())

    def pong(self, ping: Ping) -> bytes:
        return bytes(self._frames.pong(ping.payload))

    def close(self, code: int, reason: str) -> bytes:
        """A close frame, ours or the answer to the client's; a long reason is cut off."""
        if code == CloseCode.NO_STATUS:
            return bytes(self._frames.close())
        return bytes(self._frames.close(code, reason or None))


def octet_count(data: str | bytes) -> int:
    """The size of a message, or a part of one, in bytes."""
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())


def _octets(frame: Frame) -> bytes:
    assert isinstance(frame.payload, bytes), "control frames are not text"
    return frame.payload
