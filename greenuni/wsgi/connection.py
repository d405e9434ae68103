"""One client connection: from its first byte to its close, in states.

The loop's thread owns a connection in every state but QUEUED and RUNNING. Then it belongs to
whoever runs the application, and comes back whole; the loop does not touch it meanwhile, except that
it stops watching a descriptor that is ready without anybody to read it.
"""

from __future__ import annotations

from io import BytesIO
from time import monotonic
from typing import IO

from greenuni.deadlines import BODY_LATE, HEAD_LATE, LINGER_SECONDS
from greenuni.errors import RemoteProtocolError
from greenuni.handoff import UNREAD_LIMIT
from greenuni.http import DONE, IDLE
from greenuni.http.connection import Connection as Wire
from greenuni.http.request import Request
from greenuni.http.responder import new_responder
from greenuni.poller import READ, WRITE
from greenuni.shell import HEAD_TOO_LARGE, POOL_IS_BUSY
from greenuni.transfer import maybe_receive
from greenuni.wsgi.application import COMPLETE, DISCONNECTED, TIMED_OUT, Call, new_call
from greenuni.wsgi.body import SpoolError
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.job import Job
from greenuni.wsgi.lingering import Lingering
from greenuni.wsgi.link import Link
from greenuni.wsgi.output import Output, SourceTruncated
from greenuni.wsgi.reader import (
    BODY_MISSING,
    CLIENT_GONE,
    HEAD_WHOLE,
    WHOLE,
    RequestReader,
    preview,
)
from greenuni.wsgi.services import Services
from greenuni.wsgi.states import FOLLOWING, State

# What a connection has is the plain number: what is compiled compares it in C.
_IDLE, _HEAD, _BODY, _QUEUED, _RUNNING, _FLUSHING, _LINGERING, _LEAVING, _CLOSED = map(int, State)
_FOLLOWING = FOLLOWING


