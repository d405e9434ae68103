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
from greenuni.http.fields import ResponseFields
from greenuni.http.grammar import CONTROL

SERVER = b"greenuni"

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
_WITHOUT_CONTENT = frozenset((204, 205, 304))


class Framing(enum.Enum):
    """What tells the recipient where the content ends."""

    EMPTY = "empty"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


# Bound once: before Python 3.12, finding a member through its class is a call.
EMPTY, LENGTH, CHUNKED, CLOSE = Framing


_lines_by_date: dict[bytes, bytes] = {}  # of one second: most responses have the same two lines


def has_content(status: int) -> bool:
    """Whether a response with that status may have content (RFC 9110 15.3.5, 15.3.6, 15.4.5)."""
    return status not in _WITHOUT_CONTENT


def announced_length(status: int, declared: int | None, known: int | None) -> int | None:
    """The value of Content-Length, None for no such field (RFC 9110 8.6).

    ``declared`` by the application; ``known`` because all of the content comes with the head.
    """
    if status == 204:
        return None
    if status == 205:
        return 0
    return known if declared is None else declared


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


def own_lines(date: bytes, fields: ResponseFields) -> bytes:
    """Date and Server, but for what the application gave. No Date if ``date`` is empty."""
    if fields.has_date or fields.has_server or not date:
        date_line = b"Date: %s\r\n" % date if date and not fields.has_date else b""
        return date_line if fields.has_server else b"%sServer: %s\r\n" % (date_line, SERVER)
    lines = _lines_by_date.get(date)
    if lines is None:
        _lines_by_date.clear()
        lines = _lines_by_date[date] = b"Date: %s\r\nServer: %s\r\n" % (date, SERVER)
    return lines


@lru_cache(maxsize=1024)
def length_line(length: int) -> bytes:
    """The line of Content-Length."""
    return b"Content-Length: %d\r\n" % length
