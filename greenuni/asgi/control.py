"""What an application can ask, and be told, about the request that it works on.

It is ``scope["extensions"]["greenuni"]`` of every HTTP request. docs/long-requests.md is for users.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from greenuni.asgi.service import Service


class Told(Protocol):
    """What a call is asked here: a `call.Call`, which is made from this module's class."""

    @property
    def is_deserted(self) -> bool: ...

    @property
    def service(self) -> Service: ...

    def extend_deadline(self, seconds: float) -> None: ...


class RequestControl:
    """One request, from within."""

    __slots__ = ("_call",)

    def __init__(self, call: Told) -> None:
        self._call = call

    def __repr__(self) -> str:
        gone = " disconnected" * self.disconnected
        return f"<RequestControl{gone}{' shutting down' * self.shutting_down}>"

    @property
    def disconnected(self) -> bool:
        """Whether the client has gone, or has been answered."""
        return self._call.is_deserted

    @property
    def shutting_down(self) -> bool:
        """Whether the worker is about to end, and waits for this request to come to an end."""
        return self._call.service.is_leaving

    def wait_for_shutdown(self) -> Awaitable[object]:
        """``await`` it: returns when ``shutting_down`` is true."""
        return self._call.service.farewell.wait()

    def extend_deadline(self, seconds: float) -> None:
        """The request may take ``seconds`` more from now, if ``request-timeout`` would give it less."""
        self._call.extend_deadline(seconds)