class Connection(Job):
    """One accepted socket and what is going on over it.

    Most requests come whole by one read, and their responses leave whole by one write. They meet
    ``on_event``, ``_receive``, ``_take``, ``_dispatch``, ``run``, ``resume``, ``_finish`` and nothing else.
    """

    __slots__ = (
        "_environs",
        "_lingering",
        "_link",
        "_output",
        "_peer",
        "_reader",
        "_services",
        "_started",
        "_wire",
        "deadline",
        "hops",
        "state",
    )

    def __init__(
        self,
        services: Services,
        fd: int,
        address: SocketName,
        environs: EnvironFactory,
    ) -> None:
        self._services = services
        self._environs = environs
        shared = self._services  # of known type, as the argument is not
        self._link = Link(fd, shared.loop.poller)
        self._peer = self._environs.peer(address)
        self._output = Output(self._link.fd, shared.output_limits, shared.output_disk)
        self._wire: Wire | None = None  # thousands idle without one
        self._reader: RequestReader | None = None  # of a request that did not come whole
        self._started = 0.0  # when the request began, by time.monotonic(), for the access log
        self._lingering: Lingering | None = None  # once it is
        self.call: Call | None = None
        self.hops = 0  # pools that have sent the request in hand on
        self.state = _IDLE
        self.deadline = shared.loop.now + shared.deadlines.head  # by the loop's clock

    def __repr__(self) -> str:
        doing = f" {self.call!r}" if self.call else ""
        return f"<Connection {self._peer.address or 'unix'} fd={self.fd} {State(self.state).name}{doing}>"

    @property
    def fd(self) -> int:
        return self._link.fd

    def _enter(self, state: int) -> None:
        if not _FOLLOWING[self.state] & 1 << state:
            raise RuntimeError(f"{self!r} cannot become {State(state).name}")
        self.state = state

    @property
    def unread(self) -> bytes:
        """What was read of a request whose head is not whole, or has just become so."""
        return b"" if self._wire is None else self._wire.unread

    # From worker to worker

    def preview(self) -> Request | None:
        """The request whose head has come, if it has: nothing is taken from the socket for it."""
        return preview(self._services.new_wire(), self.unread + self._link.peek())

    def arrive(self, unread: bytes, hops: int) -> None:
        """Go on where another worker was, as if ``unread`` had been read here."""
        services = self._services
        self.hops = hops
        if unread:
            self._started = monotonic()
            self._take(unread)
        else:
            self.deadline = services.loop.now + services.idle_seconds
            self._receive()

    def depart(self) -> None:
        """Wait for room in a queue; ``close`` follows when it has been sent."""
        self._enter(_LEAVING)
        self._close_reader()
        self._link.watch(0)
        self.deadline = self._services.loop.now + self._services.deadlines.head

    def hold(self) -> None:
        """Whatever it is ready for: not now, but when the loop turns."""
        self._link.watch(0)
        self._services.loop.soon(self)

    # Called by the loop

    def on_event(self, mask: int) -> None:
        """The descriptor is ready, or has failed; with 0 it is the turn of a pipelined request.

        Like every step that the loop calls, it raises ConnectionError when there is nothing left to
        do but to close.
        """
        state = self.state
        if state == _IDLE and mask == READ:
            self._receive()
        elif state == _FLUSHING:
            self._flush()
        elif state == _LINGERING:
            self._discard()
        elif state in (_QUEUED, _RUNNING):
            self._link.watch(0)  # whatever it is, it has to wait
        elif state < _LEAVING:
            if mask & WRITE:
                self._output.flush()  # the rest of a 100 Continue
            if mask or state == _IDLE:
                self._receive()
            else:
                self._read()

    def expire(self) -> None:
        """The deadline has passed."""
        if self.state in (_HEAD, _BODY):
            self.refuse(408, HEAD_LATE if self.state == _HEAD else BODY_LATE)
        elif self.state == _FLUSHING:
            self._reset()
        elif self.state == _LEAVING and self._is_owed_an_answer():
            self.refuse(POOL_IS_BUSY.status, POOL_IS_BUSY.detail)
        else:
            self.close()

    def _is_owed_an_answer(self) -> bool:
        """Whether anything of a request has come."""
        wire = self._wire
        return wire is not None and (wire.their_state is not IDLE or wire.has_more)

    def park(self) -> None:
        """Let go of what the next request will make anew."""
        if self.state == _IDLE:
            self._wire = None

    def close(self) -> None:
        """Close the socket. What the client has not taken is lost."""
        if self.state == _CLOSED:
            return
        self._link.watch(0)
        self.abandon()
        self._services.closed(self)
        self._end_call()

    # Reading

    def _receive(self) -> None:
        data = maybe_receive(self._link.fd)
        if data is None:
            self._watch_input()
            return
        if self.state == _IDLE:
            if not data:
                self.close()
                return
            if self._services.access is not None:
                self._started = monotonic()
        self._take(data)

    def _take(self, data: bytes) -> None:
        services = self._services
        wire = self._wire
        if wire is None:
            wire = self._wire = services.new_wire()
        request = wire.take(data)
        if request is None:
            self._read()
        elif not services.is_choosy or services.keeps(self, request, data):
            content = request.body or b""
            self._dispatch(request, BytesIO(content) if content else BytesIO(), len(content))

    def _read(self) -> None:
        """Read on with what the wire has received: the way of a request that did not come whole."""
        reader = self._reader
        if reader is None:
            assert self._wire is not None
            reader = self._reader = self._services.new_reader(self._wire)
        try:
            progress = reader.read()
        except RemoteProtocolError as error:
            self.refuse(error.status, str(error))
        except SpoolError as error:
            self._services.log.error("%s", error)
            self.refuse(507, "The server has no room for the request body.")
        else:
            if progress is WHOLE:
                assert reader.request is not None
                assert reader.input is not None
                self._dispatch(reader.request, reader.input, reader.body_size)
            elif progress is CLIENT_GONE:
                self.close()
            elif progress is HEAD_WHOLE:
                self._route(reader)
            elif progress is BODY_MISSING:
                self._wait_for_body(reader)
                self._watch_input()
            elif self._services.routes and len(self.unread) > UNREAD_LIMIT // 2:
                # With a read more it cannot travel.
                self.refuse(HEAD_TOO_LARGE.status, HEAD_TOO_LARGE.detail)
            else:
                if self.state == _IDLE:
                    self._wait_for_head()
                self._watch_input()

    def _route(self, reader: RequestReader) -> None:
        """The head is there; go on with the body unless another worker is to."""
        assert reader.request is not None
        if self._services.keeps(self, reader.request, self.unread):
            self._read()

    def _wait_for_head(self) -> None:
        self._enter(_HEAD)
        self.deadline = self._services.loop.now + self._services.deadlines.head

    def _wait_for_body(self, reader: RequestReader) -> None:
        deadlines, now = self._services.deadlines, self._services.loop.now
        if self.state != _BODY:
            self._enter(_BODY)
            self.deadline = now + deadlines.body
        self.deadline = deadlines.after_body_bytes(self.deadline, reader.new_bytes(), now)
        if interim := reader.maybe_continue():
            self._output.write([interim])

    def _watch_input(self) -> None:
        self._link.watch(READ | WRITE if self._output.pending else READ)

    # To the application and back

    def _dispatch(self, request: Request, body: IO[bytes], body_size: int) -> None:
        services, output = self._services, self._output
        assert self._wire is not None
        environ = self._environs.make(request, self._peer, body, body_size)
        output.begin()
        responder = new_responder(self._wire, request)
        self.call = new_call(services.gateway, request, environ, responder, output)
        self._enter(_QUEUED)
        services.runner.submit(self)

    def run(self) -> None:
        """Run the application; called by whoever owns the connection for it."""
        assert self.call is not None
        self._enter(_RUNNING)
        self.call.run()

    def resume(self) -> None:
        """Take over from the application."""
        assert self.call is not None
        if self._reader is not None:
            self._close_reader()
        outcome = self.call.outcome
        if outcome is DISCONNECTED or outcome is TIMED_OUT:
            self._services.settle()
            self.close()
        elif self._output.pending:
            self._begin_flush()
        else:
            self._finish()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def abandon(self) -> None:
        """Close the socket and the files, and nothing else."""
        self._enter(_CLOSED)
        self._output.close()
        self._close_reader()
        self._link.close()

    # Writing

    def _begin_flush(self) -> None:
        """The client has to take the rest of the response first."""
        self._enter(_FLUSHING)
        self.deadline = self._services.loop.now + self._services.deadlines.send
        self._flush()

    def _flush(self) -> None:
        output = self._output
        taken = output.taken
        try:
            output.flush()
        except SourceTruncated as error:
            self._services.log.error("%r: %s", self, error)
            self._reset()
            return
        if not output.pending:
            self._finish()
            return
        if output.taken > taken:
            self.deadline = self._services.loop.now + self._services.deadlines.send
        self._link.watch(WRITE)

    def _finish(self) -> None:
        """Go on with the next request, or end."""
        call, wire = self.call, self._wire
        assert wire is not None
        if call is None:
            self._linger()  # it was a refusal; the client may still be sending
            return
        self._end_call()
        if call.outcome is not COMPLETE:
            self._break_off(call)
        elif wire.our_state is DONE and wire.their_state is DONE:
            self._start_next(wire)
        elif wire.has_more:
            self._linger()
        else:
            self.close()

    def _start_next(self, wire: Wire) -> None:
        services = self._services
        if wire.start_next_cycle():
            self._started = monotonic()
            self._wait_for_head()
            services.loop.soon(self)
            return
        self._enter(_IDLE)
        self.deadline = services.loop.now + services.idle_seconds
        self._link.watch(READ)

    def _end_call(self) -> None:
        """The call is over, if there was one; log it, once."""
        call, self.call = self.call, None
        if call is not None:
            call.control.end()
            if self._services.access is not None:
                self._services.log_access(call, self._started)

    def _break_off(self, call: Call) -> None:
        """The response is not whole, and the client must notice."""
        if call.request.http_version == b"1.0":
            self._reset()  # an orderly close is how a response without a length ends
        else:
            self.close()

    def refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be served, and end the connection."""
        services = self._services
        services.log.info(
            "Refused a request of %s: %d %s", self._peer.address or "unix peer", status, detail
        )
        self._close_reader()
        assert self._wire is not None
        self._output.begin()
        self._output.write([self._wire.refuse(status, detail, services.gateway.clock.date())])
        if self._output.pending:
            self._begin_flush()
        else:
            self._finish()

    # Ending

    def _linger(self) -> None:
        """Close our side; the client may still be reading."""
        self._lingering = Lingering(self._link)
        self._enter(_LINGERING)
        self.deadline = self._services.loop.now + LINGER_SECONDS

    def _discard(self) -> None:
        assert self._lingering is not None
        if self._lingering.discard():
            self.close()

    def _reset(self) -> None:
        """Close so that the client gets an error instead of an end."""
        self._link.reset_on_close()
        self.close()
