"""Connections that leave this worker: for the pool that their request belongs to, or for a sibling.

Mostly it goes at once (`Way.takes_at_once`). Else it is no `Connection` any more: a `Departing` takes its
place with the transport and among the population, so that it has a place and a deadline for as long as it
cannot go. It waits until its client has taken all of the response before, and then until the queue has room.

The transport is closed as ever, which closes the descriptor of this process and not the connection.

What goes is the descriptor, and all octets since the first one of a request that has not been answered.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic

from greenuni.asgi.channel import TransportUser
from greenuni.asgi.connection import Connection
from greenuni.asgi.interfaces import Transport
from greenuni.asgi.lingering import Lingering
from greenuni.asgi.service import Service
from greenuni.asgi.transport import Pollable, Sockets
from greenuni.handoff import Outbox, send
from greenuni.http.refusal import error_response
from greenuni.http.request import Request
from greenuni.poller import WRITE
from greenuni.shell import POOL_IS_BUSY, Pools


class Departures:
    """The ways out of one worker: `service.WaysOut`."""

    def __init__(self, service: Service, pools: Pools, sockets: Sockets) -> None:
        self._pools = pools
        self._service = service
        self._ways = [
            Way(queue, sockets, partial(pools.is_up, index))
            for index, queue in enumerate(pools.queues)
        ]

    def __repr__(self) -> str:
        return f"<Departures {self._ways}>"

    def keeps(self, connection: Connection, request: Request, unread: bytes) -> bool:
        pools = self._pools
        index = pools.route(request.host, request.path)
        if index == pools.own:
            connection.hops = 0
            return True
        if pools.lets_go(connection, index):
            self._send(connection, index, unread)
        return False

    def retire(self, connection: Connection) -> bool:
        if not self.keeps_clients():
            return False
        self._send(connection, self._pools.own, connection.unread)
        return True

    def keeps_clients(self) -> bool:
        return self._pools.keeps_clients()

    def _send(self, connection: Connection, index: int, unread: bytes) -> None:
        connection.depart()
        way = self._ways[index]
        if not way.takes_at_once(connection.transport, unread, connection.hops):
            Departing(self._service, connection, unread).start(way)

    def tick(self) -> None:
        """Try again where nobody tells that there is room; see `Outbox.flush`."""
        for way in self._ways:
            way.outbox.flush()


class Way(Pollable):
    """The queue of one pool, and who waits for room in it."""

    def __init__(self, queue: socket.socket, sockets: Sockets, is_open: Callable[[], bool]) -> None:
        """``is_open`` says whether anybody will come for what is in the queue."""
        self.outbox = Outbox(queue, self._watch)
        self.is_open = is_open
        self._queue = queue
        self._fd = queue.fileno()
        self._sockets = sockets
        self._is_watched = False

    def __repr__(self) -> str:
        return f"<Way {self.outbox!r}>"

    def ready(self, mask: int) -> None:
        self.outbox.flush()

    def takes_at_once(self, transport: Transport, unread: bytes, hops: int) -> bool:
        """Send the connection, as most go: nobody waits, and its client has taken all responses."""
        fd = transport.fileno()
        if self.outbox or fd < 0 or transport.get_write_buffer_size():
            return False
        try:
            has_left = send(self._queue, fd, unread, hops)
        except OSError:
            return False  # it will happen again, to the one who tells of it
        if has_left:
            transport.close()
        return has_left

    def _watch(self, waits: bool) -> None:
        if waits == self._is_watched:
            return
        before, after = (0, WRITE) if waits else (WRITE, 0)
        try:
            self._sockets.watch(self._fd, before, after, self)
        except OSError:
            # No memory for a registration: the tick tries again.
            return
        self._is_watched = waits


class Departing(TransportUser):
    """One connection on its way out; a `service.Resident` until it has gone.

    One that cannot go within the time that a client has for a request head is answered by 503.
    """

    def __init__(self, service: Service, connection: Connection, unread: bytes) -> None:
        self.idle_since = inf  # it is never closed to make room for others
        self._service = service
        self._transport = connection.transport
        self._output = connection.output
        self._client = connection.peer.name
        self._hops = connection.hops
        self._unread = unread
        self._way: Way
        self._deadline = inf  # monotonic seconds
        self._is_over = False

    def __repr__(self) -> str:
        state = "over" if self._is_over else "waiting"
        return f"<Departing {self._client} {state} unread={len(self._unread)}>"

    def start(self, way: Way) -> None:
        """Be the user of the transport, and go when the client has taken what was sent to it."""
        self._way = way
        self._service.population.add(self)
        self._transport.set_user(self)
        if self._output.is_pending:
            self._transport.pause_reading()
        else:
            self.flushed()

    def go(self, queue: socket.socket) -> bool:
        """`handoff.Traveller.leave`."""
        fd = self._transport.fileno()
        if self._is_over or fd < 0:  # lost, or about to learn that it is
            return True
        try:
            has_left = send(queue, fd, self._unread, self._hops)
        except OSError as error:
            self._service.seat.log.error("Cannot hand a connection over: %s", error)
            self._refuse()
            return True
        if has_left:
            self._is_over = True
            self._transport.close()
        else:
            self._transport.pause_reading()
        return has_left

    def _refuse(self) -> None:
        """Stay; tell the client so, if it waits for something."""
        self._is_over = True
        if not self._unread:
            self._transport.close()
            return
        self._output.write([error_response(*POOL_IS_BUSY, self._service.clock.date())])
        self._transport.resume_reading()
        self._service.population.remove(self)
        Lingering(self._service, self._transport, self._output, self._client)

    # Called by the transport

    def flushed(self) -> None:
        if not self._is_over:
            self._deadline = monotonic() + self._service.deadlines.head
            self._way.outbox.put(Place(self))

    def data_received(self, data: bytes) -> None:
        """Too late."""

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._is_over = True
        self._service.population.remove(self)

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass

    # Called by the service

    def check(self, now: float) -> None:
        if self._output.is_stuck(now):
            self._service.seat.log.info("%s: does not read its response", self._client)
            self.abort()
        elif not self._is_over and (now >= self._deadline or not self._way.is_open()):
            self._refuse()

    def start_drain(self) -> None:
        """It is leaving already."""

    def close_idle(self) -> None:
        """It is not idle."""

    def leave(self) -> None:
        if not self._is_over:
            self._refuse()
        self._transport.close()  # there is no time to linger

    def abort(self) -> None:
        self._is_over = True
        self._transport.abort()


class Place:
    """Where a connection stands in line: a `handoff.Traveller`."""

    def __init__(self, departing: Departing) -> None:
        self.leave = departing.go
