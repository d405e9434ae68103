"""One HTTP/1.1 connection, seen from the server, without I/O.

Bytes go in by ``receive_data``, events come out of ``next_event``; see docs/design.md, "The wire".
The guard (``section``, ``chunked``) sees every byte first, the engine parses what has a grammar,
``request`` judges, ``responder`` frames the answer. This module keeps the order: the buffer, where
both sides stand, and that nothing is read after an error or past the message in hand.
"""

from __future__ import annotations

from typing import NoReturn

from greenuni.errors import LocalProtocolError, RemoteProtocolError
from greenuni.http.chunked import ChunkedGuard
from greenuni.http.engine import Engine, new_engine
from greenuni.http.events import (
    ConnectionClosed,
    Data,
    EndOfMessage,
    InformationalResponse,
    Response,
    Signal,
    State,
)
from greenuni.http.limits import Limits
from greenuni.http.refusal import error_response
from greenuni.http.request import Request, read_request
from greenuni.http.responder import Responder
from greenuni.http.section import SectionGuard

Event = Request | Data | EndOfMessage | ConnectionClosed
SendEvent = InformationalResponse | Response | Data | EndOfMessage


class Connection:
    """The state of one connection. Not thread-safe; whoever owns the socket owns this."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._eof = False
        self._their_state = State.IDLE
        self._our_state = State.IDLE
        self._persistent = True
        self._failure: RemoteProtocolError | None = None
        self._reset()

    def _reset(self) -> None:
        """Forget the message before; nothing of it may colour the next."""
        self._engine: Engine | None = None
        self._head_guard = SectionGuard(self._limits, has_request_line=True)
        self._blank_line_skipped = False
        self._chunked_guard: ChunkedGuard | None = None
        self._body_remaining = 0
        self._request: Request | None = None
        self._expects_continue = False
        self._responder: Responder | None = None

    def __repr__(self) -> str:
        return (
            f"<Connection our_state={self._our_state!r} their_state={self._their_state!r}"
            f" buffered={len(self._buffer)}{' eof' if self._eof else ''}>"
        )

    @property
    def our_state(self) -> State:
        return self._our_state

    @property
    def their_state(self) -> State:
        return self._their_state

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """Bytes received that belong to no event yet, and whether EOF came after them."""
        return bytes(self._buffer), self._eof

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """Whether the body will not come before we answer (RFC 9110 10.1.1)."""
        return self._expects_continue and not self._buffer

    # Reading

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` is its EOF. Follow with ``next_event``."""
        if not data:
            self._eof = True
        elif self._eof:
            raise RuntimeError("data received after EOF")
        elif self._failure is None:
            self._buffer += data

    def next_event(self) -> Event | Signal:
        """The next event, or NEED_DATA or PAUSED.

        Raises RemoteProtocolError when the peer broke HTTP or a limit, and again on every later
        call: nothing behind the fault is ever read.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._read()
        except RemoteProtocolError as error:
            self._fail(error)

    def _fail(self, error: RemoteProtocolError) -> NoReturn:
        self._failure = error
        self._their_state = State.ERROR
        self._persistent = False
        self._buffer.clear()
        if self._our_state is State.DONE:
            self._our_state = State.MUST_CLOSE
        raise error

    def _read(self) -> Event | Signal:
        event: Event | None
        if self._their_state is State.IDLE:
            event = self._read_head()
        elif self._their_state is State.SEND_BODY:
            event = self._read_body()
        elif self._buffer:
            return Signal.PAUSED
        else:
            event = None
        if event is not None:
            return event
        return self._read_eof() if self._eof else Signal.NEED_DATA

    def _read_eof(self) -> ConnectionClosed:
        if self._their_state is State.SEND_BODY or (
            self._their_state is State.IDLE and self._buffer
        ):
            raise RemoteProtocolError(
                "The client closed the connection in the middle of a request."
            )
        self._their_state = State.CLOSED
        if self._our_state in (State.IDLE, State.DONE):
            self._our_state = State.MUST_CLOSE
        return ConnectionClosed()

    def _read_head(self) -> Request | None:
        buffer = self._buffer
        # RFC 9112 2.2: at least one empty line before a request line is to be ignored.
        if not self._blank_line_skipped and buffer.startswith(b"\r\n"):
            self._blank_line_skipped = True
            del buffer[:2]
            self._head_guard = SectionGuard(self._limits, has_request_line=True)
        if not buffer or (end := self._head_guard.find_end(buffer)) < 0:
            return None
        head = bytes(buffer[:end])
        del buffer[:end]
        self._engine = new_engine()
        request = read_request(head, self._engine, self._limits)
        if request.chunked:
            self._chunked_guard = ChunkedGuard(self._limits)
        self._body_remaining = request.content_length or 0
        self._expects_continue = request.expect_continue and request.has_body
        self._persistent = request.keep_alive
        self._request = request
        self._their_state = State.SEND_BODY
        self._our_state = State.SEND_RESPONSE
        return request

    def _read_body(self) -> Data | EndOfMessage | None:
        if self._chunked_guard is not None:
            return self._read_chunked(self._chunked_guard)
        if self._body_remaining == 0:
            return self._end_message(EndOfMessage())
        if not self._buffer:
            return None
        data = bytes(self._buffer[: self._body_remaining])
        del self._buffer[: len(data)]
        self._body_remaining -= len(data)
        self._expects_continue = False
        return Data(data)

    def _read_chunked(self, guard: ChunkedGuard) -> Data | EndOfMessage | None:
        assert self._engine is not None
        if self._buffer:
            self._expects_continue = False
        while good := guard.take(self._buffer):
            event = self._engine.read_chunked(good)
            if type(event) is EndOfMessage:
                return self._end_message(event)
            if event is not None:
                return event
        return None

    def _end_message(self, event: EndOfMessage) -> EndOfMessage:
        self._expects_continue = False
        self._their_state = State.DONE if self._persistent else State.MUST_CLOSE
        return event

    def start_next_cycle(self) -> None:
        """Get ready for the next request; both sides must be DONE."""
        if self._our_state is not State.DONE or self._their_state is not State.DONE:
            raise LocalProtocolError(f"the connection cannot be used again: {self!r}")
        self._our_state = self._their_state = State.IDLE
        self._reset()

    # Writing

    def response_started(self, close: bool) -> bool:
        """A final head goes out; returns whether the connection can go on after it."""
        self._require_our_state(State.SEND_RESPONSE)
        if close or self.they_are_waiting_for_100_continue:
            self._persistent = False
        self._expects_continue = False
        self._our_state = State.SEND_BODY
        if not self._persistent and self._their_state is State.DONE:
            self._their_state = State.MUST_CLOSE
        return self._persistent

    def response_ended(self) -> None:
        """The last octet of the response goes out."""
        self._require_our_state(State.SEND_BODY)
        self._our_state = State.DONE if self._persistent else State.MUST_CLOSE

    def response_failed(self) -> None:
        """The response that was begun cannot be completed."""
        self._our_state = State.ERROR
        self._persistent = False

    def informational_sent(self) -> None:
        """An interim response goes out."""
        self._require_our_state(State.SEND_RESPONSE)
        self._expects_continue = False

    def _require_our_state(self, state: State) -> None:
        if self._our_state is not state:
            raise LocalProtocolError(f"this cannot be sent now: {self!r}")

    def send(self, event: SendEvent) -> bytes:
        """The bytes of one event, as h11 does it; framed by a Responder like everything else."""
        if isinstance(event, (Data, EndOfMessage)):
            if self._responder is None:
                raise LocalProtocolError("the response has not been started")
            if isinstance(event, Data):
                return b"".join(self._responder.send(event.data, more=True))
            return b"".join(self._responder.end(event.headers))
        if self._request is None:
            raise LocalProtocolError(f"there is no request to answer: {self!r}")
        responder = Responder(self, self._request)
        if isinstance(event, InformationalResponse):
            return responder.informational(event.status_code, event.headers)
        responder.start(event.status_code, event.headers, event.reason, date=b"")
        self._responder = responder
        return b"".join(responder.send(b"", more=True))

    def refuse(self, status: int, detail: str, date: bytes) -> bytes:
        """The whole bytes of an error response; the connection ends with it.

        Raises LocalProtocolError when a response has begun, for then there is no place for it.
        """
        if self._our_state not in (State.IDLE, State.SEND_RESPONSE):
            raise LocalProtocolError(f"an error response cannot be sent now: {self!r}")
        self._persistent = False
        self._our_state = State.MUST_CLOSE
        is_head = self._request is not None and self._request.method == b"HEAD"
        return error_response(status, detail, date, wants_body=not is_head)
