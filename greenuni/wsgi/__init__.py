"""The WSGI shell: a readiness loop that buffers slow clients on both sides (docs/design.md)."""

from greenuni.shell import Seat
from greenuni.wsgi.server import Server

__all__ = ["Server", "serve"]


def serve(seat: Seat) -> None:
    """Serve ``seat.app`` on ``seat.listeners``; return when drained (TERM) or stopped (INT, QUIT)."""
    Server(seat).run()
