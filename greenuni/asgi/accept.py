"""Letting connections in: from listeners that are shared with sibling workers, and other entrances.

One connection is accepted each time a listener is found readable, and then siblings have their turn,
so that workers which wake up together share a burst. All of them do wake up: the kernel's exclusive
wake-ups do not reach through a poller that is watched by another. A worker without siblings takes as
many as it finds (`Door.burst`).

It goes on only while the worker has room, so that what it cannot serve waits in the kernel's queue,
where an idle sibling can take it. When every place is taken, the connection that has been idle
longest makes room.
"""

from __future__ import annotations

import enum
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from greenuni.asgi.connection import Connection
from greenuni.asgi.scope import Peer, ServerAddress
from greenuni.asgi.service import Service
from greenuni.asgi.transport import Pollable, RawSocket, Sockets, SocketTransport
from greenuni.http import TrustedProxies
from greenuni.poller import LISTEN
from greenuni.siblings import Siblings
from greenuni.sockets import EXHAUSTED
from greenuni.transfer import accept

# The process or the machine has run out of something.

# There was nothing to accept (a sibling was faster), or it was gone before we looked (accept(2)).
_GONE = frozenset(
    (
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOPROTOOPT,
        errno.EPERM,
        errno.EPROTO,
        errno.ETIMEDOUT,
    )
)

_WILDCARDS = ("0.0.0.0", "::")

# Connections that a worker without siblings accepts in one turn, at most.
MAX_BURST = 16


class Gate(enum.Enum):
    """Whether connections are let in."""

    CLOSED = "closed"
    OPEN = "open"
    FULL = "full"  # until somebody leaves
    EXHAUSTED = "exhausted"  # until the next tick


