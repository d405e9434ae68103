"""All connections of a worker, and what is done to them as a whole."""

from __future__ import annotations

from collections.abc import Container

from greenuni.wsgi.connection import Connection
from greenuni.wsgi.loop import Loop
from greenuni.wsgi.states import AWAY, WAITING, State

EVICTED_SHARE = 100  # when full, one in so many connections makes room, at every tick


class Population:
    """The connections that are open. Those that the application has are left alone."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._connections: set[Connection] = set()

    def __repr__(self) -> str:
        return f"<Population of {len(self)}>"

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._loop.handlers[connection.fd] = connection

    def discard(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._loop.handlers.pop(connection.fd, None)

    def check_deadlines(self) -> None:
        """Expire what is late, and let those that idle cost less."""
        now = self._loop.now
        for connection in list(self._connections):
            if connection.state in AWAY:
                continue
            if connection.deadline <= now:
                self._expire(connection)
            else:
                connection.park()

    def evict(self) -> None:
        """Close those that have idled longest: idle clients must not keep new ones out."""
        idle = [connection for connection in self._connections if connection.state == State.IDLE]
        idle.sort(key=lambda connection: connection.deadline)
        for connection in idle[: 1 + len(self) // EVICTED_SHARE]:
            connection.close()

    def waiting(self) -> list[Connection]:
        """Those that we have nothing whole of, not even a request head."""
        return [connection for connection in self._connections if connection.state in WAITING]

    def expire_waiting(self) -> None:
        """Wait for them no longer."""
        for connection in self.waiting():
            self._expire(connection)

    def _expire(self, connection: Connection) -> None:
        try:
            connection.expire()
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._loop.close_failed(connection, error)

    def close(self, returned: Container[object]) -> None:
        """Close all but those that a thread still has; it lets go of them itself.

        ``returned`` are those that no thread has any more, although their state says so.
        """
        for connection in list(self._connections):
            if connection.state not in AWAY or connection in returned:
                connection.close()
