"""Connections that other workers have sent: another entrance, beside the listeners."""

from __future__ import annotations

import socket

from greenuni.asgi.accept import Entrance, server_address
from greenuni.asgi.connection import Connection
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import Service
from greenuni.asgi.transport import RawSocket, Sockets, SocketTransport
from greenuni.handoff import SocketName, receive
from greenuni.http import TrustedProxies


class Arrivals(Entrance):
    """The queue of this worker's pool. It belongs to all workers of it, and stays open."""

    def __init__(self, queue: socket.socket, proxies: TrustedProxies) -> None:
        super().__init__(queue.fileno())
        self._queue = queue
        self._proxies = proxies

    def __repr__(self) -> str:
        return "<Arrivals>"

    def let_in(self, service: Service, sockets: Sockets) -> bool:
        arrived = receive(self._queue)
        if arrived is None:
            return False
        fd, unread, hops = arrived
        connected = RawSocket(fileno=fd)
        try:
            peer = self._peer(connected.getsockname(), connected.getpeername())
        except OSError:
            connected.close()  # the client has gone meanwhile
        else:
            SocketTransport(sockets, connected, Connection(service, peer, hops)).start(unread)
        return True

    def _peer(self, ours: SocketName, theirs: SocketName) -> Peer:
        client = (theirs[0], theirs[1]) if isinstance(theirs, tuple) else None
        trusted = self._proxies.trusts(client[0] if client else None)
        return Peer(client, server_address(ours), trusted)
