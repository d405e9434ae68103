"""One HTTP/1.1 connection, seen from the server, without I/O.

Octets go in by ``receive_data``, events come out of ``next_event``; docs/design.md, "The wire". The
guards (``section``, ``chunked``) see every octet first, the engine parses what has a grammar,
``request`` judges, ``responder`` frames the answer. This module keeps the order: what is buffered,
where both sides stand, and that nothing is read behind a fault or past the message in hand.
"""

from __future__ import annotations

from greenuni.errors import RemoteProtocolError
from greenuni.http.chunked import ChunkedGuard
from greenuni.http.engine import EngineChoice, choose_engine
from greenuni.http.events import ConnectionClosed, Data, EndOfMessage, Signal
from greenuni.http.framing import status_line
from greenuni.http.limits import Limits
from greenuni.http.message import Message
from greenuni.http.refusal import error_response
from greenuni.http.request import Request
from greenuni.http.section import SectionGuard
from greenuni.http.states import (
    BREAK,
    END,
    EOF,
    FAULT,
    HEAD,
    IDLE,
    INTERIM,
    REFUSAL,
    REQUEST,
    REQUEST_END,
    SEND_BODY,
    WHOLE_REQUEST,
    Sides,
)

Event = Request | Data | EndOfMessage | ConnectionClosed

_NEED_DATA, _PAUSED = Signal.NEED_DATA, Signal.PAUSED


