"""One client connection, from its first byte to its last, whatever is said over it.

It has the transport and both directions of it, and is there for the service: it looks at the clocks, and
goes when it has idled, when the worker drains, or when room is needed. What is said is its `Dialogue`'s.
That comes with the first bytes, and is given back when nothing has come from one tick to the next: what
waits for its next request, perhaps one of thousands, is little more than a socket.

Three others may take the transport over, and go on with it alone: a WebSocket; what is on its way to
another worker (`departures`); and what lingers, so that its client can read a last response (`lingering`).
"""

from __future__ import annotations

from math import inf
from time import monotonic

from greenuni.asgi.channel import Carrier
from greenuni.asgi.dialogue import Dialogue, Phase
from greenuni.asgi.input import Input
from greenuni.asgi.interfaces import Transport
from greenuni.asgi.lingering import Lingering
from greenuni.asgi.output import Output
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import DRAIN_IDLE, Service
from greenuni.http.connection import Connection as Wire
from greenuni.http.request import Request

_NEVER = inf


class Connection(Carrier):
    """See the module. It is the `TransportUser` of its transport, and a `service.Resident`."""

    __slots__ = ("_dialogue", "_is_new", "hops", "transport")

    def __init__(self, service: Service, peer: Peer, hops: int | None = None) -> None:
        """``hops`` is what came with a connection that another worker has sent, if one has."""
        self.service = service
        self.peer = peer
        self.transport: Transport  # it and both directions are there once it is made
        self.hops = hops or 0  # pools that the request in hand has been sent through
        self.idle_since = _NEVER  # as the tick saw it
        self._is_new = hops is None
        self._dialogue: Dialogue | None = None  # None when nothing is going on

    def __repr__(self) -> str:
        return f"<Connection {self.peer.name} {self._dialogue or 'idle'!s}>"

    @property
    def phase(self) -> Phase:
        return Phase.IDLE if self._dialogue is None else self._dialogue.phase

    # Called by the transport

    def connection_made(self, transport: Transport) -> None:
        service = self.service
        self.transport = transport
        self.input = Input(transport, service.deadlines)
        self.output = Output(transport, service.runtime, service.deadlines.send)
        service.population.add(self)
        if self._is_new:
            now = monotonic()
            self.input.wait_for_head(now)
            self.idle_since = now
        if service.is_draining:
            self.start_drain()

    def data_received(self, data: bytes) -> None:
        if self._dialogue is None:
            self._dialogue = Dialogue(self)
        self._dialogue.receive(data)

    def eof_received(self) -> bool:
        self.input.has_ended = True
        return self._dialogue is not None and self._dialogue.finish()

    def connection_lost(self, error: Exception | None) -> None:
        if self._dialogue is not None:
            self._dialogue.lose_client()
            self._dialogue = None
        self._let_go()

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()

    # Its ends; the first four are asked for by the dialogue

    def close(self) -> None:
        """Close when everything has been sent."""
        self._end()
        self.transport.close()

    def linger(self) -> None:
        """Say no more, and let the client read what has been said."""
        if self.input.has_ended:
            self.close()
            return
        self.input.resume()
        self._let_go()
        Lingering(self.service, self.transport, self.output, self.peer.name)

    def abort(self) -> None:
        """Reset the connection, whatever is still to be sent."""
        self._end()
        self.transport.abort()

    def upgrade(self, wire: Wire, request: Request, started_at: float) -> None:
        """Leave the transport, and what came behind the handshake, to a WebSocket."""
        # Imported for the first one: wsproto, and h11 with it, take 2 MiB and 40 ms.
        from greenuni.asgi.websocket import Handover, begin

        self._let_go()
        handover = Handover(
            self.peer, self.transport, self.input, self.output, wire, request, started_at
        )
        begin(self.service, handover)

    def _let_go(self) -> None:
        """The transport has ended, or is somebody else's: whoever waits for it need not."""
        self._end()
        self.service.population.remove(self)
        self.output.resume()

    def _end(self) -> None:
        """Nothing more is said, or waited for."""
        self.input.stop()
        if self._dialogue is not None:
            self._dialogue.end()

    # Called by the ways to other workers

    @property
    def unread(self) -> bytes:
        """What was read of a request whose head is not whole, or has just become so."""
        return b"" if self._dialogue is None else self._dialogue.unread

    def refuse(self, status: int, detail: str) -> None:
        """See `Channel`."""
        assert self._dialogue is not None, "somebody has asked"
        self._dialogue.refuse(status, detail)

    def depart(self) -> None:
        """The transport is theirs now."""
        self._let_go()

    # Called by the service

    def check(self, now: float) -> None:
        if self.output.is_stuck(now):
            self.service.seat.log.info("%s: does not read its response", self.peer.name)
            self.abort()
        elif self._dialogue is None or self._dialogue.is_idle():
            self._check_idle(now)
        elif self.input.is_late(now):
            self._dialogue.time_out()

    def _check_idle(self, now: float) -> None:
        """Wait for the next request. Only the tick begins to, so that a busy connection never does."""
        if self.idle_since == _NEVER:
            self.idle_since = now
            self.input.wait(now + self.service.idle_timeout)
        elif self.input.is_late(now) and not self.output.is_pending:
            self.close()
        elif self._dialogue is not None and not self._dialogue.has_calls():
            self._dialogue = None  # nothing has come since the last tick

    def start_drain(self) -> None:
        """Between requests or within a head: leave, if somebody will come for us, or wait no longer."""
        if self._dialogue is not None and not self._dialogue.is_waiting_for_client():
            return
        ways = self.service.ways_out
        if ways is None or not ways.retire(self):
            now = monotonic()
            self.idle_since = min(self.idle_since, now)
            self.input.wait(min(self.input.deadline, now + DRAIN_IDLE))

    def close_idle(self) -> None:
        if self._dialogue is None or self._dialogue.is_idle():
            self.close()

    def leave(self) -> None:
        self.input.has_ended = True  # there is no time to linger
        if self._dialogue is None:
            self.close()
        else:
            self._dialogue.leave()
