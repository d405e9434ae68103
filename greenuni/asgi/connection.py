"""One client connection: between a transport, which moves bytes, and the cycles of its requests.

    Phase     what is going on                                        clock
    IDLE      between requests; no byte of the next one has come      idle (before the first: head)
    HEAD      a part of a head has come                               head
    STARTING  a request that came whole is being started              none
    BODY      a request is being answered, its body is arriving       body
    ANSWER    a complete request is being answered                    none
    HELD      too many application calls of this client still run     none
    DISCARD   answered; what was left unread of the body is dropped   body
    LINGER    our side is shut; what arrives is thrown away           LINGER_SECONDS
    WAITING   a request waits for a slot (`admission`)                the line's
    CLOSED    the transport is closing, has closed, or is not ours    none

Besides, as long as the transport holds bytes that the client does not take, the send clock runs.

Most requests come whole, and their connection goes IDLE, STARTING, (ANSWER,) IDLE. Where tasks start
eagerly, the response may be complete when `Cycle.start` returns.

Reading goes on while the application runs, so that the client's leaving is seen at once; it pauses
when too much of a body, or too many pipelined requests, wait.
"""

from __future__ import annotations

import enum
from math import inf
from time import monotonic

from greenuni.asgi.call import SHUTTING_DOWN, Call
from greenuni.asgi.channel import Channel
from greenuni.asgi.clocks import ReadClock, SendClock
from greenuni.asgi.cycle import Cycle
from greenuni.asgi.interfaces import Transport, Waiting
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import DRAIN_IDLE, Service
from greenuni.deadlines import BODY_LATE, HEAD_LATE, LINGER_SECONDS, TOO_BUSY
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
    LINGER = 7
    CLOSED = 8
    WAITING = 9


# Plain numbers, which compiled code compares without a call.
_IDLE, _HEAD, _STARTING, _BODY, _ANSWER, _HELD, _DISCARD, _LINGER, _CLOSED, _WAITING = map(
    int, Phase
)


