"""Connections that go to another worker: of another pool, or a sibling that has time for them."""

from __future__ import annotations

import logging
import socket

from greenuni.handoff import UNREAD_LIMIT, Outbox, send
from greenuni.http.request import Request
from greenuni.poller import WRITE
from greenuni.shell import POOL_IS_DOWN, Pools
from greenuni.wsgi.connection import Connection
from greenuni.wsgi.loop import Handler, Loop
from greenuni.wsgi.states import State


class Departures:
    """The ways from this worker to others. Belongs to the loop, like the connections."""

    def __init__(
        self, pools: Pools, loop: Loop, log: logging.Logger, has_siblings: bool = True
    ) -> None:
        self.has_siblings = has_siblings
        self.is_crowded = False  # what comes now would have to wait for a thread
        self._pools = pools
        self._log = log
        self._ways = [Way(queue, loop) for queue in pools.queues]

    def __repr__(self) -> str:
        waiting = sum(len(way.outbox) for way in self._ways)
        return f"<Departures to {', '.join(self._pools.names) or 'siblings'} waiting={waiting}>"

    @property
    def is_open(self) -> bool:
        """Whether a sibling or a successor takes what this worker leaves."""
        return self._pools.keeps_clients()

    def keeps(self, connection: Connection, request: Request, unread: bytes) -> bool:
        """Whether this worker is to serve a request; if not, its connection has been seen to.

        ``unread`` is all that has been read from the first octet of the request on.
        """
        pools = self._pools
        index = pools.route(request.host, request.path) if pools.is_shared else pools.own
        if index == pools.own:
            connection.hops = 0
            return not (self.is_crowded and self._leave(connection, unread))
        if pools.lets_go(connection, index):
            self._send(connection, index, unread)
        return False

    def retire(self, connection: Connection) -> bool:
        """Give a connection that waits for its client to the siblings; False if it has to stay."""
        return self._leave(connection, connection.unread)

    def relieve(self, connection: Connection) -> bool:
        """Spare a connection that waits for its client a call that takes long; False if it has to stay."""
        if self._pools.is_shared and self._goes_elsewhere(connection):
            return True
        return self.has_siblings and self.retire(connection)

    def _goes_elsewhere(self, connection: Connection) -> bool:
        """Whether the next request is for another pool, to which it then is on its way: unread."""
        request = connection.preview()
        if request is None:
            return False
        index = self._pools.route(request.host, request.path)
        if index == self._pools.own or self._pools.why_not(index, connection.hops) is not None:
            return False
        connection.hops += 1
        self._send(connection, index, connection.unread)
        return True

    def _leave(self, connection: Connection, unread: bytes) -> bool:
        if not self.is_open or len(unread) > UNREAD_LIMIT:
            return False
        self._send(connection, self._pools.own, unread)
        return True

    def _send(self, connection: Connection, index: int, unread: bytes) -> None:
        connection.depart()
        self._ways[index].outbox.put(Journey(connection, unread, self._log))

    def flush(self) -> None:
        """At every tick: try again what could not be sent."""
        for way in self._ways:
            way.outbox.flush()


class Way(Handler):
    """The queue of one pool, seen from where connections go into it."""

    __slots__ = ("_is_watched", "_loop", "_queue", "outbox")

    def __init__(self, queue: socket.socket, loop: Loop) -> None:
        self._queue = queue
        self._loop = loop
        self._is_watched = False
        self.outbox = Outbox(queue, self._watch)

    def __repr__(self) -> str:
        return f"<Way {self._queue.fileno()} {self.outbox!r}>"

    def on_event(self, mask: int) -> None:
        self.outbox.flush()

    def _watch(self, wanted: bool) -> None:
        if wanted == self._is_watched:
            return
        self._is_watched = wanted
        fd = self._queue.fileno()
        if wanted:
            self._loop.poller.register(fd, WRITE)
            self._loop.handlers[fd] = self
        else:
            self._loop.poller.unregister(fd)
            del self._loop.handlers[fd]

    def close(self) -> None:
        """Send no more. The socket belongs to the worker."""
        self._watch(False)


class Journey:
    """One connection that goes with what was read from it."""

    __slots__ = ("_connection", "_log", "_unread")

    def __init__(self, connection: Connection, unread: bytes, log: logging.Logger) -> None:
        self._connection = connection
        self._unread = unread
        self._log = log

    def __repr__(self) -> str:
        return f"<Journey of {self._connection!r} with {len(self._unread)} bytes>"

    def leave(self, queue: socket.socket) -> bool:
        """See `handoff.Traveller`."""
        connection = self._connection
        if connection.state != State.LEAVING:
            return True  # it has waited too long, and its client been told so
        try:
            if not send(queue, connection.fd, self._unread, connection.hops):
                return False
        except OSError as error:
            self._log.error("Cannot hand a connection over: %s", error.strerror or error)
            self._fail(connection)
        else:
            connection.close()
        return True

    def _fail(self, connection: Connection) -> None:
        if not self._unread:
            connection.close()
            return
        try:
            connection.refuse(POOL_IS_DOWN.status, POOL_IS_DOWN.detail)
        except ConnectionError:
            connection.close()
