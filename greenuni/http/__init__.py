"""The wire: HTTP/1.1 without I/O, and every policy about it (docs/design.md, docs/wire.md)."""

from greenuni.http.connection import Connection
from greenuni.http.engine import EngineChoice, choose_engine
from greenuni.http.events import (
    CLOSED,
    DONE,
    ERROR,
    IDLE,
    MUST_CLOSE,
    NEED_DATA,
    PAUSED,
    SEND_BODY,
    SEND_RESPONSE,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Signal,
)
from greenuni.http.framing import Framing
from greenuni.http.limits import DISCARD_LIMIT, Limits
from greenuni.http.proxy import TrustedProxies
from greenuni.http.refusal import error_content
from greenuni.http.request import Request
from greenuni.http.responder import Responder, ResponderState
from greenuni.http.states import State

__all__ = [
    "CLOSED",
    "DISCARD_LIMIT",
    "DONE",
    "ERROR",
    "IDLE",
    "MUST_CLOSE",
    "NEED_DATA",
    "PAUSED",
    "SEND_BODY",
    "SEND_RESPONSE",
    "Connection",
    "ConnectionClosed",
    "Data",
    "EndOfMessage",
    "EngineChoice",
    "Framing",
    "Limits",
    "Request",
    "Responder",
    "ResponderState",
    "Signal",
    "State",
    "TrustedProxies",
    "choose_engine",
    "error_content",
]
