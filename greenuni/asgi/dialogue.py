"""What is said over one connection: its requests, one after the other, and their responses.

    Phase     what is going on                                        clock
    IDLE      between requests; no byte of the next one has come      the connection's
    HEAD      a part of a head has come                               head
    STARTING  a request that came whole is being started              none
    BODY      a request is being answered, its body is arriving       body
    ANSWER    a complete request is being answered                    none
    HELD      too many application calls of this client still run     none
    DISCARD   answered; what was left unread of the body is dropped   body
    WAITING   a request waits for a slot (`admission`)                the line's
    OVER      the connection is closing, has closed, or is not ours   none

Besides, as long as the transport holds bytes that the client does not take, the output's clock runs.

Most requests come whole, and it goes IDLE, STARTING, (ANSWER,) IDLE. Where tasks start eagerly, the
response may be complete when `Cycle.start` returns.

Reading goes on while the application runs, so that the client's leaving is seen at once; it pauses
when too much of a body, or too many pipelined requests, wait.

The class is long because it is that table: every event is judged by the phase, and most change it.
"""

from __future__ import annotations

import enum
from math import inf
from time import monotonic

from greenuni.asgi.call import SHUTTING_DOWN, Call
from greenuni.asgi.channel import Carrier, Channel
from greenuni.asgi.cycle import Cycle
from greenuni.deadlines import BODY_LATE, HEAD_LATE, TOO_BUSY
from greenuni.errors import RemoteProtocolError
from greenuni.handoff import UNREAD_LIMIT
from greenuni.http import (
    DISCARD_LIMIT,
    DONE,
    ConnectionClosed,
    Data,
    EndOfMessage,
)
from greenuni.http.connection import Connection as Wire
from greenuni.http.request import Request
from greenuni.shell import HEAD_TOO_LARGE

_NEVER = inf

# Bytes of pipelined requests that may wait behind the one being answered.
PIPELINE_LIMIT = 65536

# Application calls of one connection that may outlive their response (background tasks) at a time.
OVERLAP_LIMIT = 16


class Phase(enum.IntEnum):
    """See the module."""

    IDLE = 0
    HEAD = 1
    STARTING = 2
    BODY = 3
    ANSWER = 4
    HELD = 5
    DISCARD = 6
    WAITING = 7
    OVER = 8


# Plain numbers, which compiled code compares without a call.
_IDLE, _HEAD, _STARTING, _BODY, _ANSWER, _HELD, _DISCARD, _WAITING, _OVER = map(int, Phase)


