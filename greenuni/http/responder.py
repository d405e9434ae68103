"""One response to one request: framed here, for both shells.

What the application says (status, fields, chunks) goes in; octets that are a well-formed message
come out. The head waits for the first chunk, because only then it is known whether more will come,
and with that how to frame; see ``framing``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from greenuni.errors import LocalProtocolError
from greenuni.http.connection import Connection
from greenuni.http.events import Headers
from greenuni.http.fields import Field, ResponseFields, judge_trailers
from greenuni.http.framing import (
    CHUNKED,
    CLOSE,
    EMPTY,
    LENGTH,
    SERVER_LINE,
    Framing,
    date_line,
    length_line,
    own_lines,
    render_fields,
    status_line,
)
from greenuni.http.request import Request

SMALL = 16 * 1024  # octets of a chunk up to which it is copied behind its head, for one write

LENGTHS_LIMIT = 1024  # of lengths whose lines are kept

# Lines that were written before, because most responses are like others.
_status_lines: dict[int, tuple[bytes, bytes]] = {}  # the last reason by status, and the line
_length_lines: dict[int, bytes] = {}
_last_own: list[tuple[bytes, bytes]] = [(b"", own_lines(b""))]  # the last date, and the lines


class ResponderState(enum.Enum):
    """How far a response has come."""

    PENDING = "pending"  # nothing known
    STARTED = "started"  # head known, and still replaceable
    HEAD_SENT = "head sent"
    ENDED = "ended"
    BROKEN = "broken"  # cannot be completed; the connection must close


# Bound once: before Python 3.12, finding a member through its class is a call.
PENDING, STARTED, HEAD_SENT, ENDED, BROKEN = ResponderState


class Responder:
    """Frames one response. What its methods return counts as sent; write it, or close.

    ``status`` is 0 before ``start``. ``wants_body`` is false when the response has no content, as
    to HEAD: chunks are counted, not sent. ``body_bytes`` counts the octets of content sent.
    """

    __slots__ = (
        "_close",
        "_connection",
        "_date",
        "_fields",
        "_framing",
        "_line",
        "_request",
        "_seen",
        "_trailers",
        "body_bytes",
        "state",
        "status",
        "wants_body",
    )

    def __init__(self, connection: Connection, request: Request) -> None:
        self._open(connection, request)

    def _open(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._fields: ResponseFields | None = None
        self._seen = 0  # octets of content that the application gave
        self.state = PENDING
        self.status = 0
        self.body_bytes = 0
        self.wants_body = request.method != b"HEAD"

    def __repr__(self) -> str:
        return f"<Responder {self.state.value} status={self.status} body_bytes={self.body_bytes}>"

    @property
    def started(self) -> bool:
        return self.state is not PENDING

    @property
    def head_sent(self) -> bool:
        """Whether it is too late for another head."""
        return self.state is not PENDING and self.state is not STARTED

    @property
    def ended(self) -> bool:
        return self.state is ENDED

    @property
    def headers(self) -> Headers:
        """The application's fields that go out as they are."""
        return self._fields.pairs() if self._fields else []

    @property
    def remaining(self) -> int | None:
        """Octets of content that the declared Content-Length still asks for; None without one."""
        declared = self._fields.content_length if self._fields else None
        return None if declared is None else declared - self._seen

    def start(
        self,
        status: int,
        headers: Iterable[Field],
        reason: bytes = b"",
        date: bytes = b"",
        close: bool = False,
        trailers: bool = False,
        text: bool = False,
    ) -> None:
        """Set the head, or replace it while nothing of it has left (PEP 3333, exc_info).

        Names and values are bytes, or all of them latin-1 strings with ``text``. ``date`` is an
        IMF-fixdate, empty for no Date field. With ``close`` the connection ends with the response.

        Raises LocalProtocolError for what is no status, reason, field or field value; what was
        set before then stays.
        """
        self._require_no_head_sent()
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"{status!r} is not the status of a final response")
        line = _status_line(status, reason)
        fields = self._connection.engine.write_fields(headers, text)
        self._line, self._fields, self._date = line, fields, date
        self._close = close or fields.wants_close
        self._trailers = trailers
        self._seen = 0
        self.status = status
        # RFC 9110 15.3.5, 15.3.6, 15.4.5
        self.wants_body = self._request.method != b"HEAD" and self.status not in (204, 205, 304)
        self.state = STARTED

    def send(self, chunk: bytes, more: bool = False) -> list[bytes]:
        """What to write for the next ``chunk``, with the head before the first one.

        What is small comes as one. An empty first chunk with ``more`` sends the head alone.
        Raises LocalProtocolError when the content does not fit the declared Content-Length;
        nothing of the chunk goes out then.
        """
        return self._send(chunk, not more, b"")

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> list[bytes]:
        """What to write to end the response.

        Trailers are left out where the framing has no place for them (RFC 9110 6.5).
        """
        return self._send(b"", True, render_fields(judge_trailers(trailers)) if trailers else b"")

    def passthrough(self, count: int) -> list[bytes]:
        """The head of a response whose ``count`` octets of content the caller writes itself.

        Nothing is to be written after the head unless ``wants_body``.
        """
        self._require_started()
        self._require_no_head_sent()
        self._trailers = False  # chunked coding would have to know where the octets are
        self._count(count, True)
        head = self._begin(count)
        if self.wants_body:
            self.body_bytes = count
        self._finish()
        return [b"".join(head)]

    def informational(self, status: int, headers: Iterable[Field] = ()) -> bytes:
        """An interim response, 1xx but 101; empty for an HTTP/1.0 client, who knows none."""
        self._require_no_head_sent()
        if not 100 <= status <= 199 or status == 101:
            raise LocalProtocolError(f"{status!r} is not the status of an interim response")
        fields = self._connection.engine.write_fields(headers, False)
        if self._request.http_version != b"1.1":
            return b""
        self._connection.informational_sent()
        return status_line(status) + fields.lines + b"\r\n"

    def _send(self, chunk: bytes, is_last: bool, trailers: bytes) -> list[bytes]:
        self._require_started()
        count = len(chunk)
        self._count(count, is_last)
        if self.state is not STARTED:
            parts: list[bytes] = []
        else:
            parts = self._begin(count if is_last else None)
            if count > SMALL:
                parts = [b"".join(parts)]
        if count and self.wants_body:
            self.body_bytes += count
            if self._framing is CHUNKED:
                parts += (b"%x\r\n" % count, chunk, b"\r\n")
            else:
                parts.append(chunk)
        if is_last:
            if self._framing is CHUNKED:
                parts.append(b"0\r\n%s\r\n" % trailers)
            self._finish()
        if parts and count <= SMALL:
            return [self._connection.engine.join(parts)]
        return parts

    def _begin(self, length: int | None) -> list[bytes]:
        """The lines of the head, now that it must be known how the content will end.

        ``length`` is there when all of the content is known.
        """
        fields = self._fields
        assert fields is not None, "begun after start"
        framing = self._framing = self._choose_framing(length is not None, fields.content_length)
        persistent = self._connection.response_started(self._close or framing is CLOSE)
        self.state = HEAD_SENT
        if framing is CHUNKED:
            framing_line = b"Transfer-Encoding: chunked\r\n"
        else:
            framing_line = _length_line(self._announced_length(length))
        end = b"\r\n" if persistent else b"Connection: close\r\n\r\n"
        return [self._line, fields.lines, self._own_lines(), framing_line, end]

    def _own_lines(self) -> bytes:
        """Date and Server, but for what the application gave."""
        fields = self._fields
        assert fields is not None, "rendered after start"
        if not fields.has_date and not fields.has_server:
            return _own_lines(self._date)
        date = b"" if fields.has_date else date_line(self._date)
        return date if fields.has_server else date + SERVER_LINE

    def _announced_length(self, length: int | None) -> int | None:
        """The value of Content-Length, None for no such field (RFC 9110 8.6).

        ``length`` is that of the content, if all of it is known.
        """
        fields = self._fields
        assert fields is not None, "rendered after start"
        if self.status == 204:
            return None
        if self.status == 205:
            return 0
        if fields.content_length is not None:
            return fields.content_length
        if self._framing is EMPTY and (self.status == 304 or not length):
            # What a GET would have had is known only when HEAD was answered as if it were one.
            return None
        return length

    def _choose_framing(self, is_whole: bool, declared: int | None) -> Framing:
        """``is_whole`` says that all of the content comes with the head."""
        if not self.wants_body:
            return EMPTY
        if (is_whole or declared is not None) and not self._trailers:
            return LENGTH
        if self._request.http_version == b"1.1":
            return CHUNKED
        return LENGTH if is_whole or declared is not None else CLOSE

    def _finish(self) -> None:
        self._connection.response_ended()
        self.state = ENDED

    def _count(self, count: int, is_last: bool) -> None:
        """Hold the application to the Content-Length that it declared (RFC 9110 8.6)."""
        self._seen += count
        declared = self._fields.content_length if self._fields else None
        if declared is None or not self.wants_body:
            return
        wanted: int = declared
        if self._seen > wanted:
            self._break("more")
        if is_last and self._seen < wanted:
            self._break("less")

    def _break(self, problem: str) -> None:
        if self.state is HEAD_SENT:
            self.state = BROKEN
            self._connection.response_broken()
        raise LocalProtocolError(
            f"the response has {problem} content than its 'Content-Length' header says"
        )

    def _require_started(self) -> None:
        if self.state is not STARTED and self.state is not HEAD_SENT:
            raise LocalProtocolError(f"nothing can be sent: the response is {self.state.value}")

    def _require_no_head_sent(self) -> None:
        if self.state is not PENDING and self.state is not STARTED:
            raise LocalProtocolError("the head of the response has already been sent")


def new_responder(connection: Connection, request: Request) -> Responder:
    """``Responder(connection, request)``, which in compiled code is a call by Python's convention."""
    responder = Responder.__new__(Responder)
    responder._open(connection, request)
    return responder


def _status_line(status: int, reason: bytes) -> bytes:
    known = _status_lines.get(status)
    if known is None or known[0] != reason:
        known = _status_lines[status] = (reason, status_line(status, reason))
    return known[1]


def _length_line(length: int | None) -> bytes:
    if length is None:
        return b""
    line = _length_lines.get(length)
    if line is None:
        line = length_line(length)
        if len(_length_lines) < LENGTHS_LIMIT:
            _length_lines[length] = line
    return line


def _own_lines(date: bytes) -> bytes:
    last = _last_own[0]
    if last[0] != date:
        last = _last_own[0] = (date, own_lines(date))
    return last[1]