class Entrance(Pollable):
    """Something to poll through which connections come in."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.burst = 1  # connections to look for in the next turn, if this worker is alone
        self.knock: Callable[[Entrance], object]  # called when somebody may be there

    def ready(self, mask: int) -> None:
        self.knock(self)

    def let_in(self, service: Service, sockets: Sockets) -> bool:
        """Start one connection; False when there is none. Raises OSError."""
        raise NotImplementedError

    def close(self) -> None:
        """Nobody comes in here any more."""


class Door(Entrance):
    """One listening socket."""

    def __init__(self, listener: socket.socket, proxies: TrustedProxies) -> None:
        super().__init__(listener.fileno())
        self._listener = listener
        # Plain numbers, looked up once: a listener makes an enum member of each when it is asked.
        self._kind = (int(listener.family), int(listener.type), listener.proto)
        self._trusts = proxies.trusts
        self._server = server_address(listener.getsockname())
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            # What is accepted inherits it: one system call a listener, not one a connection.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __repr__(self) -> str:
        return f"<Door {self._server}>"

    def let_in(self, service: Service, sockets: Sockets) -> bool:
        try:
            accepted, peer = self._accept()
        except OSError as error:
            if error.errno in _GONE:
                return False
            raise
        SocketTransport(sockets, accepted, Connection(service, peer)).start()
        return True

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> tuple[RawSocket, Peer]:
        """Raises OSError."""
        fd, address = accept(self._listener)
        accepted = RawSocket(*self._kind, fileno=fd)
        if self._listener.family == socket.AF_UNIX:
            return accepted, Peer(None, self._server, self._trusts(None))
        server = self._server
        if server[0] in _WILDCARDS:
            server = accepted.getsockname()[:2]
        return accepted, Peer(address[:2], server, self._trusts(address[0]))


def server_address(name: Any) -> ServerAddress:
    """Our own end, by what ``getsockname`` says."""
    if isinstance(name, tuple):
        return (name[0], name[1])
    return (name if isinstance(name, str) else name.decode(), None)


class Acceptor:
    """Lets connections in while the worker has room. ``stop`` is final.

    ``siblings`` are those with whom they are to be shared evenly.
    """

    def __init__(
        self,
        service: Service,
        sockets: Sockets,
        entrances: Sequence[Entrance],
        siblings: Siblings | None = None,
    ) -> None:
        self._service = service
        self._sockets = sockets
        self._entrances = entrances
        for entrance in entrances:
            entrance.knock = self._knock
        self._siblings = siblings
        self._max_burst = MAX_BURST if service.seat.siblings is None else 1
        self._gate = Gate.CLOSED
        self._has_complained = False

    def __repr__(self) -> str:
        return f"<Acceptor {self._gate.value}>"

    def start(self) -> None:
        self._open()
        self.tick()

    def stop(self, *, sweep: bool) -> None:
        """Close the entrances; with ``sweep``, first take what the kernel has accepted for us.

        Otherwise the clients in the queue would be reset when the last worker closes it.
        """
        self._shut(Gate.CLOSED)
        if self._siblings is not None:
            self._siblings.leave()
        if sweep:
            self.sweep()
        for entrance in self._entrances:
            entrance.close()

    def sweep(self) -> None:
        """Take all that are there, as far as there is room."""
        for entrance in self._entrances:
            while self._service.population.has_room() and self._let_in(entrance):
                pass

    def tick(self) -> None:
        """Once a second: try again after a shortage, and after connections have been idle."""
        if self._siblings is not None and self._gate is not Gate.CLOSED:
            self._siblings.note(len(self._service.population.connections))
        if self._gate is Gate.EXHAUSTED:
            self._open()
        elif self._gate is Gate.FULL:
            self._service.population.make_room()

    def somebody_left(self) -> None:
        if self._gate is Gate.FULL and self._service.population.has_room():
            self._open()

    def _open(self) -> None:
        self._gate = Gate.OPEN
        for entrance in self._entrances:
            self._sockets.watch(entrance.fd, 0, LISTEN, entrance)

    def _shut(self, gate: Gate) -> None:
        if self._gate is Gate.OPEN:
            for entrance in self._entrances:
                self._sockets.watch(entrance.fd, LISTEN, 0, entrance)
        self._gate = gate

    def _knock(self, entrance: Entrance) -> None:
        population = self._service.population
        if self._gate is not Gate.OPEN:
            return
        if not population.has_room():
            # When the one that makes room has left, ``somebody_left`` opens again.
            self._shut(Gate.FULL)
            population.make_room()
            return
        if self._siblings is not None:
            self._siblings.come_first(len(population.connections))
        wanted = entrance.burst
        accepted = 0
        while accepted < wanted and population.has_room() and self._let_in(entrance):
            accepted += 1
        # Looking for one more than there is costs as much as half a connection, so a worker that
        # has found fewer than it looked for begins again with one.
        entrance.burst = min(wanted * 2, self._max_burst) if accepted == wanted else 1
        if accepted and self._siblings is not None:
            self._go_to_the_end(entrance)

    def _go_to_the_end(self, entrance: Entrance) -> None:
        """The kernel wakes those that listen in the order in which they were registered.

        The first of them would have every connection that comes alone.
        """
        if self._gate is Gate.OPEN:
            self._sockets.watch(entrance.fd, LISTEN, 0, entrance)
            self._sockets.watch(entrance.fd, 0, LISTEN, entrance)

    def _let_in(self, entrance: Entrance) -> bool:
        """Start one connection; False if there was none."""
        try:
            if not entrance.let_in(self._service, self._sockets):
                return False
        except OSError as error:
            self._out_of_resources(error)
            return False
        self._has_complained = False
        return True

    def _out_of_resources(self, error: OSError) -> None:
        """Wait until the next tick, with one line a shortage, and let idle connections go."""
        if not self._has_complained:
            self._has_complained = True
            advice = (
                "; raise the limit (ulimit -n) or lower worker-connections"
                if error.errno in EXHAUSTED
                else ""
            )
            self._service.seat.log.error(
                "Cannot accept connections: %s%s", error.strerror or error, advice
            )
        self._service.population.make_room()
        if self._gate is Gate.OPEN:
            self._shut(Gate.EXHAUSTED)
