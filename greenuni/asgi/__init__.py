"""The ASGI shell: a program that serves one application (docs/design.md, "The worker and its shell").

server       the program: boot, accept, tick, drain; news: what it waits for
runtime      the loop that it runs in; aio, nursery: what differs between asyncio and trio
transport    bytes between sockets and connections
accept       when connections are let in
service      what the connections of a worker share
connection   one connection, from accept to close; input, output: its directions; lingering: its last seconds
dialogue     what is said over it: requests, one after the other
cycle        one request, as the application sees it; call, inbox, reply, scope, sendfile: its parts
channel      what each of these asks of the one before
"""

from __future__ import annotations

from greenuni.asgi.server import Server
from greenuni.shell import Seat

__all__ = ["Server", "serve"]


def serve(seat: Seat) -> None:
    """Serve ``seat.app`` until told to stop. Raises BootError or ConfigError if it cannot start."""
    Server(seat).run()
