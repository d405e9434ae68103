"""Reading one whole request, head and body, without I/O but for the body's temporary file."""

from __future__ import annotations

import enum
import io
from typing import IO

from greenuni.errors import RemoteProtocolError
from greenuni.http import (
    NEED_DATA,
    Connection,
    Data,
    EndOfMessage,
    Request,
)
from greenuni.wsgi.body import RequestBody


class Progress(enum.Enum):
    """How far a request has come."""

    HEAD_MISSING = "head missing"  # or some of it
    HEAD_WHOLE = "head whole"  # told by a reader that pauses there
    BODY_MISSING = "body missing"  # or some of it
    WHOLE = "whole"
    CLIENT_GONE = "client gone"  # before it began a request


# Bound once: before Python 3.12, finding a member through its class is a call.
HEAD_MISSING, HEAD_WHOLE, BODY_MISSING, WHOLE, CLIENT_GONE = Progress


def preview(wire: Connection, data: bytes) -> Request | None:
    """The request that ``data`` begins with, None if its head is not whole; by a ``wire`` for this only."""
    if not data:
        return None
    try:
        event = wire.take(data) or wire.next_event()
    except RemoteProtocolError:
        return None  # whoever reads it will say so
    return event if isinstance(event, Request) else None


class RequestReader:
    """Reads one request of a connection that has not come whole by the first read.

    ``request`` is there once its head is, ``input`` is the body once that is whole.
    """

    __slots__ = (
        "_body",
        "_directory",
        "_memory_limit",
        "_pauses",
        "_told",
        "input",
        "request",
        "wire",
    )

    def __init__(
        self, wire: Connection, memory_limit: int, directory: str | None, pauses: bool = False
    ) -> None:
        """``pauses`` if nothing of a body is to be read before somebody has seen the head."""
        self.wire = wire
        self.request: Request | None = None
        self._memory_limit = memory_limit
        self._directory = directory
        self._pauses = pauses
        self._body: RequestBody | None = None
        self._told = 0  # bytes of the body that ``new_bytes`` has told of
        self.input: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"<RequestReader {self.request} body={self._body} of {self.wire}>"

    @property
    def body_size(self) -> int:
        """Bytes of the body so far."""
        return self._body.size if self._body is not None else 0

    def new_bytes(self) -> int:
        """How many bytes of the body have come since this was asked last."""
        told, self._told = self._told, self.body_size
        return self._told - told

    def read(self) -> Progress:
        """Read on with what the wire has received. Raises RemoteProtocolError and SpoolError."""
        next_event = self.wire.next_event
        while True:
            event = next_event()
            if type(event) is Request:
                self.request = event
                if event.has_body:
                    self._body = RequestBody(self._memory_limit, self._directory)
                if self._pauses:
                    return HEAD_WHOLE
            elif type(event) is EndOfMessage:
                self.input = io.BytesIO() if self._body is None else self._body.open()
                return WHOLE
            elif type(event) is Data:
                assert self._body is not None
                self._body.write(event.data)
            elif event is NEED_DATA:
                return HEAD_MISSING if self.request is None else BODY_MISSING
            else:
                return CLIENT_GONE

    def maybe_continue(self) -> bytes:
        """``100 Continue`` if the client waits for it before it sends the body, else nothing."""
        if self.wire.they_are_waiting_for_100_continue:
            return self.wire.send_continue()
        return b""

    def close(self) -> None:
        """Let go of the body, and of its file."""
        if self._body is not None:
            self._body.close()
            self._body = None
        self.input = None
