"""The WebSocket scope of ASGI 3.0: https://asgi.readthedocs.io/en/latest/specs/www.html"""

from __future__ import annotations

from greenuni.asgi.interfaces import Scope
from greenuni.asgi.scope import Peer, build_scope
from greenuni.asgi.service import Service
from greenuni.http import Request
from greenuni.ws import Handshake

WEBSOCKET_SPEC_VERSION = "2.4"


def build_websocket_scope(
    request: Request, handshake: Handshake, peer: Peer, service: Service
) -> Scope:
    """What the HTTP scope of the same request would say, and what is different."""
    scope = build_scope(request, peer, service)
    del scope["method"]
    scope["type"] = "websocket"
    scope["asgi"]["spec_version"] = WEBSOCKET_SPEC_VERSION
    scope["scheme"] = "wss" if scope["scheme"] in ("https", "wss") else "ws"
    scope["subprotocols"] = list(handshake.subprotocols)
    scope["extensions"] = {"websocket.http.response": {}}
    return scope
