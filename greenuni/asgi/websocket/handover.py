"""What an HTTP connection leaves to the WebSocket that takes its place."""

from __future__ import annotations

from typing import NamedTuple

from greenuni.asgi.input import Input
from greenuni.asgi.interfaces import Transport
from greenuni.asgi.output import Output
from greenuni.asgi.scope import Peer
from greenuni.http import Connection as Wire
from greenuni.http import Request


class Handover(NamedTuple):
    """All of it. What ``wire`` has received behind ``request`` belongs to the WebSocket alone."""

    peer: Peer
    transport: Transport
    input: Input
    output: Output
    wire: Wire
    request: Request  # the handshake
    started_at: float  # when its first byte came, in monotonic seconds
