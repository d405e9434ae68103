"""One client connection: from its first byte to its close, in states.

The loop's thread owns a connection in every state but QUEUED and RUNNING. Then it belongs to
whoever runs the application, and comes back whole; the loop does not touch it meanwhile, except that
it stops watching a descriptor that is ready without anybody to read it.
"""

from __future__ import annotations

import enum
import socket
import time

from greenuni.deadlines import BODY_LATE, HEAD_LATE
from greenuni.errors import RemoteProtocolError
from greenuni.http import Responder
from greenuni.wsgi.application import COMPLETE, DISCONNECTED, Call
from greenuni.wsgi.body import SpoolError
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.link import Link
from greenuni.wsgi.output import Output, SourceTruncated
from greenuni.poller import READ, WRITE
from greenuni.wsgi.reader import BODY_MISSING, CLIENT_GONE, WHOLE, RequestReader
from greenuni.wsgi.services import Services

LINGER_SECONDS = 2.0
LINGER_LIMIT = 256 * 1024  # bytes thrown away while lingering


class State(enum.IntEnum):
    """Where a connection is. IntEnum, because looking one up must cost nothing."""

    IDLE = 0  # nothing of a request is there, or it came whole and has just been read
    HEAD = 1  # something of a head is there
    BODY = 2  # the head is there and the body is not
    QUEUED = 3  # a whole request waits for a thread
    RUNNING = 4  # the application has it
    FLUSHING = 5  # the client takes the rest of a response
    LINGERING = 6  # the client may read what we said; what it sends is thrown away
    CLOSED = 7


# Bound once: before Python 3.12, finding a member through its class is a call.
IDLE, HEAD, BODY, QUEUED, RUNNING, FLUSHING, LINGERING, CLOSED = State

TRANSITIONS: dict[State, tuple[State, ...]] = {
    IDLE: (HEAD, BODY, QUEUED, FLUSHING, LINGERING, CLOSED),
    HEAD: (BODY, QUEUED, FLUSHING, LINGERING, CLOSED),
    BODY: (QUEUED, FLUSHING, LINGERING, CLOSED),
    QUEUED: (RUNNING, CLOSED),
    RUNNING: (FLUSHING, IDLE, HEAD, LINGERING, CLOSED),
    FLUSHING: (IDLE, HEAD, LINGERING, CLOSED),
    LINGERING: (CLOSED,),
    CLOSED: (),
}
AWAY = (QUEUED, RUNNING)


