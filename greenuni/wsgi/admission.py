"""Which connections a worker lets in, and when: new ones, and those that other workers hand on."""

from __future__ import annotations

from greenuni.observe.errorstream import ErrorStream
from greenuni.poller import READ
from greenuni.shell import Seat
from greenuni.wsgi.acceptor import Acceptor
from greenuni.wsgi.arrivals import AT_ONCE, Arrivals, Places
from greenuni.wsgi.connection import Connection
from greenuni.wsgi.departures import Departures
from greenuni.wsgi.door import Door
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.population import Population
from greenuni.wsgi.runner import Runner
from greenuni.wsgi.services import Services


class Admission:
    """The doors of one worker: its listeners, and the queue of its pool if there are pools."""

    def __init__(
        self,
        seat: Seat,
        services: Services,
        connections: Population,
        departures: Departures | None,
    ) -> None:
        config = seat.config
        self._services = services
        self._connections = connections
        self._departures = departures
        self._runner: Runner = services.runner
        self._room = config.worker_connections
        self._callers = config.threads
        # Connections wait for a thread here, not with siblings: `Overseer` knows for how long.
        self.waits_inside = config.threads > 1 and config.queue_timeout > 0
        self._is_crowded = False  # all threads have a call, so who comes now is sent to siblings
        self._is_queues_turn = False
        places = Places(config, ErrorStream(seat.log), seat.pools.prefix if seat.pools else b"")
        self.doors: list[Door] = [
            Acceptor(
                services.loop,
                listener,
                places.at(listener.getsockname()),
                self._accepted,
                seat.log,
                seat.siblings,
                held=connections.__len__,
            )
            for listener in seat.listeners
        ]
        self.arrivals: Arrivals | None = None
        if seat.pools is not None:
            queue = seat.pools.arrivals
            self.arrivals = Arrivals(services.loop, queue, places, self._arrived, seat.log, config)
            self.doors.append(self.arrivals)

    def __repr__(self) -> str:
        return f"<Admission by {self.doors}>"

    @property
    def is_full(self) -> bool:
        """Whether idle connections are to make room: for a connection more, or for its descriptor."""
        return len(self._connections) >= self._room or any(door.is_exhausted for door in self.doors)

    def listen(self, is_open: bool) -> None:
        """Listen while there is room: a connection more, and a thread that is free to serve it.

        Otherwise new connections are left to siblings, and wait for whoever has time first. With
        ``queue-timeout`` they wait here, as else nobody would know for how long.
        """
        if self._is_crowded and self._runner.running < self._callers:
            self._uncrowd(is_open)
        has_room = (
            is_open
            and len(self._connections) < self._room
            and (self._runner.running < self._callers or self.waits_inside)
        )
        for door in self.doors:
            door.listen(has_room)

    def crowd(self) -> None:
        """All threads have a call, so who comes now is better off with a sibling."""
        self._set_crowded(True)
        assert self.arrivals is not None
        self.arrivals.listen(False)  # at once: what arrives in this turn would be sent back

    def _uncrowd(self, is_open: bool) -> None:
        """A thread is free, every other time for those in the queue.

        Else the client that has just been answered would be the next one, for as long as it is quick, and the
        others would wait. The times between are for new connections.
        """
        self._set_crowded(False)
        self._is_queues_turn = not self._is_queues_turn
        if not self._is_queues_turn:
            return
        assert self.arrivals is not None
        for _ in range(AT_ONCE):
            has_room = is_open and len(self._connections) < self._room
            if self._runner.running >= self._callers or not has_room or not self.arrivals.take():
                return

    def _set_crowded(self, is_crowded: bool) -> None:
        assert self._departures is not None
        self._is_crowded = self._departures.is_crowded = is_crowded
        self._services.is_choosy = is_crowded or self._services.routes

    def take_arrivals(self) -> None:
        """Take all that others have handed on: nobody else will."""
        while self.arrivals is not None and self.arrivals.take():
            pass

    def close(self) -> None:
        for door in self.doors:
            door.close()

    def _accepted(self, fd: int, address: SocketName, environs: EnvironFactory) -> None:
        self._let_in(Connection(self._services, fd, address, environs), None, 0)

    def _arrived(
        self, fd: int, address: SocketName, environs: EnvironFactory, unread: bytes, hops: int
    ) -> None:
        self._let_in(Connection(self._services, fd, address, environs), unread, hops)

    def _let_in(self, connection: Connection, unread: bytes | None, hops: int) -> None:
        """``unread`` is what another worker has read, or None if the connection is new."""
        self._connections.add(connection)
        try:
            if unread is None:
                connection.on_event(READ)  # its first bytes are often there already
            else:
                connection.arrive(unread, hops)
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._services.loop.close_failed(connection, error)
