"""One HTTP/1.1 connection, seen from the server, without I/O.

Octets go in by ``receive_data``, events come out of ``next_event``; docs/design.md, "The wire". The
guards (``section``, ``chunked``) see every octet first, the engine parses what has a grammar,
``request`` judges, ``responder`` frames the answer. This module keeps the order: what is buffered,
where both sides stand, and that nothing is read behind a fault or past the message in hand.
"""

from __future__ import annotations

import re

from greenuni.errors import LocalProtocolError, RemoteProtocolError
from greenuni.http.chunked import ChunkedGuard
from greenuni.http.engine import Engine, EngineChoice, choose_engine, new_engine
from greenuni.http.events import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    InformationalResponse,
    Response,
    Signal,
)
from greenuni.http.limits import Limits
from greenuni.http.refusal import error_response
from greenuni.http.request import Request, read_request
from greenuni.http.responder import Responder
from greenuni.http.section import SectionGuard
from greenuni.http.states import Sides, State, Step

Event = Request | Data | EndOfMessage | ConnectionClosed
SendEvent = InformationalResponse | Response | Data | EndOfMessage


class Connection:
    """The state of one connection. Not thread-safe: whoever owns the socket owns this."""

    __slots__ = (
        "_buffer",
        "_chunked_guard",
        "_engine",
        "_eof",
        "_expects_continue",
        "_fault",
        "_head_guard",
        "_limits",
        "_remaining",
        "_request",
        "_responder",
        "_sides",
        "engine",
    )

    def __init__(self, limits: Limits, engine: EngineChoice | None = None) -> None:
        self.engine = engine or choose_engine()
        self._limits = limits
        self._buffer = bytearray()
        self._eof = False
        self._sides = Sides()
        self._fault: RemoteProtocolError | None = None
        self._head_guard = SectionGuard(limits, has_request_line=True)
        self._forget_message()

    def _forget_message(self) -> None:
        """Nothing of one message may colour the next."""
        self._request: Request | None = None
        self._responder: Responder | None = None  # of ``send``
        self._engine: Engine | None = None
        self._chunked_guard: ChunkedGuard | None = None
        self._remaining = 0  # octets of a counted body that have not come
        self._expects_continue = False

    def __repr__(self) -> str:
        eof = " eof" if self._eof else ""
        return (
            f"<Connection our_state={self.our_state!r} their_state={self.their_state!r}"
            f" buffered={len(self._buffer)}{eof}>"
        )

    @property
    def our_state(self) -> State:
        return self._sides.ours

    @property
    def their_state(self) -> State:
        return self._sides.theirs

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """Octets received that no event has told of, and whether EOF came after them."""
        return bytes(self._buffer), self._eof

    @property
    def has_more(self) -> bool:
        """Whether octets were received that no event has told of."""
        return len(self._buffer) > 0

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """Whether the body will not come before we answer (RFC 9110 10.1.1)."""
        return self._expects_continue and not self._buffer

    # Reading

    def receive_data(self, data: bytes) -> None:
        """Take octets from the peer; ``b""`` is its EOF. Ask ``next_event`` what they mean."""
        if not data:
            self._eof = True
        elif self._eof:
            raise RuntimeError("data received after EOF")
        elif self._fault is None:
            self._buffer += data

    def take(self, data: bytes) -> Request | None:
        """As ``receive_data``; the request, if ``data`` begin with a whole one between requests.

        Its content is then in ``Request.body`` and no further event tells of it. None when there is
        anything else, which ``next_event`` explains.
        """
        fresh = not self._buffer and self._sides.theirs is State.IDLE
        self.receive_data(data)
        if not fresh or not self._is_whole_counted_request():
            return None
        try:
            request = self.next_event()
        except RemoteProtocolError:
            return None  # next_event raises it again
        assert isinstance(request, Request), "a whole request is there"
        content = self.next_event() if request.content_length else None
        request.body = content.data if isinstance(content, Data) else b""
        self.next_event()  # EndOfMessage
        return request

    def _is_whole_counted_request(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4 or self._buffer.startswith(b"\r\n"):
            return False
        text = bytes(self._buffer[:end]).lower()
        if b"\r\ntransfer-encoding:" in text:
            return False
        length = re.search(rb"\r\ncontent-length:[ \t]*([0-9]{1,19})[ \t]*\r\n", text)
        return len(self._buffer) - end >= (int(length[1]) if length else 0)

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
            return self._read_eof() if self._eof else Signal.NEED_DATA
        except RemoteProtocolError as error:
            self._fault = error
            self._sides.take(Step.FAULT)
            self._buffer.clear()
            raise

    def _read(self) -> Event | Signal | None:
        theirs = self._sides.theirs
        if theirs is State.IDLE:
            return self._read_head()
        if theirs is State.SEND_BODY:
            return self._read_body()
        return Signal.PAUSED if self._buffer else None

    def _read_eof(self) -> ConnectionClosed:
        theirs = self._sides.theirs
        if theirs is State.SEND_BODY or (theirs is State.IDLE and self._buffer):
            raise RemoteProtocolError("The client closed the connection within a request.")
        self._sides.take(Step.EOF)
        return ConnectionClosed()

    def _read_head(self) -> Request | None:
        head = self._head_guard.take(self._buffer)
        if not head:
            return None
        self._engine = new_engine()
        request = self._request = read_request(head, self._engine, self._limits)
        if request.chunked:
            self._chunked_guard = ChunkedGuard(self._limits)
        self._remaining = request.content_length or 0
        self._expects_continue = request.expect_continue and request.has_body
        self._sides.take(Step.REQUEST)
        if not request.keep_alive:
            self._sides.disable_persistence()
        return request

    def _read_body(self) -> Data | EndOfMessage | None:
        if self._chunked_guard is not None:
            return self._read_chunked_body(self._chunked_guard)
        if self._remaining == 0:
            return self._end_message(EndOfMessage())
        if not self._buffer:
            return None
        self._expects_continue = False
        data = self._take(self._remaining)
        self._remaining -= len(data)
        return Data(data)

    def _take(self, count: int) -> bytes:
        """Cut at most ``count`` octets from the front of the buffer."""
        if len(self._buffer) <= count:
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            data = bytes(self._buffer[:count])
            del self._buffer[:count]
        return data

    def _read_chunked_body(self, guard: ChunkedGuard) -> Data | EndOfMessage | None:
        assert self._engine is not None, "a body is read after its head"
        if self._buffer:
            self._expects_continue = False
        while good := guard.take(self._buffer):
            event = self._engine.read_chunked(good)
            if isinstance(event, EndOfMessage):
                return self._end_message(event)
            if event is not None:
                return event
        return None

    def _end_message(self, event: EndOfMessage) -> EndOfMessage:
        self._engine = None
        self._sides.take(Step.REQUEST_END)
        return event

    def start_next_cycle(self) -> None:
        """Get ready for the next request. Raises LocalProtocolError unless both sides are DONE."""
        self._sides.start_next_cycle()
        self._forget_message()

    # Writing; the first four are what a Responder tells (``responder.ResponseSide``)

    def response_started(self, close: bool) -> bool:
        """A final head goes out; returns whether the connection persists after it.

        It does not when the client still waits for 100 Continue: having our answer, it may send
        the body or leave it, and nobody could tell a body from the next request.
        """
        is_last = close or self.they_are_waiting_for_100_continue
        self._sides.take(Step.HEAD)
        self._expects_continue = False
        if is_last:
            self._sides.disable_persistence()
        return self._sides.persistent

    def response_ended(self) -> None:
        """The last octet of the response goes out."""
        self._sides.take(Step.END)

    def response_broken(self) -> None:
        """The response that was begun cannot be completed."""
        self._sides.take(Step.BREAK)

    def informational_sent(self) -> None:
        """An interim response goes out."""
        self._sides.take(Step.INTERIM)
        self._expects_continue = False

    def send(self, event: SendEvent) -> bytes:
        """The octets of one event, as with h11; a Responder frames them. No Date is added."""
        if isinstance(event, (Data, EndOfMessage)):
            if self._responder is None:
                raise LocalProtocolError("no response has been sent that this could belong to")
            if isinstance(event, Data):
                return b"".join(self._responder.send(event.data, more=True))
            return b"".join(self._responder.end(event.headers))
        if self._request is None:
            raise LocalProtocolError(f"there is no request to answer: {self!r}")
        responder = Responder(self, self._request)
        if isinstance(event, InformationalResponse):
            return responder.informational(event.status_code, event.headers)
        responder.start(event.status_code, event.headers, event.reason, date=b"")
        head = responder.send(b"", more=True)
        self._responder = responder
        return b"".join(head)

    def refuse(self, status: int, detail: str, date: bytes) -> bytes:
        """All octets of an error response, with which the connection ends.

        Raises LocalProtocolError when a response has begun, for then there is no place for it.
        """
        self._sides.take(Step.REFUSAL)
        is_head = self._request is not None and self._request.method == b"HEAD"
        return error_response(status, detail, date, wants_body=not is_head)
