"""WebSocket without I/O: handshake, messages, compression, keep-alive (docs/design.md, docs/websocket.md)."""

from greenuni.ws.codes import CloseCode, is_sendable
from greenuni.ws.conversation import Close, Conversation, Fault, Ping, Pong
from greenuni.ws.deflate import Deflate, negotiate
from greenuni.ws.handshake import BadHandshake, Handshake, accept_head, read_handshake
from greenuni.ws.keepalive import Keepalive, Life

__all__ = [
    "BadHandshake",
    "Close",
    "CloseCode",
    "Conversation",
    "Deflate",
    "Fault",
    "Handshake",
    "Keepalive",
    "Life",
    "Ping",
    "Pong",
    "accept_head",
    "is_sendable",
    "negotiate",
    "read_handshake",
]
