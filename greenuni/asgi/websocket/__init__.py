"""WebSocket connections of the ASGI shell. Imported with the first of them, because of what wsproto takes.

transport <-> WebSocket <-> Session <-> application
              Inbox (receive), greenuni.ws (handshake and frames, no I/O)
"""

from __future__ import annotations

from greenuni.asgi.call import SHUTTING_DOWN
from greenuni.asgi.service import Service
from greenuni.asgi.websocket.connection import WebSocket
from greenuni.asgi.websocket.handover import Handover
from greenuni.asgi.websocket.session import Session
from greenuni.ws import BadHandshake, read_handshake

__all__ = ["Handover", "Session", "WebSocket", "begin"]


def begin(service: Service, handover: Handover) -> None:
    """Go on as a WebSocket, or refuse the handshake."""
    peer = handover.peer
    socket = WebSocket(service, handover)
    try:
        handshake = read_handshake(handover.request)
    except BadHandshake as error:
        service.seat.log.info(
            "Refused a WebSocket handshake of %s: %d %s", peer.name, error.status, error
        )
        socket.refuse(error.status, str(error), error.lines)
        return
    if service.is_draining:
        socket.refuse(503, SHUTTING_DOWN)
        return
    Session(service, socket, handshake, peer, handover.started_at).start()
