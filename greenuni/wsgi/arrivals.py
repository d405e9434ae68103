"""Connections that other workers have handed on, and what they find here."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from io import TextIOBase

from greenuni.config import Config
from greenuni.handoff import names, receive
from greenuni.transfer import close
from greenuni.wsgi.door import Door
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.loop import Loop

PLACES_LIMIT = 128  # names that a server has for itself; more are made again for each connection
# Connections taken in one turn where each is served before the next is taken. If it were one, each would wait
# for a whole turn of those that are here already, though it has waited for longer than they have.
AT_ONCE = 8

Arrived = Callable[[int, SocketName, EnvironFactory, bytes, int], None]


class Places:
    """The environ factories of a worker by the name that the server has where a connection came in.

    A connection that was accepted in another pool may have come in where this one does not listen.
    """

    def __init__(self, config: Config, errors: TextIOBase, prefix: bytes) -> None:
        """``prefix`` is what the paths of all requests begin with: where the application is mounted."""
        self._config = config
        self._errors = errors
        self._prefix = prefix.decode("latin-1")
        self._factories: dict[SocketName, EnvironFactory] = {}

    def __repr__(self) -> str:
        return f"<Places {list(self._factories)}>"

    def at(self, name: SocketName) -> EnvironFactory:
        """The factory for connections that came in by the listener of this ``name``."""
        place = name[:2] if isinstance(name, tuple) else name
        factory = self._factories.get(place)
        if factory is None:
            factory = EnvironFactory(self._config, name, self._errors, self._prefix)
            if len(self._factories) < PLACES_LIMIT:
                self._factories[place] = factory
        return factory

    def of(self, name: SocketName) -> EnvironFactory:
        """The factory for a connection whose own end has this ``name``: its listener may have a wildcard."""
        for place in _names_of_listeners(name):
            if place in self._factories:
                return self._factories[place]
        return self.at(name)


def _names_of_listeners(name: SocketName) -> Iterable[SocketName]:
    if not isinstance(name, tuple):
        return (name,)
    return (name[:2], ("::", name[1]), ("0.0.0.0", name[1]))


class Arrivals(Door):
    """The queue of this worker's pool."""

    def __init__(
        self,
        loop: Loop,
        queue: socket.socket,
        places: Places,
        arrived: Arrived,
        log: logging.Logger,
        config: Config,
    ) -> None:
        super().__init__(loop, queue, log, "A connection from another worker is lost")
        self._places = places
        self._arrived = arrived
        self._has_siblings = config.workers > 1
        self._at_once = AT_ONCE if config.threads == 1 else 1

    def on_event(self, mask: int) -> None:
        for _ in range(self._at_once):
            if not self.take() or not self.is_listening:
                return
        if self._has_siblings:
            self.go_to_the_end()

    def take(self) -> bool:
        """Take one connection in; False when there was none, or it was lost."""
        try:
            found = receive(self.sock)
        except OSError as error:
            self.pause(error)
            return False
        if found is None:
            return False  # a sibling was faster
        self.was_good()
        fd, unread, hops = found
        ends = names(fd)
        if ends is None:
            close(fd)  # the client has gone meanwhile
        else:
            here, there = ends
            peer = there if isinstance(there, tuple) else ""
            self._arrived(fd, peer, self._places.of(here), unread, hops)
        return True
