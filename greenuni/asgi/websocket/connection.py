"""One WebSocket: between the transport, which moves bytes, and the session of the application.

    Phase      what is going on                                        clock
    DECIDING   the application has not said what it makes of it        none
    DENYING    it is answering with an HTTP response                   none
    OPEN       messages                                                pings
    CLOSING    we have sent a close frame; the client's is to come     CLOSE_SECONDS
    CLOSED     the transport is closing, has closed, or lingers        none

Besides, as long as the transport holds bytes that the client does not take, the output's clock runs.

Reading goes on while the application runs, so that the client's leaving is seen at once; it pauses
while the inbox is full. Frames are parsed no further than there is room, so the rest of them waits as
bytes, of which there are no more than one read.

When the client closes, or breaks the rules, while messages wait for the application, it gets a second
to take them and to answer; only then is the client answered.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from math import inf
from time import monotonic

from greenuni.asgi.channel import TransportUser
from greenuni.asgi.interfaces import Transport
from greenuni.asgi.lingering import Lingering
from greenuni.asgi.service import Service
from greenuni.asgi.websocket.handover import Handover
from greenuni.asgi.websocket.inbox import Inbox
from greenuni.asgi.websocket.record import Record
from greenuni.ws import Close, CloseCode, Conversation, Fault, Keepalive, Life, Ping, Pong

CLOSE_SECONDS = 5.0  # how long the client's close frame may take after ours

# How long the application may take for the messages that came before the end.
LAST_MESSAGES_SECONDS = 1.0

# Bytes that a client may send before it has been accepted.
EARLY_LIMIT = 65536

LEAVING = "The server is restarting."


class Phase(enum.Enum):
    """See the module."""

    __hash__ = object.__hash__  # Enum's own is Python code, and every message looks a phase up

    DECIDING = "deciding"
    DENYING = "denying"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


# Bound once: before Python 3.12, finding a member through its class is a call.
DECIDING, DENYING, OPEN, CLOSING, CLOSED = Phase


class WebSocket(TransportUser):
    """See the module. It is the `TransportUser` of its transport and a `service.Resident`."""

    __slots__ = (
        "_client",
        "_conversation",
        "_early",
        "_end",
        "_input",
        "_keepalive",
        "_owed_pong",
        "_service",
        "_transport",
        "idle_since",
        "inbox",
        "on_client_left",
        "output",
        "phase",
        "record",
        "request",
        "wire",
    )

    def __init__(self, service: Service, handover: Handover) -> None:
        """Takes the transport over, with what the wire has received behind the request."""
        early, has_ended = handover.wire.trailing_data
        self._service = service
        self._transport: Transport = handover.transport
        self._input = handover.input  # its clock runs in CLOSING, and while there is an end
        self._client = handover.peer.name
        self._early = bytearray(early)
        self._conversation: Conversation | None = None  # once accepted
        self._keepalive: Keepalive | None = None
        self._end: Close | None = None  # what the client ended with, while messages wait
        self._owed_pong: Ping | None = None  # of the last ping, while the client takes nothing
        self.output = handover.output
        self.wire = handover.wire
        self.request = handover.request
        self.record: Record | None = None  # set by the session, and so is what follows
        self.on_client_left: Callable[[], object] | None = None
        self.inbox = Inbox(service.runtime, service.seat.config.ws_max_queue, self._go_on)
        self.phase = DECIDING
        self.idle_since = inf  # it is in use as long as it is open
        service.population.add(self)
        self._transport.set_user(self)
        if has_ended:
            self._lost_client()

    def __repr__(self) -> str:
        return f"<WebSocket {self.phase.value} {self._conversation!r} {self.inbox!r}>"

    # Called by the transport

    def connection_made(self, transport: Transport) -> None:
        raise RuntimeError("a WebSocket begins on a connection that has been made")

    def data_received(self, data: bytes) -> None:
        if self._end is not None:
            return
        if self.phase is OPEN or self.phase is CLOSING:
            assert self._conversation is not None
            assert self._keepalive is not None
            if self._keepalive.is_waiting:
                self._keepalive.received(len(data))
            self._conversation.receive_data(data)
            self._advance()
        elif self.phase is DECIDING:
            self._early += data
            if len(self._early) > EARLY_LIMIT:
                self._input.pause()

    def eof_received(self) -> bool:
        """A client that has closed one half cannot answer a ping or a close frame: it is lost."""
        if self.phase is DENYING:
            return True
        self._lost_client()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._lost_client()
        self._service.population.remove(self)
        self.resume_writing()

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()
        if self._owed_pong is not None:
            ping, self._owed_pong = self._owed_pong, None
            self._pong(ping)

    def _lost_client(self) -> None:
        self._disconnect(CloseCode.ABNORMAL, "")
        self._finish()

    def _disconnect(self, code: int, reason: str) -> None:
        """The client has gone, or is as good as gone; unless we have ended it before."""
        if self.inbox.close_code is None:
            self.inbox.disconnect(code, reason)
            if self.on_client_left is not None:
                self.on_client_left()

    def _finish(self) -> None:
        """There is nothing more to say."""
        has_been_open = self._conversation is not None
        self.phase = CLOSED
        if self.record is not None:
            self.record.write(self.inbox.close_code if has_been_open else None)

    # Reading

    def _advance(self) -> None:
        """Take what has come, as long as there is room for it."""
        assert self._conversation is not None
        inbox = self.inbox
        for event in self._conversation.events():
            if isinstance(event, (str, bytes)):
                if self.phase is OPEN:
                    inbox.put(event)
                    if inbox.is_full:
                        self._input.pause()
                        return
            elif isinstance(event, Close):
                self._end = event
                self._input.wait(monotonic() + LAST_MESSAGES_SECONDS)
                if self.phase is not OPEN or inbox.is_empty:
                    self._answer_end()
                return
            elif isinstance(event, Ping):
                self._pong(event)
            elif isinstance(event, Pong) and self._keepalive is not None:
                self._keepalive.pong()

    def _answer_end(self) -> None:
        """The client has closed, or broken the rules, and all that came before has been read."""
        end = self._end
        assert end is not None
        if self.phase is OPEN:
            self._disconnect(end.code, end.reason)
            self._write_close(end.code, end.reason)
        if isinstance(end, Fault):
            self.linger()
        else:
            self._hang_up()

    def _pong(self, ping: Ping) -> None:
        """A client that takes nothing is owed one pong, however often it asks (RFC 6455 5.5.3)."""
        if self.output.is_paused:
            self._owed_pong = ping
        elif self.phase is OPEN and self._conversation is not None:
            self._write(self._conversation.pong(ping))

    def _go_on(self) -> None:
        """There is room in the inbox."""
        if self.phase is not OPEN:
            return
        if self._end is not None:
            if self.inbox.is_empty:
                self._answer_end()
        elif self._input.is_paused:
            self._advance()
            if not self.inbox.is_full:
                self._input.resume()

    # Called by the session

    def accept(self, head: bytes, conversation: Conversation) -> None:
        """Answer with 101, and begin to talk."""
        config = self._service.seat.config
        self._conversation = conversation
        self._keepalive = Keepalive(
            config.ws_ping_interval, config.ws_ping_timeout, config.body_min_rate, monotonic()
        )
        self.phase = OPEN
        self._write(head)
        self._input.resume()
        if self._early:
            conversation.receive_data(bytes(self._early))
            self._early.clear()
            self._advance()
        if self._service.is_draining:
            self.start_drain()

    def refuse(self, status: int, detail: str, lines: bytes = b"") -> None:
        """Answer with an error response of the server's own; see `greenuni.http.Connection.refuse`."""
        date = self._service.clock.date()
        self._write(self.wire.refuse(status, detail, date, lines))
        if self.record is not None:
            self.record.status = status
        self.inbox.close(CloseCode.ABNORMAL, "")
        self.linger()

    def deny(self, parts: list[bytes]) -> None:
        """Send a part of the response that the application gives instead of accepting."""
        self.phase = DENYING
        for part in parts:
            self._write(part)

    def send(self, data: str | bytes, is_last: bool = True) -> None:
        """Send a message, or a part of one; only while OPEN."""
        assert self._conversation is not None
        self._write(self._conversation.message(data, is_last))

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait for the client's. Nothing happens when it has been closed."""
        if self.phase is not OPEN:
            return
        self.inbox.close(code, reason)
        self.phase = CLOSING
        self._write_close(code, reason)
        self._input.resume()
        self._input.wait(monotonic() + CLOSE_SECONDS)

    def linger(self) -> None:
        """Shut our side. A close now could reset the connection, and destroy what we have just sent."""
        if self.phase is CLOSED:
            return
        self._finish()
        self._input.resume()
        self.output.resume()  # nobody is to wait here
        self._service.population.remove(self)
        Lingering(self._service, self._transport, self.output, self._client)

    def abort(self) -> None:
        """Reset the connection, whatever is still to be sent."""
        self._lost_client()
        self._transport.abort()

    def _write_close(self, code: int, reason: str) -> None:
        assert self._conversation is not None
        self._write(self._conversation.close(code, reason))

    def _hang_up(self) -> None:
        self._finish()
        self._transport.close()

    def _write(self, data: bytes) -> None:
        self.output.write([data])

    # Called by the service

    def check(self, now: float) -> None:
        if self.output.is_stuck(now):
            self._service.seat.log.info("%r: does not read what it is sent", self)
            self.abort()
        elif self._input.is_late(now):
            if self.phase is OPEN:
                self._answer_end()
            else:
                self._hang_up()
        elif self.phase is OPEN and self._end is None:
            self._keep_alive(now, not self.output.is_pending and not self._input.is_paused)

    def _keep_alive(self, now: float, is_listening: bool) -> None:
        assert self._conversation is not None
        assert self._keepalive is not None
        life = self._keepalive.check(now, is_listening)
        if life is Life.PING:
            self._write(self._conversation.ping())
        elif life is Life.LOST:
            self.close(CloseCode.INTERNAL_ERROR, "No pong came in time.")
            self.linger()

    def start_drain(self) -> None:
        """Also what a session does that is told to end."""
        self.close(self._service.seat.config.ws_drain_code, LEAVING)

    def close_idle(self) -> None:
        """It is never idle."""

    def leave(self) -> None:
        if self.phase is DECIDING:
            self.refuse(503, LEAVING)
        self.start_drain()
        self._hang_up()