class Connection:
    """One accepted socket and what is going on over it."""

    __slots__ = (
        "_body_seen",
        "_environs",
        "_lingered",
        "_link",
        "_maybe_reader",
        "_output",
        "_peer",
        "_services",
        "_started",
        "call",
        "deadline",
        "state",
    )

    def __init__(
        self,
        services: Services,
        sock: socket.socket,
        address: SocketName,
        environs: EnvironFactory,
    ) -> None:
        self._services = services
        self._link = Link(sock, services.loop.poller)
        self._environs = environs
        self._peer = environs.peer(address)
        self._output = Output(sock, services.output_limits, services.output_disk)
        self._maybe_reader: RequestReader | None = None  # thousands idle without one
        self._started = 0.0  # when the request began, by time.monotonic()
        self._body_seen = 0  # bytes of the body that its deadline takes into account
        self._lingered = 0  # bytes thrown away
        self.call: Call | None = None
        self.state = IDLE
        self.deadline = services.loop.now + services.deadlines.head  # by the loop's clock

    def __repr__(self) -> str:
        doing = f" {self.call!r}" if self.call else ""
        return f"<Connection {self._peer.address or 'unix'} fd={self.fd} {self.state.name}{doing}>"

    @property
    def fd(self) -> int:
        return self._link.fd

    @property
    def _reader(self) -> RequestReader:
        reader = self._maybe_reader
        if reader is None:
            reader = self._maybe_reader = self._services.new_reader()
        return reader

    def _enter(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"{self!r} cannot become {state.name}")
        self.state = state

    # Called by the loop

    def on_event(self, mask: int) -> None:
        """The descriptor is ready, or has failed; with 0 it is the turn of a pipelined request.

        Like every step that the loop calls, it raises ConnectionError when there is nothing left to
        do but to close.
        """
        state = self.state
        if state is FLUSHING:
            self._flush()
        elif state is LINGERING:
            self._discard()
        elif state in AWAY:
            self._link.watch(0)  # whatever it is, it has to wait
        elif state is not CLOSED:
            if mask & WRITE:
                self._output.flush()  # the rest of a 100 Continue
            if mask:
                self._receive()
            else:
                self._read(self._reader)

    def expire(self) -> None:
        """The deadline has passed."""
        if self.state in (HEAD, BODY):
            self._refuse(408, HEAD_LATE if self.state is HEAD else BODY_LATE)
        elif self.state is FLUSHING:
            self._reset()
        else:
            self.close()

    def park(self) -> None:
        """Let go of what the next request will make anew."""
        if self.state is IDLE:
            self._maybe_reader = None

    def close(self) -> None:
        """Close the socket. What the client has not taken is lost."""
        if self.state is CLOSED:
            return
        self._link.watch(0)
        self.abandon()
        self._services.closed(self)
        self._end_call()

    # Reading

    def _receive(self) -> None:
        data = self._link.maybe_receive()
        if data is None:
            self._watch_input()
            return
        if self.state is IDLE:
            if not data:
                self.close()
                return
            self._started = time.monotonic()
        reader = self._reader
        reader.wire.receive_data(data)
        self._read(reader)

    def _read(self, reader: RequestReader) -> None:
        try:
            progress = reader.read()
        except RemoteProtocolError as error:
            self._refuse(error.status, str(error))
        except SpoolError as error:
            self._services.log.error("%s", error)
            self._refuse(507, "The server has no room for the request body.")
        else:
            if progress is WHOLE:
                self._dispatch(reader)
            elif progress is CLIENT_GONE:
                self.close()
            else:
                if progress is BODY_MISSING:
                    self._wait_for_body(reader)
                elif self.state is IDLE:
                    self._wait_for_head()
                self._watch_input()

    def _wait_for_head(self) -> None:
        self._enter(HEAD)
        self.deadline = self._services.loop.now + self._services.deadlines.head

    def _wait_for_body(self, reader: RequestReader) -> None:
        deadlines, now = self._services.deadlines, self._services.loop.now
        if self.state is not BODY:
            self._enter(BODY)
            self.deadline = now + deadlines.body
            self._body_seen = 0
        size = reader.body_size
        self.deadline = deadlines.after_body_bytes(self.deadline, size - self._body_seen, now)
        self._body_seen = size
        if interim := reader.maybe_continue():
            self._output.write([interim])

    def _watch_input(self) -> None:
        self._link.watch(READ | WRITE if self._output.pending else READ)

    # To the application and back

    def _dispatch(self, reader: RequestReader) -> None:
        request, body = reader.request, reader.input
        assert request is not None
        assert body is not None
        environ = self._environs.make(request, self._peer, body, reader.body_size)
        self._output.begin()
        responder = Responder(reader.wire, request)
        self.call = Call(self._services.gateway, request, environ, responder, self._output)
        self._enter(QUEUED)
        self._services.dispatch(self)

    def run(self) -> None:
        """Run the application; called by whoever owns the connection for it."""
        assert self.call is not None
        self._enter(RUNNING)
        self.call.run()

    def resume(self) -> None:
        """Take over from the application."""
        assert self.call is not None
        self._services.returned(self)
        reader = self._reader
        reader.close()
        if self.call.outcome is DISCONNECTED:
            self.close()
        else:
            self._finish_or_flush(reader)

    def abandon(self) -> None:
        """Close the socket and the files, and nothing else."""
        self._enter(CLOSED)
        self._output.close()
        if self._maybe_reader is not None:
            self._maybe_reader.close()
        self._link.close()

    # Writing

    def _finish_or_flush(self, reader: RequestReader) -> None:
        """Everything was written, or the client has to take the rest of it first."""
        if not self._output.pending:
            self._finish(reader)
            return
        self._enter(FLUSHING)
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
            self._finish(self._reader)
            return
        if output.taken > taken:
            self.deadline = self._services.loop.now + self._services.deadlines.send
        self._link.watch(WRITE)

    def _finish(self, reader: RequestReader) -> None:
        """Go on with the next request, or end."""
        call = self._end_call()
        if call is None:
            self._linger()  # it was a refusal; the client may still be sending
        elif call.outcome is not COMPLETE:
            self._break_off(call)
        elif reader.start_next():
            self._start_next(reader)
        elif reader.has_more:
            self._linger()
        else:
            self.close()

    def _start_next(self, reader: RequestReader) -> None:
        services = self._services
        if reader.has_more:
            self._started = time.monotonic()
            self._wait_for_head()
            services.loop.soon(self)
            return
        self._enter(IDLE)
        self.deadline = services.loop.now + services.deadlines.idle
        self._link.watch(READ)

    def _end_call(self) -> Call | None:
        """The call is over, if there was one; log it, once."""
        call, self.call = self.call, None
        if call is not None and self._services.access is not None:
            self._services.log_access(call, self._started)
        return call

    def _break_off(self, call: Call) -> None:
        """The response is not whole, and the client must notice."""
        if call.request.http_version == b"1.0":
            self._reset()  # an orderly close is how a response without a length ends
        else:
            self.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be served, and end the connection."""
        services = self._services
        services.log.info(
            "Refused a request of %s: %d %s", self._peer.address or "unix peer", status, detail
        )
        reader = self._reader
        reader.close()
        self._output.begin()
        self._output.write([reader.wire.refuse(status, detail, services.gateway.clock.date())])
        self._finish_or_flush(reader)

    # Ending

    def _linger(self) -> None:
        """Close in two steps, for unread bytes at a close reset the connection and with it what
        the client has not read yet (RFC 9112 9.6).
        """
        self._link.end()
        self._enter(LINGERING)
        self.deadline = self._services.loop.now + LINGER_SECONDS
        self._link.watch(READ)

    def _discard(self) -> None:
        data = self._link.maybe_receive()
        if data is None:
            return
        self._lingered += len(data)
        if not data:
            self.close()
        elif self._lingered > LINGER_LIMIT:
            self._link.watch(0)  # the deadline closes it; the client can read until then

    def _reset(self) -> None:
        """Close so that the client gets an error instead of an end."""
        self._link.reset_on_close()
        self.close()