class Connection(Sides):
    """The state of one connection. Not thread-safe: whoever owns the socket owns this.

    ``engine`` reads its requests and writes its responses. The client may wait for 100 Continue
    and not send its body before it (RFC 9110 10.1.1): ``they_are_waiting_for_100_continue``.
    """

    __slots__ = (
        "_ahead",
        "_buffer",
        "_chunked_guard",
        "_eof",
        "_fault",
        "_head",
        "_head_guard",
        "_limits",
        "_message",
        "_remaining",
        "_request",
        "engine",
        "they_are_waiting_for_100_continue",
    )

    def __init__(self, limits: Limits, engine: EngineChoice | None = None) -> None:
        self._start()
        self.engine = (engine or choose_engine()).engine
        self._limits = limits
        self._buffer = bytearray()
        self._eof = False
        self._fault: RemoteProtocolError | None = None
        self._head_guard: SectionGuard | None = None  # of a head that comes in pieces
        self._head = b""  # of a request whose content has not been told of
        self._forget_message()

    def _forget_message(self) -> None:
        """Nothing of one message may colour the next."""
        self._ahead: Request | None = None  # read by ``take``, and not told of yet
        self._request: Request | None = None
        self._message: Message | None = None  # reads a chunked body
        self._chunked_guard: ChunkedGuard | None = None
        self._remaining = 0  # octets of a counted body that have not come
        self.they_are_waiting_for_100_continue = False

    def __repr__(self) -> str:
        eof = " eof" if self._eof else ""
        return (
            f"<Connection our_state={self.our_state!r} their_state={self.their_state!r}"
            f" buffered={len(self._buffer)}{eof}>"
        )

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """Octets received that no event has told of, and whether EOF came after them."""
        return bytes(self._buffer), self._eof

    @property
    def unread(self) -> bytes:
        """All octets from the first one of the request in hand, for somebody else to read it anew.

        Whether its head is whole or not; but not when an event has told of its content, nor after
        ``take`` has returned it, for then the octets are those that were taken.
        """
        return self._head + self._buffer

    @property
    def has_more(self) -> bool:
        """Whether octets were received that no event has told of."""
        return len(self._buffer) > 0

    @property
    def buffered(self) -> int:
        """How many octets those are."""
        return len(self._buffer)

    # Reading

    def receive_data(self, data: bytes) -> None:
        """Take octets from the peer; ``b""`` is its EOF. Ask ``next_event`` what they mean."""
        if not data:
            self._eof = True
        elif self._eof:
            raise RuntimeError("data received after EOF")
        elif self._fault is None:
            self._buffer += data
            if self.their_state is SEND_BODY:
                self.they_are_waiting_for_100_continue = False

    def take(self, data: bytes) -> Request | None:
        """As ``receive_data``; the request, if ``data`` begin with a whole one between requests.

        Its content is then in ``Request.body`` and no further event tells of it. None when there is
        anything else, which ``next_event`` explains.
        """
        if data and self._is_between_requests():
            request = self.engine.recognise(data, self._limits)
            if request is not None:
                if request.body is not None:
                    self._take_whole(request, data)
                    return request
                self._ahead = request
        self.receive_data(data)
        return None

    def _is_between_requests(self) -> bool:
        return (
            self.their_state is IDLE
            and self._head_guard is None
            and not self._buffer
            and not self._eof
        )

    def _take_whole(self, request: Request, data: bytes) -> None:
        if request.size < len(data):
            self._buffer += memoryview(data)[request.size :]
        self._request = request
        self.advance(WHOLE_REQUEST)
        if not request.keep_alive:
            self.disable_persistence()

    def next_event(self) -> Event | Signal:
        """The next event, or NEED_DATA or PAUSED.

        Raises RemoteProtocolError when the peer broke HTTP or a limit, and again on every later
        call: what stands behind the fault is never read.
        """
        if self._fault is not None:
            raise RemoteProtocolError(str(self._fault), self._fault.status)
        try:
            event = self._read()
            if event is not None:
                return event
            return self._read_eof() if self._eof else _NEED_DATA
        except RemoteProtocolError as error:
            self._fault = error
            self.advance(FAULT)
            self._buffer.clear()
            raise

    def _read(self) -> Event | Signal | None:
        if self.their_state is IDLE:
            return self._read_head()
        if self.their_state is SEND_BODY:
            return self._read_body()
        return _PAUSED if self._buffer else None

    def _read_eof(self) -> ConnectionClosed:
        if self.their_state is SEND_BODY or (self.their_state is IDLE and self._buffer):
            raise RemoteProtocolError("The client closed the connection within a request.")
        self.advance(EOF)
        return ConnectionClosed()

    def _read_head(self) -> Request | None:
        request = self._ahead
        if request is not None:
            self._head = self._cut(request.size)
        else:
            request = self._read_guarded_head()
            if request is None:
                return None
        self._request = request
        self._remaining = request.content_length or 0
        self.they_are_waiting_for_100_continue = (
            request.expect_continue and request.has_body and not self._buffer
        )
        self.advance(REQUEST)
        if not request.keep_alive:
            self.disable_persistence()
        return request

    def _read_guarded_head(self) -> Request | None:
        if self._head_guard is None:
            self._head_guard = SectionGuard(self._limits, has_request_line=True)
        head = self._head_guard.take(self._buffer)
        if not head:
            return None
        self._head_guard = None
        self._head = head
        request, self._message = self.engine.read_head(head, self._limits)
        if self._message is not None:
            self._chunked_guard = ChunkedGuard(self._limits)
        return request

    def _read_body(self) -> Data | EndOfMessage | None:
        self._head = b""
        if self._message is not None:
            return self._read_chunked_body(self._message)
        if self._remaining == 0:
            self.advance(REQUEST_END)
            return EndOfMessage([])
        if not self._buffer:
            return None
        data = self._cut(self._remaining)
        self._remaining -= len(data)
        return Data(data)

    def _cut(self, count: int) -> bytes:
        """Cut at most ``count`` octets from the front of the buffer."""
        if len(self._buffer) <= count:
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            data = bytes(self._buffer[:count])
            del self._buffer[:count]
        return data

    def _read_chunked_body(self, message: Message) -> Data | EndOfMessage | None:
        guard = self._chunked_guard
        assert guard is not None, "what reads chunks comes with their guard"
        while good := guard.take(self._buffer):
            event = message.read_chunked(good)
            if isinstance(event, EndOfMessage):
                self._message = None
                self.advance(REQUEST_END)
            if event is not None:
                return event
        return None

    def start_next_cycle(self) -> bool:
        """Get ready for the next request; returns ``has_more``.

        Raises LocalProtocolError unless both sides are DONE.
        """
        self.next_cycle()
        self._forget_message()
        return len(self._buffer) > 0

    # Writing; the first four are what a Responder tells

    def response_started(self, close: bool) -> bool:
        """A final head goes out; returns whether the connection persists after it.

        It does not when the client still waits for 100 Continue: having our answer, it may send
        the body or leave it, and nobody could tell a body from the next request.
        """
        is_last = close or self.they_are_waiting_for_100_continue
        self.advance(HEAD)
        self.they_are_waiting_for_100_continue = False
        if is_last:
            self.disable_persistence()
        return self.persistent

    def response_ended(self) -> None:
        """The last octet of the response goes out."""
        self.advance(END)

    def response_broken(self) -> None:
        """The response that was begun cannot be completed."""
        self.advance(BREAK)

    def informational_sent(self) -> None:
        """An interim response goes out."""
        self.advance(INTERIM)
        self.they_are_waiting_for_100_continue = False

    def send_continue(self) -> bytes:
        """The octets of 100 Continue: send the body (RFC 9110 15.2.1)."""
        self.informational_sent()
        return status_line(100) + b"\r\n"

    def refuse(self, status: int, detail: str, date: bytes, lines: bytes = b"") -> bytes:
        """All octets of an error response, with which the connection ends; see `error_response`.

        Raises LocalProtocolError when a response has begun, for then there is no place for it.
        """
        self.advance(REFUSAL)
        is_head = self._request is not None and self._request.method == b"HEAD"
        return error_response(status, detail, date, not is_head, lines)