class Connection(Channel):
    """See the module. It is the `TransportUser` of its transport and the `Channel` of its cycles."""

    __slots__ = (
        "_cycle",
        "_has_eof",
        "_hops",
        "_is_new",
        "_is_reading_paused",
        "_peer",
        "_phase",
        "_read_clock",
        "_request_at",
        "_send_clock",
        "_service",
        "_transport",
        "_unfinished",
        "_unread",
        "_waiting",
        "_wire",
        "_writable",
        "idle_since",
    )

    def __init__(self, service: Service, peer: Peer, hops: int | None = None) -> None:
        """``hops`` is what came with a connection that another worker has sent, if one has."""
        self._service = service
        self._peer = peer
        self._is_new = hops is None
        self._hops = hops or 0  # pools that the request in hand has been sent through
        self._phase = _IDLE
        self._transport: Transport
        self._wire = Wire(service.limits, service.engine)
        self._cycle: Call | None = None  # the request that is being answered
        self._request_at = 0.0  # monotonic seconds, first byte of the request
        self._unfinished = 0  # application calls that have not returned
        self._waiting: Request | None = None  # the request that waits for a slot
        self._has_eof = False
        self._unread = 0  # bytes of pipelined requests that wait, or of the body being discarded
        self._read_clock = ReadClock(service.deadlines)
        self._send_clock = SendClock(service.deadlines.send)
        self._is_reading_paused = False
        self._writable: Waiting | None = None  # made when a cycle has to wait
        self.idle_since = _NEVER  # monotonic seconds, as the tick saw it; infinite when in use
        self.write_paused = False

    def __repr__(self) -> str:
        phase = Phase(self._phase).name.lower()
        return f"<Connection {self._peer.name} {phase} {self._wire!r} {self._cycle!r}>"

    @property
    def phase(self) -> Phase:
        return Phase(self._phase)

    # Called by the transport

    def connection_made(self, transport: Transport) -> None:
        self._transport = transport
        self._service.population.add(self)
        if self._is_new:
            now = monotonic()
            self._read_clock.wait_for_head(now)
            self.idle_since = now
        if self._service.is_draining:
            self.start_drain()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase == _IDLE:
            request = self._wire.take(data)
            if request is not None:
                if not self._service.is_shared or self._is_ours(request, data):
                    self._begin_whole_request(request)
                return
            self._begin_head(monotonic())
            if self._phase != _HEAD:
                return
        elif phase in (_ANSWER, _HELD, _WAITING):
            self._hold(data)
            return
        elif phase in (_LINGER, _CLOSED):
            return
        else:
            if phase != _HEAD:
                self._read_clock.body_received(len(data), monotonic())
            self._wire.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        self._has_eof = True
        if self._phase == _WAITING:
            self._leave_line()
        if self._phase in (_IDLE, _LINGER, _CLOSED):
            self._phase = _CLOSED
            return False
        self._wire.receive_data(b"")
        if self._phase not in (_ANSWER, _HELD):
            self._advance()
        elif self._cycle is not None:
            # The client has left, or has closed one half and waits for its answer: nobody can
            # tell before something is written. The application is told, and may go on.
            self._cycle.peer_finished()
        return not self._is_closed()

    def connection_lost(self, error: Exception | None) -> None:
        if self._phase == _WAITING:
            self._leave_line()
        self._phase = _CLOSED
        self._service.population.remove(self)
        if self._cycle is not None:
            self._cycle.peer_lost()
            self._cycle = None
        self.resume_writing()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _is_closed(self) -> bool:
        return self._phase == _CLOSED

    # Reading

    def _begin_head(self, now: float) -> None:
        self._phase = _HEAD
        self._request_at = now
        self.idle_since = _NEVER
        if not self._service.is_draining:
            self._read_clock.wait_for_head(now)
        elif not self._goes_to_a_sibling():
            self._read_clock.wait(now + DRAIN_IDLE)

    def _advance(self) -> None:
        """Take what the wire has, until it needs more bytes or the request is complete."""
        try:
            while True:
                event = self._wire.next_event()
                if isinstance(event, Request):
                    if self._service.is_shared and not self._is_ours(event, self._wire.unread):
                        return
                    if self._service.is_full and self._must_wait(event):
                        return
                    if event.is_websocket:
                        self._become_websocket(event)
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
            self._close()
        elif self._phase == _HEAD:
            self._wait_for_head()
        elif self._phase == _BODY and self._cycle is not None and self._cycle.inbox.is_full:
            self._pause_reading()

    def _wait_for_head(self) -> None:
        """The wire needs bytes: those of a next request, or the rest of a head."""
        self._unread = 0
        self._resume_reading()
        if not self._wire.has_more:
            self._become_idle()
        elif self._service.is_shared and len(self._wire.unread) > UNREAD_LIMIT // 2:
            self.refuse(*HEAD_TOO_LARGE)  # with a read more it cannot travel

    def _become_idle(self) -> None:
        """Wait for the next request. The tick sets the clock, so that a busy connection never does."""
        self._phase = _IDLE
        self._read_clock.stop()
        if self._service.is_draining and not self._goes_to_a_sibling():
            self._start_idle_clock(monotonic())

    def _start_idle_clock(self, now: float) -> None:
        self.idle_since = now
        self._read_clock.wait(now + self._service.idle_timeout)

    def _begin_whole_request(self, request: Request) -> None:
        if self._service.is_full and self._must_wait(request):
            return
        self._start_whole_request(request)

    def _start_whole_request(self, request: Request) -> None:
        self._phase = _STARTING
        self._read_clock.stop()
        self._request_at = monotonic()
        self.idle_since = _NEVER
        self._start_cycle(request)
        if self._phase != _STARTING:
            return
        if self._cycle is not None:
            self._phase = _ANSWER
        else:
            self._go_on()

    def _must_wait(self, request: Request) -> bool:
        """Stand in line, unless the request has a slot of its own."""
        if self._service.has_slot(request.path):
            return False
        self._phase = _WAITING
        self._waiting = request
        self._read_clock.stop()
        self.idle_since = _NEVER
        self._service.line.put(self, monotonic())
        return True

    def _leave_line(self) -> None:
        """The client has gone before it was its turn: the application never hears of it."""
        self._phase = _CLOSED
        self._waiting = None
        self._service.line.remove(self)
        self._service.leave_line()

    # Called by the line

    def admit(self) -> None:
        request, self._waiting = self._waiting, None
        assert request is not None, "who stands in line has a request"
        self._request_at = monotonic()
        if request.body is not None:
            self._start_whole_request(request)
        elif request.is_websocket:
            self._become_websocket(request)
        else:
            self._begin_request(request)
            self._advance()

    def turn_away(self) -> None:
        self._waiting = None
        self._reject(RemoteProtocolError(TOO_BUSY, 503))

    def _start_cycle(self, request: Request) -> None:
        self._unfinished += 1
        cycle = Cycle(self._service, self, self._wire, request, self._peer, self._request_at)
        self._cycle = cycle
        cycle.start()

    def _begin_request(self, request: Request) -> None:
        self._phase = _BODY
        if request.expect_continue or not request.has_body:
            self._read_clock.stop()
        else:
            self._read_clock.wait_for_body(monotonic())
        self._start_cycle(request)

    def _become_websocket(self, request: Request) -> None:
        """Leave the transport, and what came behind the handshake, to a WebSocket."""
        # Imported for the first one: wsproto, and h11 with it, take 2 MiB and 40 ms.
        from greenuni.asgi.websocket import begin

        self._phase = _CLOSED
        self._read_clock.stop()
        self._service.population.remove(self)
        begin(
            self._service,
            self._peer,
            self._transport,
            self._wire,
            request,
            self._request_at,
            self.write_paused,
        )

    def _receive_body(self, data: bytes) -> None:
        if self._phase == _BODY and self._cycle is not None:
            self._cycle.inbox.feed(data)
        elif self._phase == _DISCARD:
            self._unread += len(data)
            if self._unread > DISCARD_LIMIT:
                self._linger()

    def _end_request(self) -> None:
        """The request is complete; what comes now belongs to the next one."""
        if self._phase == _DISCARD:
            self._renew()
        elif self._phase == _BODY:
            self._phase = _ANSWER
            self._read_clock.stop()
            self._resume_reading()
            if self._cycle is not None:
                self._cycle.inbox.end()
                if self._has_eof:
                    self._cycle.peer_finished()

    def _hold(self, data: bytes) -> None:
        """Keep pipelined requests until it is their turn."""
        self._wire.receive_data(data)
        self._unread += len(data)
        if self._wire.buffered > PIPELINE_LIMIT:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._is_reading_paused and not self._has_eof:
            self._is_reading_paused = True
            self._read_clock.pause(monotonic())
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_reading_paused and self._phase != _CLOSED:
            self._is_reading_paused = False
            self._read_clock.resume(monotonic())
            self._transport.resume_reading()

    # The channel of the cycles

    def write(self, parts: list[bytes]) -> None:
        for part in parts:
            self._send_clock.written(len(part))
        self._transport.writelines(parts)

    def writable(self) -> Waiting:
        if self._writable is None:
            self._writable = self._service.runtime.new_waiting()
        return self._writable

    def ask_for_body(self) -> None:
        self._resume_reading()
        if self._wire.they_are_waiting_for_100_continue:
            self.write([self._wire.send_continue()])
            self._read_clock.wait_for_body(monotonic())

    def response_ended(self) -> None:
        self._cycle = None
        if self._phase == _BODY:
            self._phase = _DISCARD
            self._unread = 0
            self._resume_reading()
            if self._wire.our_state is not DONE:
                self._linger()
        elif self._phase != _STARTING:
            # Else the starter goes on, or a burst of pipelined requests would be a recursion.
            self._go_on()

    def _go_on(self) -> None:
        """A complete request has been answered."""
        if self._wire.our_state is DONE:
            self._start_over()
        else:
            self._close()

    def refuse(self, status: int, detail: str) -> None:
        self._cycle = None
        self.write([self._wire.refuse(status, detail, self._service.clock.date())])
        self._linger()

    def break_off(self, must_reset: bool) -> None:
        self._cycle = None
        if must_reset:
            self.abort()
        elif self._phase == _BODY:
            self._linger()
        else:
            self._close()

    def abort(self) -> None:
        """Reset the connection, whatever is still to be sent."""
        self._phase = _CLOSED
        self._transport.abort()

    def call_finished(self) -> None:
        self._unfinished -= 1
        if self._phase == _HELD:
            self._start_over()

    # From one request to the next, or to the end

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
        if self._has_eof or self._unread or self._wire.has_more:
            self._begin_head(monotonic())
        else:
            self._become_idle()

    # To other workers

    def _is_ours(self, request: Request, unread: bytes) -> bool:
        """Whether this pool has the request; if not, it is refused, or leaves with the connection."""
        ways = self._service.ways_out
        assert ways is not None, "who shares the port has ways to the others"
        index = ways.find(request)
        if index == ways.own:
            self._hops = 0
            return True
        refusal = ways.why_not(index, self._hops)
        if refusal is None:
            self._depart(index, unread, self._hops + 1)
        else:
            self.refuse(refusal.status, refusal.detail)
        return False

    def _goes_to_a_sibling(self) -> bool:
        """In a drain, between requests or within a head: leave, if somebody will come for us."""
        ways = self._service.ways_out
        if ways is None or not ways.keeps_clients():
            return False
        self._depart(ways.own, self._wire.unread, self._hops)
        return True

    def _depart(self, index: int, unread: bytes, hops: int) -> None:
        self._phase = _CLOSED
        self._read_clock.stop()
        self.resume_writing()  # nobody is to wait here
        ways = self._service.ways_out
        assert ways is not None, "there is somewhere to go"
        ways.send(self._transport, self._peer.name, index, unread, hops)
        self._service.population.remove(self)

    def _reject(self, error: RemoteProtocolError) -> None:
        """The client broke HTTP, or was too slow: tell it, if there is still place for that."""
        self._service.seat.log.info(
            "Refused a request of %s: %d %s", self._peer.name, error.status, error
        )
        if self._cycle is not None:
            self._cycle.fail(error.status, str(error))
        elif self._phase == _DISCARD:
            self._linger()
        else:
            self.refuse(error.status, str(error))

    def _linger(self) -> None:
        if self._has_eof:
            self._close()
            return
        self._phase = _LINGER
        self._read_clock.wait(monotonic() + LINGER_SECONDS)
        self._resume_reading()
        self._transport.write_eof()

    def _close(self) -> None:
        if self._unread and not self._has_eof and self._phase != _LINGER:
            self._linger()
            return
        self._phase = _CLOSED
        self._transport.close()

    # Called by the service

    def check(self, now: float) -> None:
        buffered = self._transport.get_write_buffer_size()
        if self._send_clock.has_passed(buffered, now):
            self._service.seat.log.info("%s: does not read its response", self._peer.name)
            self.abort()
        elif self._phase == _IDLE and self.idle_since == _NEVER:
            self._start_idle_clock(now)
        elif self._read_clock.has_passed(now) and not (buffered and self._phase == _IDLE):
            self._time_out()

    def start_drain(self) -> None:
        if self._phase != _IDLE and self._phase != _HEAD:
            return
        if not self._goes_to_a_sibling():
            now = monotonic()
            self.idle_since = min(self.idle_since, now)
            self._read_clock.wait(min(self._read_clock.deadline, now + DRAIN_IDLE))

    def close_idle(self) -> None:
        if self._phase == _IDLE:
            self._close()

    def leave(self) -> None:
        self._has_eof = True  # there is no time to linger
        if self._cycle is not None:
            self._cycle.fail(503, SHUTTING_DOWN)
        elif self._phase == _WAITING:
            self._service.line.remove(self)
            self.refuse(503, SHUTTING_DOWN)
        else:
            self._close()

    def _time_out(self) -> None:
        if self._phase == _HEAD:
            self._reject(RemoteProtocolError(HEAD_LATE, 408))
        elif self._phase == _BODY:
            self._reject(RemoteProtocolError(BODY_LATE, 408))
        else:
            self._close()
