"""WebSocket connections of the ASGI shell. Imported with the first of them, because of what wsproto takes.

transport <-> WebSocket <-> Session <-> application
              Inbox (receive), greenuni.ws (handshake and frames, no I/O)
"""

from __future__ import annotations

from greenuni.asgi.call import SHUTTING_DOWN
from greenuni.asgi.interfaces import Transport
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import Service
from greenuni.asgi.websocket.connection import WebSocket
from greenuni.asgi.websocket.session import Session
from greenuni.http import Connection as Wire
from greenuni.http import Request
from greenuni.ws import BadHandshake, read_handshake

__all__ = ["Session", "WebSocket", "begin"]


def begin(
    service: Service,
    peer: Peer,
    transport: Transport,
    wire: Wire,
    request: Request,
    started_at: float,
    write_paused: bool,
) -> None:
    """Take the transport over from the HTTP connection on which the handshake ``request`` came.

    What has come behind it belongs to the WebSocket alone. ``started_at`` is the time of its first
    byte, in monotonic seconds.
    """
    socket = WebSocket(service, transport, wire, request, write_paused)
    try:
        handshake = read_handshake(request)
    except BadHandshake as error:
        service.seat.log.info(
            "Refused a WebSocket handshake of %s: %d %s", peer.name, error.status, error
        )
        socket.refuse(error.status, str(error), error.lines)
        return
    if service.is_draining:
        socket.refuse(503, SHUTTING_DOWN)
        return
    Session(service, socket, handshake, peer, started_at).start()
