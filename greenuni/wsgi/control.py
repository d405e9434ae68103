"""What an application can ask, and be told, about the request that it works on.

It is ``environ["greenuni.request"]``. docs/long-requests.md is for users.
"""

from __future__ import annotations

from time import monotonic

from greenuni.poller import has_hung_up
from greenuni.wsgi.gateway import Gateway


class RequestControl:
    """One request, from within. It must not lead to the environ, or each request would be a cycle."""

    __slots__ = ("_fd", "_gateway", "extended_until", "is_unwanted")

    def __init__(self, fd: int, gateway: Gateway) -> None:
        self._open(fd, gateway)

    def _open(self, fd: int, gateway: Gateway) -> None:
        self._fd = fd  # -1 when the request is over: the number may be another's then
        self._gateway = gateway
        self.extended_until = 0.0  # monotonic seconds; what the application has asked for
        # Nobody waits for what is still to be sent, as far as we have noticed.
        self.is_unwanted = False

    def __repr__(self) -> str:
        gone = " disconnected" * self.is_unwanted
        return f"<RequestControl{gone}{' shutting down' * self.shutting_down}>"

    @property
    def disconnected(self) -> bool:
        """Whether the client has gone, or has been answered. Asks the kernel each time."""
        if not self.is_unwanted and has_hung_up(self._fd):
            self.is_unwanted = True
        return self.is_unwanted

    @property
    def shutting_down(self) -> bool:
        """Whether the worker is about to end, and waits for this request to come to an end."""
        return self._gateway.is_leaving

    def extend_deadline(self, seconds: float) -> None:
        """The request may take ``seconds`` more from now, if ``request-timeout`` would give it less."""
        self.extended_until = max(self.extended_until, monotonic() + seconds)

    def end(self) -> None:
        """The request is over."""
        self._fd = -1
        self.is_unwanted = True


def new_control(fd: int, gateway: Gateway) -> RequestControl:
    """``RequestControl(...)``, which in compiled code is a call by Python's convention."""
    control = RequestControl.__new__(RequestControl)
    control._open(fd, gateway)
    return control
