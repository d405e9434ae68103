"""What a WSGI application says of its response, judged, and as ASGI's first message (PEP 3333)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from greenuni.bridge.interfaces import ExcInfo, Headers, Message
from greenuni.errors import LocalProtocolError

_NOT_STARTED = "the application did not call start_response"
_status = re.compile(r"([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_length = re.compile(rb"[0-9]{1,18}")


class Reply:
    """The response of one request: its head, and how much of its body is still due.

    The head can be replaced until it is committed, which is when the first byte of content is there.
    """

    __slots__ = (
        "_has_body",
        "_headers",
        "_method",
        "_status",
        "is_committed",
        "is_complete",
        "remaining",
    )

    def __init__(self, method: str) -> None:
        self._method = method
        self._status = 0  # not started
        self._headers: Headers = []
        self._has_body = True
        self.is_committed = False
        self.is_complete = False  # what comes now is not wanted
        self.remaining: int | None = None  # bytes that Content-Length still promises

    def __repr__(self) -> str:
        state = "complete" if self.is_complete else "committed" if self.is_committed else "open"
        return f"<Reply {self._status or 'none'} {state} remaining={self.remaining}>"

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None) -> None:
        """Take a head, or another one. Raises LocalProtocolError; the error in ``exc_info`` if too late."""
        if exc_info is not None:
            try:
                if self.is_committed:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # or the traceback would hold this frame, and this frame it
        elif self._status:
            raise LocalProtocolError("start_response was called again without exc_info")
        code = _code(status)
        self._headers, self.remaining = _encoded(headers)
        self._status = code
        self._has_body = self._method != "HEAD" and code not in (204, 304) and code >= 200

    def know_length(self, size: int) -> None:
        """The whole body is there: say how long it is, where that is allowed and has not been said."""
        if self._status >= 200 and self._status not in (204, 304) and self.remaining is None:
            self.remaining = size
            self._headers.append((b"content-length", b"%d" % size))

    def admit(self, chunk: bytes) -> bytes:
        """As much of a chunk as is to be sent. Commits the head. Raises LocalProtocolError."""
        if not self._status:
            raise LocalProtocolError(_NOT_STARTED)
        if not isinstance(chunk, bytes):
            raise LocalProtocolError(
                f"the response body has a chunk of type {type(chunk).__name__} instead of bytes"
            )
        self.is_committed = True
        if not self._has_body:
            self.is_complete = True
            return b""
        if self.remaining is not None:
            chunk = chunk[: self.remaining]
            self.remaining -= len(chunk)
            self.is_complete = not self.remaining
        return chunk

    def end(self) -> None:
        """There is no more. Raises LocalProtocolError if there should be."""
        if not self._status:
            raise LocalProtocolError(_NOT_STARTED)
        if self._has_body and self.remaining:
            raise LocalProtocolError(
                f"the response ended {self.remaining} bytes before its Content-Length"
            )
        self.is_committed = self.is_complete = True

    @property
    def hides_length(self) -> bool:
        """Whether a server could take the missing body for an empty one, and say so."""
        return self._method == "HEAD" and self.remaining is None

    def head(self) -> Message:
        """``http.response.start``."""
        return {
            "type": "http.response.start",
            "status": self._status,
            "headers": self._headers,
        }


@lru_cache(maxsize=128)
def _parse_status(status: str) -> int:
    match = _status.fullmatch(status)
    if match is None:
        raise LocalProtocolError(f"the status {status!r} is not like '200 OK'")
    return int(match[1])


def _code(status: Any) -> int:
    """``"200 OK"`` or ``"200"`` -> 200."""
    if not isinstance(status, str):
        raise LocalProtocolError(f"the status {status!r} is not a string")
    return _parse_status(status)


@lru_cache(maxsize=512)
def _field_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _encoded(headers: Any) -> tuple[Headers, int | None]:
    """The fields as ASGI wants them, and what Content-Length says."""
    if not isinstance(headers, list):
        raise LocalProtocolError(f"the response headers are not a list: {headers!r}")
    length: int | None = None
    encoded: Headers = []
    try:
        for name, value in headers:
            field = _field_name(name), value.encode("latin-1")
            encoded.append(field)
            if field[0] == b"content-length":
                length = _read_length(field[1])
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"response header value {error.object!r} is not latin-1") from None
    except (AttributeError, TypeError, ValueError):
        raise LocalProtocolError(
            "the response headers are not a list of (name, value) pairs of strings"
        ) from None
    return encoded, length


def _read_length(value: bytes) -> int:
    if not _length.fullmatch(value):
        raise LocalProtocolError("response header 'Content-Length' is not a number")
    return int(value)
