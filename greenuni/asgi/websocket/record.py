"""The line of the access log for one WebSocket, written when it ends."""

from __future__ import annotations

import time

from greenuni.asgi.service import Service
from greenuni.http import Request
from greenuni.http.events import Headers
from greenuni.observe import Exchange

# As for HTTP: the client left before the application had decided.
CLIENT_CLOSED_REQUEST = 499


class Record:
    """What is known so far. ``status`` is 101 once accepted."""

    __slots__ = (
        "_has_been_written",
        "_request",
        "_service",
        "_started_at",
        "body_bytes",
        "client",
        "headers",
        "status",
    )

    def __init__(self, service: Service, request: Request, started_at: float, client: str) -> None:
        self._service = service
        self._request = request
        self._started_at = started_at
        self._has_been_written = False
        self.client = client
        self.status = CLIENT_CLOSED_REQUEST
        self.headers: Headers = []  # of the response
        self.body_bytes = 0  # of messages that were sent, or of the response

    def __repr__(self) -> str:
        return f"<Record {self.status} body_bytes={self.body_bytes}>"

    def write(self, close_code: int | None) -> None:
        """The end; only the first call counts. ``close_code`` is None without an accepted WebSocket."""
        access, request = self._service.access, self._request
        if access is None or self._has_been_written:
            return
        self._has_been_written = True
        access.write(
            Exchange(
                client=self.client,
                method=request.method,
                target=request.target,
                http_version=request.http_version,
                headers=request.headers,
                status=self.status,
                response_headers=self.headers,
                body_bytes=self.body_bytes,
                seconds=time.monotonic() - self._started_at,
                close_code=close_code,
            )
        )
