"""What a worker, or a mold, says to the arbiter, all of it: rare events, typed, on a pipe.

On the wire a message is four bytes of length, big-endian, and its kind and its fields as text, parted by NUL.
For JSON all processes would keep a quarter of a megabyte. A message is written whole under a lock; the
reader takes whatever bytes there are.
"""

import os
import struct
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from greenuni.errors import GreenuniError

LONGEST_MESSAGE = 1 << 20  # bytes; the arbiter must not be made to keep more
LONGEST_DETAILS = 100_000  # characters of a traceback, the last ones
_LENGTH = struct.Struct("!I")
_BETWEEN, _SHOWN = "\0", "\\0"  # what parts the fields, and how it is shown in one


class Booted(NamedTuple):
    """The process has become a worker; it goes on to load the application."""


class Ready(NamedTuple):
    """The worker answers requests. ``description`` says what it serves and how."""

    description: str


class Failed(NamedTuple):
    """The worker cannot serve. ``details`` is a traceback to show once, or empty."""

    message: str
    details: str
    exit_status: int


class Retiring(NamedTuple):
    """The worker asks to be replaced; it serves on until TERM."""

    reason: str


class Changed(NamedTuple):
    """A file that the application was loaded from has changed (``--reload``)."""

    path: str


class Loaded(NamedTuple):
    """A mold has loaded the application, and can fork workers."""


Message = Booted | Ready | Failed | Retiring | Changed | Loaded

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Booted, Ready, Failed, Retiring, Changed, Loaded)
}


class MessageError(GreenuniError):
    """Bytes on a message pipe that are no message; the pipe is of no use any more."""


def encode(message: Message) -> bytes:
    """The bytes of one message."""
    if isinstance(message, Failed) and len(message.details) > LONGEST_DETAILS:
        message = message._replace(details="..." + message.details[-LONGEST_DETAILS:])
    fields = [str(field).replace(_BETWEEN, _SHOWN) for field in message]
    body = _BETWEEN.join([type(message).__name__, *fields]).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(body)) + body


def _decode(body: bytes) -> Message:
    try:
        name, *fields = body.decode("utf-8", "surrogatepass").split(_BETWEEN)
        kind = _KINDS[name]
        types = kind.__annotations__.values()
        message: Message = kind(*(of(field) for of, field in zip(types, fields, strict=True)))
    except (ValueError, KeyError) as error:
        raise MessageError(f"not a message of a worker: {body[:80]!r}") from error
    return message


class Decoder:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes. Raises `MessageError`, after those that came before."""
        self._rest += data
        while len(self._rest) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._rest)
            if length > LONGEST_MESSAGE:
                raise MessageError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._rest) < end:
                break
            body, self._rest = self._rest[_LENGTH.size : end], self._rest[end:]
            yield _decode(body)

    def __repr__(self) -> str:
        return f"<Decoder {len(self._rest)} bytes wait>"


class Channel:
    """The worker's end of its pipe. Any thread may `send`; what cannot be sent is dropped.

    A broken pipe means that the arbiter is gone, which the lifeline tells in its own way.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Write one message, waiting while the pipe is full."""
        data = memoryview(encode(message))
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:
                return

    def __repr__(self) -> str:
        return f"<Channel {self._descriptor}>"