class Dialogue(Channel):
    """See the module. It is the `Channel` of its cycles, and the `admission.Waiter` of its requests."""

    __slots__ = (
        "_carrier",
        "_cycle",
        "_discarded",
        "_input",
        "_phase",
        "_request_at",
        "_service",
        "_unfinished",
        "_wire",
    )

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._service = self._carrier.service
        self._input = self._carrier.input
        self.output = self._carrier.output
        self._wire = Wire(self._service.limits, self._service.engine)
        self._phase = _IDLE
        self._cycle: Call | None = None  # the request that is being answered
        self._request_at = 0.0  # monotonic seconds, first byte of the request
        self._unfinished = 0  # application calls that have not returned
        self._discarded = 0  # bytes of the body that nobody wanted

    def __repr__(self) -> str:
        return f"<Dialogue {self.phase.name.lower()} {self._wire!r} {self._cycle!r}>"

    @property
    def phase(self) -> Phase:
        return Phase(self._phase)

    # Asked by the connection

    def is_idle(self) -> bool:
        return self._phase == _IDLE

    def is_waiting_for_client(self) -> bool:
        """Whether nothing has been asked that is not answered."""
        return self._phase in (_IDLE, _HEAD)

    def has_calls(self) -> bool:
        """Whether the application still runs for this client."""
        return self._unfinished > 0

    @property
    def unread(self) -> bytes:
        """What was read of a request whose head is not whole, or has just become so."""
        return self._wire.unread

    # Told by the connection

    def receive(self, data: bytes) -> None:
        phase = self._phase
        if phase == _IDLE:
            request = self._wire.take(data)
            if request is not None:
                if self._is_to_begin(request, data):
                    self._start_whole_request(request)
                return
            self._begin_head()
            if self._phase != _HEAD:
                return
        elif phase in (_ANSWER, _HELD, _WAITING):
            self._hold(data)
            return
        elif phase == _OVER:
            return
        else:
            if phase != _HEAD:
                self._input.body_received(len(data), monotonic())
            self._wire.receive_data(data)
        self._advance()

    def finish(self) -> bool:
        """The client's EOF has come; whether there is still something to be said."""
        if self._phase == _WAITING:
            # The application never hears of it.
            self._service.leave_line(self)
            self._phase = _OVER
        if self._phase in (_IDLE, _OVER):
            self._phase = _OVER
            return False
        self._wire.receive_data(b"")
        if self._phase not in (_ANSWER, _HELD):
            self._advance()
        elif self._cycle is not None:
            # The client has left, or has closed one half and waits for its answer: nobody can
            # tell before something is written. The application is told, and may go on.
            self._cycle.peer_finished()
        return not self._is_over()

    def _is_over(self) -> bool:
        return self._phase == _OVER

    def lose_client(self) -> None:
        """Nothing can be sent any more."""
        if self._phase == _WAITING:
            self._service.leave_line(self)
        self._phase = _OVER
        if self._cycle is not None:
            self._cycle.peer_lost()
            self._cycle = None

    def time_out(self) -> None:
        """The client has kept us waiting for too long."""
        if self._phase == _HEAD:
            self._reject(RemoteProtocolError(HEAD_LATE, 408))
        elif self._phase == _BODY:
            self._reject(RemoteProtocolError(BODY_LATE, 408))
        else:
            self._close()

    def leave(self) -> None:
        """The worker ends: close, or break off what is under way."""
        if self._cycle is not None:
            self._cycle.fail(503, SHUTTING_DOWN)
        elif self._phase == _WAITING:
            self._service.line.remove(self)
            self.refuse(503, SHUTTING_DOWN)
        else:
            self._close()

    def end(self) -> None:
        """The connection has ended, or has another user."""
        self._phase = _OVER

    # Reading

    def _begin_head(self) -> None:
        self._phase = _HEAD
        self._request_at = monotonic()
        self._carrier.idle_since = _NEVER
        self._input.wait_for_head(self._request_at)
        if self._service.is_draining:
            self._carrier.start_drain()

    def _advance(self) -> None:
        """Take what the wire has, until it needs more bytes or the request is complete."""
        try:
            while True:
                event = self._wire.next_event()
                if isinstance(event, Request):
                    unread = self._wire.unread if self._service.is_shared else b""
                    if not self._is_to_begin(event, unread):
                        return
                    if event.is_websocket:
                        self._carrier.upgrade(self._wire, event, self._request_at)
                        return
                    self._begin_request(event)
                elif isinstance(event, Data):
                    self._receive_body(event.data)
                elif isinstance(event, EndOfMessage):
                    self._end_request()
                    if self._phase != _HEAD:
                        return
                else:
                    break
        except RemoteProtocolError as error:
            self._reject(error)
            return
        if isinstance(event, ConnectionClosed):
            self._carrier.close()
        elif self._phase == _HEAD:
            self._wait_for_head()
        elif self._phase == _BODY and self._cycle is not None and self._cycle.inbox.is_full:
            self._input.pause()

    def _wait_for_head(self) -> None:
        """The wire needs bytes: those of a next request, or the rest of a head."""
        self._input.resume()
        if not self._wire.has_more:
            self._become_idle()
        elif self._service.is_shared and len(self._wire.unread) > UNREAD_LIMIT // 2:
            self.refuse(*HEAD_TOO_LARGE)  # with a read more it cannot travel

    def _become_idle(self) -> None:
        self._phase = _IDLE
        self._input.stop()
        if self._service.is_draining:
            self._carrier.start_drain()

    def _receive_body(self, data: bytes) -> None:
        if self._phase == _BODY and self._cycle is not None:
            self._cycle.inbox.feed(data)
        elif self._phase == _DISCARD:
            self._discarded += len(data)
            if self._discarded > DISCARD_LIMIT:
                self._carrier.linger()

    def _end_request(self) -> None:
        """The request is complete; what comes now belongs to the next one."""
        if self._phase == _DISCARD:
            self._renew()
        elif self._phase == _BODY:
            self._phase = _ANSWER
            self._input.stop()
            self._input.resume()
            if self._cycle is not None:
                self._cycle.inbox.end()
                if self._input.has_ended:
                    self._cycle.peer_finished()

    def _hold(self, data: bytes) -> None:
        """Keep pipelined requests until it is their turn."""
        self._wire.receive_data(data)
        if self._wire.buffered > PIPELINE_LIMIT:
            self._input.pause()

    # Beginning a request

    def _is_to_begin(self, request: Request, unread: bytes) -> bool:
        """Whether it is ours, and its turn; else it has been sent on, or stands in line.

        ``unread`` are all octets since its first one, where it may be for others.
        """
        service = self._service
        if service.is_shared:
            ways = service.ways_out
            assert ways is not None, "who shares the port has ways to the others"
            if not ways.keeps(self._carrier, request, unread):
                return False
        if not service.is_full or not service.must_wait(self, request):
            return True
        self._phase = _WAITING
        self._input.stop()
        self._carrier.idle_since = _NEVER
        return False

    def admit(self, request: Request) -> None:
        """See `admission.Waiter`."""
        self._request_at = monotonic()
        if request.body is not None:
            self._start_whole_request(request)
        elif request.is_websocket:
            self._carrier.upgrade(self._wire, request, self._request_at)
        else:
            self._begin_request(request)
            self._advance()

    def turn_away(self) -> None:
        """See `admission.Waiter`."""
        self._reject(RemoteProtocolError(TOO_BUSY, 503))

    def _start_whole_request(self, request: Request) -> None:
        self._phase = _STARTING
        self._input.stop()
        self._request_at = monotonic()
        self._carrier.idle_since = _NEVER
        self._start_cycle(request)
        if self._phase != _STARTING:
            return
        if self._cycle is not None:
            self._phase = _ANSWER
        else:
            self._go_on()

    def _begin_request(self, request: Request) -> None:
        self._phase = _BODY
        if request.expect_continue or not request.has_body:
            self._input.stop()
        else:
            self._input.wait_for_body(monotonic())
        self._start_cycle(request)

    def _start_cycle(self, request: Request) -> None:
        self._unfinished += 1
        peer = self._carrier.peer
        cycle = Cycle(self._service, self, self._wire, request, peer, self._request_at)
        self._cycle = cycle
        cycle.start()

    # The channel of the cycles

    def ask_for_body(self) -> None:
        self._input.resume()
        if self._wire.they_are_waiting_for_100_continue:
            self.output.write([self._wire.send_continue()])
            self._input.wait_for_body(monotonic())

    def response_ended(self) -> None:
        self._cycle = None
        if self._phase == _BODY:
            self._phase = _DISCARD
            self._discarded = 0
            self._input.resume()
            if self._wire.our_state is not DONE:
                self._carrier.linger()
        elif self._phase != _STARTING:
            # Else the starter goes on, or a burst of pipelined requests would be a recursion.
            self._go_on()

    def refuse(self, status: int, detail: str) -> None:
        self._cycle = None
        self.output.write([self._wire.refuse(status, detail, self._service.clock.date())])
        self._carrier.linger()

    def break_off(self, must_reset: bool) -> None:
        self._cycle = None
        if must_reset:
            self._carrier.abort()
        elif self._phase == _BODY:
            self._carrier.linger()
        else:
            self._close()

    def call_finished(self) -> None:
        self._unfinished -= 1
        if self._phase == _HELD:
            self._start_over()

    # From one request to the next, or to the end

    def _go_on(self) -> None:
        """A complete request has been answered."""
        if self._wire.our_state is DONE:
            self._start_over()
        else:
            self._close()

    def _start_over(self) -> None:
        self._renew()
        if self._phase == _HEAD:
            self._advance()

    def _renew(self) -> None:
        """Both sides are done with a request; the next one may be waiting (HEAD), or not (IDLE)."""
        if self._unfinished > OVERLAP_LIMIT:
            self._phase = _HELD
            return
        self._wire.start_next_cycle()
        if self._input.has_ended or self._wire.has_more:
            self._begin_head()
        else:
            self._become_idle()

    def _reject(self, error: RemoteProtocolError) -> None:
        """The client broke HTTP, or was too slow: tell it, if there is still place for that."""
        self._service.seat.log.info(
            "Refused a request of %s: %d %s", self._carrier.peer.name, error.status, error
        )
        if self._cycle is not None:
            self._cycle.fail(error.status, str(error))
        elif self._phase == _DISCARD:
            self._carrier.linger()
        else:
            self.refuse(error.status, str(error))

    def _close(self) -> None:
        if self._wire.has_more:
            self._carrier.linger()  # its client is still sending
        else:
            self._carrier.close()
