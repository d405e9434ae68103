"""The lines of a response head, and how its recipient will find the end of the content (RFC 9112 6.3).

::

    no content allowed (HEAD, 204, 205, 304)    EMPTY; chunks are counted, not sent
    trailers wanted, HTTP/1.1                   CHUNKED
    Content-Length declared                     LENGTH; more is an error, and so is less
    the first chunk is the last                 LENGTH, computed
    HTTP/1.1                                    CHUNKED
    HTTP/1.0                                    CLOSE
"""

from __future__ import annotations

import enum
from functools import lru_cache
from http import HTTPStatus

from greenuni.errors import LocalProtocolError
from greenuni.http.events import Headers
from greenuni.http.grammar import CONTROL

SERVER = b"greenuni"
SERVER_LINE = b"Server: %s\r\n" % SERVER

# Where the phrase of RFC 9110 15 is younger than the oldest Python that we run on
_NEW_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
_STATUS_LINES = {
    int(status): b"HTTP/1.1 %d %s\r\n"
    % (status, _NEW_PHRASES.get(status, status.phrase).encode("ascii"))
    for status in HTTPStatus
}


class Framing(enum.Enum):
    """What tells the recipient where the content ends."""

    EMPTY = "empty"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


# Bound once: before Python 3.12, finding a member through its class is a call.
EMPTY, LENGTH, CHUNKED, CLOSE = Framing


@lru_cache(maxsize=256)
def status_line(status: int, reason: bytes = b"") -> bytes:
    """``HTTP/1.1 200 OK`` and CRLF, with the standard phrase unless ``reason`` is given."""
    if not reason:
        return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    if CONTROL.search(reason):
        raise LocalProtocolError("the reason phrase of the response has a control character")
    return b"HTTP/1.1 %d %s\r\n" % (status, reason)


def render_fields(headers: Headers) -> bytes:
    """Field lines, each with its CRLF."""
    return b"".join([b"%s: %s\r\n" % item for item in headers])


def own_lines(date: bytes) -> bytes:
    """The lines that the server adds to most responses: Date, unless it is empty, and Server."""
    return date_line(date) + SERVER_LINE


def date_line(date: bytes) -> bytes:
    """The line of Date, empty for no date."""
    return b"Date: %s\r\n" % date if date else b""


def length_line(length: int) -> bytes:
    """The line of Content-Length."""
    return b"Content-Length: %d\r\n" % length
