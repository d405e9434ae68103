"""What is asked of a connection by the transport below it, and by what is said over it above.

Classes and no protocols, so that compiled code calls their methods directly.
"""

from __future__ import annotations

from typing import Any

from greenuni.asgi.input import Input
from greenuni.asgi.output import Output
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import Service
from greenuni.http.connection import Connection as Wire
from greenuni.http.request import Request


class TransportUser:
    """What a transport calls; asyncio.Protocol has the full meaning of each."""

    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError

    def eof_received(self) -> bool:
        """True keeps the writing side open; otherwise the transport closes itself."""
        raise NotImplementedError

    def connection_lost(self, error: Exception | None) -> None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        raise NotImplementedError

    def resume_writing(self) -> None:
        raise NotImplementedError

    def flushed(self) -> None:
        """What had to be buffered has all been sent."""


class Carrier(TransportUser):
    """What a dialogue asks of the connection that carries it."""

    __slots__ = ("idle_since", "input", "output", "peer", "service")

    service: Service
    peer: Peer
    input: Input
    output: Output
    idle_since: float  # monotonic seconds; infinite when it is in use

    def start_drain(self) -> None:
        """A drain is on: leave soon, unless a request is under way."""
        raise NotImplementedError

    def upgrade(self, wire: Wire, request: Request, started_at: float) -> None:
        """Leave the transport, and what came behind the handshake, to a WebSocket.

        ``started_at`` is the time of its first byte, in monotonic seconds.
        """
        raise NotImplementedError

    def linger(self) -> None:
        """Say no more, and let the client read what has been said."""
        raise NotImplementedError

    def close(self) -> None:
        """Close when everything has been sent."""
        raise NotImplementedError

    def abort(self) -> None:
        """Reset the connection, whatever is still to be sent."""
        raise NotImplementedError


class Channel:
    """What a call of the application asks of the dialogue that its request is a part of."""

    __slots__ = ("output",)

    output: Output  # where what it sends goes

    def ask_for_body(self) -> None:
        """The application wants (more of) the body: 100 Continue if the client waits for it."""
        raise NotImplementedError

    def response_ended(self) -> None:
        """The last byte of the response has been written: on to the next request, or close."""
        raise NotImplementedError

    def refuse(self, status: int, detail: str) -> None:
        """Answer with an error response of the server's own; only while no head has left."""
        raise NotImplementedError

    def break_off(self, must_reset: bool) -> None:
        """The response that has begun cannot be completed, and the client must notice.

        ``must_reset`` when the end of the connection is the end of the body: then an orderly close
        would make it look complete.
        """
        raise NotImplementedError

    def call_finished(self) -> None:
        """The application has returned, which may be long after ``response_ended``."""
        raise NotImplementedError
