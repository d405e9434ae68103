"""Accepting connections from listeners that are shared with sibling workers.

One connection is accepted each time a listener is found readable, so that workers which wake up
together share a burst; and only while the worker has room, so that what it cannot serve waits in
the kernel's queue, where an idle sibling can take it. When every place is taken, the connection that
has been idle longest makes room.
"""

from __future__ import annotations

import enum
import errno
import functools
import socket
from collections.abc import Sequence
from typing import Any

from greenuni.asgi.connection import Connection
from greenuni.asgi.interfaces import Runtime
from greenuni.asgi.scope import Address, Peer, ServerAddress
from greenuni.asgi.service import Service

# The process or the machine has run out of something; trying again at once would spin.
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

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


class Gate(enum.Enum):
    """Whether connections are let in."""

    CLOSED = "closed"
    OPEN = "open"
    FULL = "full"  # until somebody leaves
    EXHAUSTED = "exhausted"  # until the next tick


class Acceptor:
    """Accepts for one worker. ``stop`` is final."""

    def __init__(
        self, service: Service, runtime: Runtime, listeners: Sequence[socket.socket]
    ) -> None:
        self._service = service
        self._runtime = runtime
        self._listeners = listeners
        self._gate = Gate.CLOSED
        self._has_complained = False

    def __repr__(self) -> str:
        return f"<Acceptor {self._gate.value}>"

    def start(self) -> None:
        self._open()

    def stop(self, *, sweep: bool) -> None:
        """Close the listeners; with ``sweep``, first take what the kernel has accepted for us.

        Otherwise the clients in the queue would be reset when the last worker closes it.
        """
        self._shut(Gate.CLOSED)
        for listener in self._listeners:
            while sweep and self._service.population.has_room() and self._accept(listener):
                pass
            listener.close()

    def tick(self) -> None:
        """Once a second: try again after a shortage, and after connections have been idle."""
        if self._gate is Gate.EXHAUSTED:
            self._open()
        elif self._gate is Gate.FULL:
            self._service.population.make_room()

    def somebody_left(self) -> None:
        if self._gate is Gate.FULL and self._service.population.has_room():
            self._open()

    def _open(self) -> None:
        self._gate = Gate.OPEN
        for listener in self._listeners:
            self._runtime.watch(listener, functools.partial(self._ready, listener))

    def _shut(self, gate: Gate) -> None:
        if self._gate is Gate.OPEN:
            for listener in self._listeners:
                self._runtime.unwatch(listener)
        self._gate = gate

    def _ready(self, listener: socket.socket) -> None:
        population = self._service.population
        if self._gate is not Gate.OPEN:
            return
        if population.has_room():
            self._accept(listener)
        else:
            # When the one that makes room has left, ``somebody_left`` opens again.
            self._shut(Gate.FULL)
            population.make_room()

    def _accept(self, listener: socket.socket) -> bool:
        """Accept one connection; False if there was none."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._out_of_resources(error)
            elif error.errno not in _GONE:
                raise
            return False
        self._has_complained = False
        peer = self._identify(listener, accepted, address)
        self._service.population.arriving += 1
        self._runtime.connect(accepted, Connection(self._service, peer))
        return True

    def _out_of_resources(self, error: OSError) -> None:
        """Wait until the next tick, with one line a shortage, and let idle connections go."""
        if not self._has_complained:
            self._has_complained = True
            self._service.seat.log.error(
                "Cannot accept connections: %s; raise the limit (ulimit -n) or lower"
                " worker-connections",
                error.strerror,
            )
        self._service.population.make_room()
        if self._gate is Gate.OPEN:
            self._shut(Gate.EXHAUSTED)

    def _identify(self, listener: socket.socket, accepted: socket.socket, address: Any) -> Peer:
        """``address`` is what accept() gave: a tuple, or a path that is empty for most clients."""
        trusts = self._service.proxies.trusts
        server: ServerAddress
        if listener.family == socket.AF_UNIX:
            path = listener.getsockname()
            return Peer(
                None, (path if isinstance(path, str) else path.decode(), None), trusts(None)
            )
        name = listener.getsockname()
        if name[0] in _WILDCARDS:
            name = accepted.getsockname()
        client: Address = (address[0], address[1])
        server = (name[0], name[1])
        return Peer(client, server, trusts(client[0]))
