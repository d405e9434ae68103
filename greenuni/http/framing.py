"""The head of a response, and how its recipient will find the end of the content (RFC 9112 6.3).

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
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from greenuni.errors import LocalProtocolError
from greenuni.http.events import Headers
from greenuni.http.fields import Field, ResponseFields
from greenuni.http.grammar import CONTROL
from greenuni.http.request import Request

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


@dataclass(slots=True)
class ResponseHead:
    """What an application said of its response, judged; nothing of it has left yet."""

    status: int
    line: bytes  # the status line with its CRLF
    fields: ResponseFields
    date: bytes  # IMF-fixdate, empty for no Date field
    close: bool  # the connection is to end with this response
    trailers: bool  # there may be trailers
    allows_content: bool
    is_current: bool  # the client speaks HTTP/1.1

    def choose_framing(self, is_whole: bool) -> Framing:
        """``is_whole`` says that all of the content comes with the head."""
        if not self.allows_content:
            return Framing.EMPTY
        if self.trailers and self.is_current:
            return Framing.CHUNKED
        if is_whole or self.fields.content_length is not None:
            return Framing.LENGTH
        return Framing.CHUNKED if self.is_current else Framing.CLOSE

    def render(self, framing: Framing, length: int | None, persistent: bool) -> bytes:
        """The octets of the head. ``length`` is that of content that is whole, else None."""
        fields = self.fields
        lines = [self.line, render_fields(fields.headers)]
        if self.date and not fields.has_date:
            lines.append(b"Date: %s\r\n" % self.date)
        if not fields.has_server:
            lines.append(b"Server: %s\r\n" % SERVER)
        if framing is Framing.CHUNKED:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif (announced := self._announced_length(framing, length)) is not None:
            lines.append(b"Content-Length: %d\r\n" % announced)
        if not persistent:
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _announced_length(self, framing: Framing, length: int | None) -> int | None:
        """The value of Content-Length; None for no such field (RFC 9110 8.6)."""
        if self.status == 204:
            return None
        if self.status == 205:
            return 0
        if self.fields.content_length is not None:
            return self.fields.content_length
        if framing is Framing.EMPTY and (self.status == 304 or not length):
            # What a GET would have had is known only when HEAD was answered as if it were one.
            return None
        return length


def judge_head(
    request: Request,
    status: int,
    headers: Iterable[Field],
    reason: bytes,
    date: bytes,
    close: bool,
    trailers: bool,
    text: bool,
) -> ResponseHead:
    """The head of a final response to ``request``. Raises LocalProtocolError."""
    if not 200 <= status <= 999:
        raise LocalProtocolError(f"{status!r} is not the status of a final response")
    fields = ResponseFields(headers, text)
    return ResponseHead(
        status=status,
        line=status_line(status, reason),
        fields=fields,
        date=date,
        close=close or fields.wants_close,
        trailers=trailers,
        allows_content=request.method != b"HEAD" and status not in _WITHOUT_CONTENT,
        is_current=request.http_version == b"1.1",
    )


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
