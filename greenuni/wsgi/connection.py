"""One client connection: from its first byte to its close, in states.

The loop's thread owns a connection in every state but QUEUED and RUNNING. Then it belongs to
whoever runs the application, and comes back whole; the loop does not touch it meanwhile, except that
it stops watching a descriptor that is ready without anybody to read it.

The descriptor is registered with the poller when a read would block, not before, and stays so from
request to request: a connection that is used for one request is never registered, and one that is
used for a thousand is registered once.
"""

from __future__ import annotations

import enum
import socket
import struct
import time
from collections.abc import Callable

from greenuni.config import Config
from greenuni.deadlines import Deadlines
from greenuni.errors import RemoteProtocolError
from greenuni.http import Limits, Responder
from greenuni.observe import AccessLog, Exchange
from greenuni.wsgi.application import COMPLETE, DISCONNECTED, Call, Gateway
from greenuni.wsgi.body import SpoolError
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.loop import Loop
from greenuni.wsgi.output import Output, OutputDisk, OutputLimits, SourceTruncated
from greenuni.wsgi.poller import READ, WRITE
from greenuni.wsgi.reader import BODY_MISSING, CLIENT_GONE, WHOLE, RequestReader

RECEIVE_SIZE = 64 * 1024  # bytes asked for at once
LINGER_SECONDS = 2.0
LINGER_LIMIT = 256 * 1024  # bytes thrown away while lingering
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


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


class Services:
    """What all connections of a worker share."""

    def __init__(
        self,
        loop: Loop,
        gateway: Gateway,
        config: Config,
        access: AccessLog | None,
        dispatch: Callable[[Connection], None],
        returned: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self.loop = loop
        self.gateway = gateway
        self.log = gateway.log
        self.access = access
        self.dispatch = dispatch
        self.returned = returned
        self.closed = closed
        self.limits = Limits.of(config)
        self.deadlines = Deadlines.of(config)
        self.spool_memory = config.spool_memory
        self.spool_directory = config.tmp_upload_dir
        self.output_limits = OutputLimits(
            config.spool_memory, config.spool_limit, config.send_timeout
        )
        self.output_disk = OutputDisk(config.tmp_upload_dir, gateway.log)


class Connection:
    """One accepted socket and what is going on over it."""

    __slots__ = (
        "_body_seen",
        "_environs",
        "_lingered",
        "_maybe_reader",
        "_output",
        "_peer",
        "_services",
        "_sock",
        "_started",
        "_watched",
        "call",
        "deadline",
        "fd",
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
        self._sock = sock
        self._environs = environs
        self._peer = environs.peer(address)
        self._output = Output(sock, services.output_limits, services.output_disk)
        self._maybe_reader: RequestReader | None = None  # thousands idle without one
        self._watched = 0  # what the poller watches for
        self._started = 0.0  # when the request began, by time.monotonic()
        self._body_seen = 0  # bytes of the body that its deadline takes into account
        self._lingered = 0  # bytes thrown away
        self.call: Call | None = None
        self.fd = sock.fileno()
        self.state = IDLE
        self.deadline = services.loop.now + services.deadlines.head  # by the loop's clock

    def __repr__(self) -> str:
        doing = f" {self.call!r}" if self.call else ""
        return f"<Connection {self._peer.address or 'unix'} fd={self.fd} {self.state.name}{doing}>"

    @property
    def _reader(self) -> RequestReader:
        reader = self._maybe_reader
        if reader is None:
            services = self._services
            reader = self._maybe_reader = RequestReader(
                services.limits, services.spool_memory, services.spool_directory
            )
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
            self._watch(0)  # whatever it is, it has to wait
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
            self._refuse(408, "The request did not arrive in time.")
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
        self._watch(0)
        self._log_access()
        self.abandon()
        self._services.closed(self)

    # Reading

    def _receive(self) -> None:
        data = self._maybe_recv()
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

    def _maybe_recv(self) -> bytes | None:
        """What there is, ``b""`` at EOF, None when there is nothing yet."""
        try:
            return self._sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:  # a route that went away, say
            raise ConnectionError(str(error)) from error

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
        self._watch(READ | WRITE if self._output.pending else READ)

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
        elif self._output.pending:
            self._enter(FLUSHING)
            self._flush()
        else:
            self._finish(reader)

    def abandon(self) -> None:
        """Close the socket and the files, and nothing else."""
        self._enter(CLOSED)
        self._output.close()
        if self._maybe_reader is not None:
            self._maybe_reader.close()
        self._sock.close()

    # Writing

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
        if output.taken > taken or self._watched != WRITE:
            self.deadline = self._services.loop.now + self._services.deadlines.send
        self._watch(WRITE)

    def _finish(self, reader: RequestReader) -> None:
        """Everything was written: go on with the next request, or end."""
        call = self.call
        if self._services.access is not None:
            self._log_access()
        if call is None:
            self._linger()  # it was a refusal; the client may still be sending
            return
        self.call = None
        if call.outcome is not COMPLETE:
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
        self._watch(READ)

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
        if self._output.pending:
            self._enter(FLUSHING)
            self._flush()
        else:
            self._finish(reader)

    # Ending

    def _linger(self) -> None:
        """Close in two steps, for unread bytes at a close reset the connection and with it what
        the client has not read yet (RFC 9112 9.6).
        """
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._enter(LINGERING)
        self.deadline = self._services.loop.now + LINGER_SECONDS
        self._watch(READ)

    def _discard(self) -> None:
        data = self._maybe_recv()
        if data is None:
            return
        self._lingered += len(data)
        if not data:
            self.close()
        elif self._lingered > LINGER_LIMIT:
            self._watch(0)  # the deadline closes it; the client can read until then

    def _reset(self) -> None:
        """Close so that the client gets an error instead of an end."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def _log_access(self) -> None:
        access, call = self._services.access, self.call
        if access is None or call is None or not call.responder.status:
            return
        request, responder = call.request, call.responder
        access.write(
            Exchange(
                client=call.client,
                method=request.method,
                target=request.target,
                http_version=request.http_version,
                headers=request.headers,
                status=responder.status,
                response_headers=responder.headers,
                body_bytes=responder.body_bytes,
                seconds=time.monotonic() - self._started,
                environ=call.environ,
            )
        )

    def _watch(self, mask: int) -> None:
        """Have the poller watch for ``mask``, which costs a system call only when it changes."""
        if mask == self._watched:
            return
        poller = self._services.loop.poller
        if not self._watched:
            poller.register(self.fd, mask)
        elif mask:
            poller.modify(self.fd, mask)
        else:
            poller.unregister(self.fd)
        self._watched = mask
