"""One response to one request: framed here, for both shells.

What the application says (status, fields, chunks) goes in; octets that are a well-formed message
come out. The head waits for the first chunk, because only then it is known whether more will come,
and with that how to frame; see ``framing``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Protocol

from greenuni.errors import LocalProtocolError
from greenuni.http.events import Headers
from greenuni.http.fields import Field, ResponseFields, judge_trailers
from greenuni.http.framing import Framing, ResponseHead, judge_head, render_fields, status_line
from greenuni.http.request import Request

SMALL = 16 * 1024  # octets of a chunk up to which it is copied behind its head, for one write


class ResponderState(enum.Enum):
    """How far a response has come."""

    PENDING = "pending"  # nothing known
    STARTED = "started"  # head known, and still replaceable
    HEAD_SENT = "head sent"
    ENDED = "ended"
    BROKEN = "broken"  # cannot be completed; the connection must close


class ResponseSide(Protocol):
    """What a Responder tells its connection; only the connection knows whether it can go on."""

    def response_started(self, close: bool) -> bool:
        """A final head goes out; returns whether the connection persists after it."""

    def response_ended(self) -> None:
        """The last octet of the response goes out."""

    def response_broken(self) -> None:
        """The response that was begun cannot be completed."""

    def informational_sent(self) -> None:
        """An interim response goes out."""


class Responder:
    """Frames one response. What its methods return counts as sent; write it, or close."""

    __slots__ = ("_connection", "_framing", "_head", "_request", "_seen", "_state", "body_bytes")

    def __init__(self, connection: ResponseSide, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._state = ResponderState.PENDING
        self._head: ResponseHead | None = None
        self._framing = Framing.EMPTY
        self._seen = 0  # octets of content that the application gave
        self.body_bytes = 0  # octets of content sent

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
        """Whether it is too late for another head."""
        return self._state not in (ResponderState.PENDING, ResponderState.STARTED)

    @property
    def ended(self) -> bool:
        return self._state is ResponderState.ENDED

    @property
    def status(self) -> int:
        """The status of the response, 0 before ``start``."""
        return self._head.status if self._head else 0

    @property
    def headers(self) -> Headers:
        """The application's fields that go out as they are."""
        return self._head.fields.headers if self._head else []

    @property
    def remaining(self) -> int | None:
        """Octets of content that the declared Content-Length still asks for; None without one."""
        declared = self._head.fields.content_length if self._head else None
        return None if declared is None else declared - self._seen

    @property
    def wants_body(self) -> bool:
        """False when the response has no content, as to HEAD: chunks are counted, not sent."""
        return self._head.allows_content if self._head else self._request.method != b"HEAD"

    def start(
        self,
        status: int,
        headers: Iterable[Field],
        reason: bytes = b"",
        *,
        date: bytes,
        close: bool = False,
        trailers: bool = False,
        text: bool = False,
    ) -> None:
        """Set the head, or replace it while nothing of it has left (PEP 3333, exc_info).

        Names and values are bytes, or all of them latin-1 strings with ``text``.
        Raises LocalProtocolError for what is no status, reason, field or field value; what was
        set before then stays.
        """
        self._require_no_head_sent()
        self._head = judge_head(self._request, status, headers, reason, date, close, trailers, text)
        self._seen = 0
        self._state = ResponderState.STARTED

    def send(self, chunk: bytes, more: bool) -> list[bytes]:
        """What to write for the next ``chunk``, with the head before the first one.

        What is small comes as one. An empty first chunk with ``more`` sends the head alone.
        Raises LocalProtocolError when the content does not fit the declared Content-Length;
        nothing of the chunk goes out then.
        """
        return self._send(chunk, more, ())

    def end(self, trailers: Iterable[tuple[bytes, bytes]] = ()) -> list[bytes]:
        """What to write to end the response.

        Trailers are left out where the framing has no place for them (RFC 9110 6.5).
        """
        return self._send(b"", False, judge_trailers(trailers) if trailers else ())

    def passthrough(self, count: int) -> list[bytes]:
        """The head of a response whose ``count`` octets of content the caller writes itself.

        Nothing is to be written after the head unless ``wants_body``.
        """
        head = self._require_head()
        self._require_no_head_sent()
        head.trailers = False  # chunked coding would have to know where the octets are
        self._count(head, count, is_last=True)
        out = self._begin(head, count)
        if head.allows_content:
            self.body_bytes = count
        self._finish()
        return out

    def informational(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """An interim response, 1xx but 101; empty for an HTTP/1.0 client, who knows none."""
        self._require_no_head_sent()
        if not 100 <= status <= 199 or status == 101:
            raise LocalProtocolError(f"{status!r} is not the status of an interim response")
        fields = ResponseFields(headers)
        if self._request.http_version != b"1.1":
            return b""
        self._connection.informational_sent()
        return status_line(status) + render_fields(fields.headers) + b"\r\n"

    def _send(self, chunk: bytes, more: bool, trailers: Headers | tuple[()]) -> list[bytes]:
        head = self._require_head()
        count = len(chunk)
        self._count(head, count, is_last=not more)
        if self._state is ResponderState.STARTED:
            out = self._begin(head, None if more else count)
        else:
            out = []
        if count and head.allows_content:
            self.body_bytes += count
            if self._framing is Framing.CHUNKED:
                out += (b"%x\r\n" % count, chunk, b"\r\n")
            else:
                out.append(chunk)
        if not more:
            if self._framing is Framing.CHUNKED:
                out.append(b"0\r\n%s\r\n" % render_fields(list(trailers)))
            self._finish()
        if len(out) > 1 and count <= SMALL:
            return [b"".join(out)]
        return out

    def _begin(self, head: ResponseHead, length: int | None) -> list[bytes]:
        """Choose the framing and make the head; ``length`` when all of the content is known."""
        framing = self._framing = head.choose_framing(length is not None)
        persistent = self._connection.response_started(head.close or framing is Framing.CLOSE)
        self._state = ResponderState.HEAD_SENT
        return [head.render(framing, length, persistent)]

    def _finish(self) -> None:
        self._connection.response_ended()
        self._state = ResponderState.ENDED

    def _count(self, head: ResponseHead, count: int, is_last: bool) -> None:
        """Hold the application to the Content-Length that it declared (RFC 9110 8.6)."""
        self._seen += count
        declared = head.fields.content_length
        if declared is None or not head.allows_content:
            return
        if self._seen > declared:
            self._break("more")
        if is_last and self._seen < declared:
            self._break("less")

    def _break(self, problem: str) -> None:
        if self.head_sent:
            self._state = ResponderState.BROKEN
            self._connection.response_broken()
        raise LocalProtocolError(
            f"the response has {problem} content than its 'Content-Length' header says"
        )

    def _require_head(self) -> ResponseHead:
        if self._head is None or self._state in (ResponderState.ENDED, ResponderState.BROKEN):
            raise LocalProtocolError(f"nothing can be sent: the response is {self._state.value}")
        return self._head

    def _require_no_head_sent(self) -> None:
        if self.head_sent:
            raise LocalProtocolError("the head of the response has already been sent")
