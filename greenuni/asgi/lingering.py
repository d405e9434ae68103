"""Closing in two steps (RFC 9112 9.6): unread bytes at a close reset the connection, and with it what the
client has not read yet. So first only our side is closed, and what still comes is thrown away.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from greenuni.asgi.channel import TransportUser
from greenuni.asgi.interfaces import Transport
from greenuni.asgi.output import Output
from greenuni.asgi.service import Service
from greenuni.deadlines import LINGER_SECONDS


class Lingering(TransportUser):
    """The rest of a connection on which nothing more is said: a `service.Resident` until it has gone."""

    __slots__ = ("_client", "_deadline", "_output", "_service", "_transport", "idle_since")

    def __init__(self, service: Service, transport: Transport, output: Output, client: str) -> None:
        """Takes the transport over, which is being read from, and shuts our side of it."""
        self.idle_since = inf  # it is never closed to make room for others
        self._service = service
        self._transport = transport
        self._output = output
        self._client = client
        self._deadline = monotonic() + LINGER_SECONDS
        service.population.add(self)
        transport.set_user(self)
        transport.write_eof()

    def __repr__(self) -> str:
        return f"<Lingering {self._client} {self._output!r}>"

    # Called by the transport

    def data_received(self, data: bytes) -> None:
        """Nobody wants it."""

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._service.population.remove(self)

    def pause_writing(self) -> None:
        """Nobody writes."""

    def resume_writing(self) -> None:
        """Nobody waits for it."""

    # Called by the service

    def check(self, now: float) -> None:
        if self._output.is_stuck(now):
            self._service.seat.log.info("%s: does not read its response", self._client)
            self.abort()
        elif now >= self._deadline:
            self._transport.close()

    def start_drain(self) -> None:
        """It is leaving already."""

    def close_idle(self) -> None:
        """It is not idle."""

    def leave(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
