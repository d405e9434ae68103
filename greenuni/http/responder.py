"""One response to one request: framed here, for both shells.

What the application says (status, fields, chunks) goes in; bytes that are a well-formed message
come out. The framing is chosen when the head has to go out, which is with the first chunk:

    no body allowed (HEAD, 1xx, 204, 205, 304)      none; chunks are counted, not sent
    Content-Length declared                         that; more is an error, and so is less
    the first chunk is the last                     a computed Content-Length
    HTTP/1.1                                        chunked
    HTTP/1.0                                        until close
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from greenuni.errors import LocalProtocolError
from greenuni.http import grammar
from greenuni.http.events import Headers
from greenuni.http.fields import ResponseFields, check_value, lower_name, read_fields
from greenuni.http.request import Request

if TYPE_CHECKING:
    from greenuni.http.connection import Connection

SERVER = b"greenuni"

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
}


class ResponderState(enum.Enum):
    """How far a response has come."""

    PENDING = "pending"  # nothing known
    STARTED = "started"  # head known, and still replaceable
    HEAD_SENT = "head sent"
    ENDED = "ended"
    FAILED = "failed"  # cannot be completed; the connection must close


class Framing(enum.Enum):
    """How the recipient finds the end of the body."""

    EMPTY = "empty"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


def status_line(status: int, reason: bytes = b"") -> bytes:
    """``HTTP/1.1 200 OK`` with CRLF; the standard phrase unless ``reason`` is given."""
    if not reason:
        return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    if not isinstance(reason, bytes) or grammar.control.search(reason):
        raise LocalProtocolError("the reason phrase of the response has a control character")
    return b"HTTP/1.1 %d %s\r\n" % (status, reason)


class Responder:
    """Frames one response. Every method that returns bytes has already counted them as sent."""

    __slots__ = (
        "_close",
        "_connection",
        "_date",
        "_declared",
        "_fields",
        "_framing",
        "_request",
        "_seen",
        "_state",
        "_status_line",
        "_trailers",
        "body_bytes",
        "status",
    )

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._state = ResponderState.PENDING
        self._framing = Framing.EMPTY
        self._fields = ResponseFields()
        self._status_line = b""
        self._date = b""
        self._close = False
        self._trailers = False
        self._declared: int | None = None  # content octets that must be seen
        self._seen = 0  # content octets given by the application
        self.body_bytes = 0  # content octets sent
        self.status = 0

    def __repr__(self) -> str:
        return f"<Responder {self._state.value} status={self.status} body_bytes={self.body_bytes}>"

    @property
    def state(self) -> ResponderState:
        return self._state

    @property
    def started(self) -> bool:
        return self._state is not ResponderState.PENDING

    @property
    def head_sent(self) -> bool:
        return self._state not in (ResponderState.PENDING, ResponderState.STARTED)

    @property
    def ended(self) -> bool:
        return self._state is ResponderState.ENDED

    @property
    def headers(self) -> Headers:
        """The application's fields that are sent as they are."""
        return self._fields.headers

    @property
    def remaining(self) -> int | None:
        """Content octets that the declared Content-Length still asks for; None without one."""
        return None if self._declared is None else self._declared - self._seen

    @property
    def wants_body(self) -> bool:
        """False when the response cannot have content: chunks are counted, not sent."""
        return self._request.method != b"HEAD" and self.status not in (204, 205, 304)

    def start(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        reason: bytes = b"",
        *,
        date: bytes,
        close: bool = False,
        trailers: bool = False,
    ) -> None:
        """Set the head, or replace it while nothing of it has left (PEP 3333, exc_info)."""
        if self.head_sent:
            raise LocalProtocolError("the response head has already been sent")
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"{status!r} is not the status of a final response")
        fields = read_fields(headers)
        self._status_line = status_line(status, reason)
        self._fields = fields
        self.status = status
        self._date = date
        self._close = close or fields.close
        self._trailers = trailers
        self._declared = fields.content_length
        self._seen = 0
        self._state = ResponderState.STARTED

    def send(self, chunk: bytes, more: bool) -> list[bytes]:
        """The bytes to write for the next ``chunk``, with the head before the first one.

        An empty first chunk with ``more`` sends the head alone. Raises LocalProtocolError when
        the content does not match the declared Content-Length; then nothing of it may be sent.
        """
        return self._send(chunk, more, ())

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> list[bytes]:
        """End the response. Trailers are dropped where the framing has no place for them."""
        return self._send(b"", False, trailers)

    def passthrough(self, count: int) -> list[bytes]:
        """The head of a response whose ``count`` octets of content the caller writes itself."""
        self._require_started()
        if self.head_sent:
            raise LocalProtocolError("the response head has already been sent")
        self._count(count, more=False)
        out = self._head(count, more=False)
        if self._framing is not Framing.EMPTY:
            self.body_bytes += count
        self._finish()
        return out

    def informational(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """An interim response (1xx but 101), before the head; empty for HTTP/1.0 clients."""
        if self.head_sent:
            raise LocalProtocolError("the response head has already been sent")
        if not 100 <= status <= 199 or status == 101:
            raise LocalProtocolError(f"{status!r} is not the status of an interim response")
        fields = read_fields(headers)
        if self._request.http_version != b"1.1":
            return b""
        self._connection.informational_sent()
        return status_line(status) + _field_lines(fields.headers) + b"\r\n"

    def _send(
        self, chunk: bytes, more: bool, trailers: Iterable[tuple[bytes, bytes]]
    ) -> list[bytes]:
        self._require_started()
        trailer_lines = self._trailer_lines(trailers)
        self._count(len(chunk), more)
        out = [] if self.head_sent else self._head(len(chunk), more)
        if chunk and self._framing is not Framing.EMPTY:
            self.body_bytes += len(chunk)
            if self._framing is Framing.CHUNKED:
                out += (b"%x\r\n" % len(chunk), chunk, b"\r\n")
            else:
                out.append(chunk)
        if not more:
            if self._framing is Framing.CHUNKED:
                out.append(b"0\r\n%s\r\n" % trailer_lines)
            self._finish()
        return out

    def _require_started(self) -> None:
        if self._state not in (ResponderState.STARTED, ResponderState.HEAD_SENT):
            raise LocalProtocolError(f"the response cannot go on: it is {self._state.value}")

    def _count(self, count: int, more: bool) -> None:
        """Hold the application to its Content-Length (RFC 9110 8.6)."""
        self._seen += count
        declared = self._declared
        if declared is None or not self.wants_body:
            return
        if self._seen > declared:
            problem = "more"
        elif not more and self._seen < declared:
            problem = "less"
        else:
            return
        if self.head_sent:
            self._state = ResponderState.FAILED
            self._connection.response_failed()
        raise LocalProtocolError(f"the response has {problem} content than its Content-Length says")

    def _head(self, count: int, more: bool) -> list[bytes]:
        """Choose the framing and make the head; ``count`` octets come with it."""
        lines = [self._status_line, _field_lines(self._fields.headers)]
        if self._date and not self._fields.has_date:
            lines.append(b"Date: %s\r\n" % self._date)
        if not self._fields.has_server:
            lines.append(b"Server: %s\r\n" % SERVER)
        self._framing = self._choose_framing(more)
        if self._framing is Framing.CHUNKED:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif (length := self._announced_length(count, more)) is not None:
            lines.append(b"Content-Length: %d\r\n" % length)
        if self._framing is Framing.CLOSE:
            self._close = True
        if not self._connection.response_started(self._close):
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        self._state = ResponderState.HEAD_SENT
        return [b"".join(lines)]

    def _choose_framing(self, more: bool) -> Framing:
        if not self.wants_body:
            return Framing.EMPTY
        is_current = self._request.http_version == b"1.1"
        if self._trailers and is_current:
            return Framing.CHUNKED
        if self._declared is not None or not more:
            return Framing.LENGTH
        return Framing.CHUNKED if is_current else Framing.CLOSE

    def _announced_length(self, count: int, more: bool) -> int | None:
        """The value of Content-Length, None for no such field (RFC 9110 8.6)."""
        if self.status == 204:
            return None
        if self.status == 205:
            return 0
        if self._declared is not None:
            return self._declared
        if self._framing is Framing.LENGTH:
            return count
        # What a GET would have had: known when HEAD was answered as GET, in one chunk.
        if self.status != 304 and count and not more:
            return count
        return None

    def _trailer_lines(self, trailers: Iterable[tuple[bytes, bytes]]) -> bytes:
        checked = list(trailers)
        for name, value in checked:
            lower_name(name)
            check_value(name, value)
        return _field_lines(checked)

    def _finish(self) -> None:
        self._state = ResponderState.ENDED
        self._connection.response_ended()


def _field_lines(headers: Headers) -> bytes:
    return b"".join([b"%s: %s\r\n" % item for item in headers])
