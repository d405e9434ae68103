"""How a worker says that it is inside the application."""

from __future__ import annotations


class Pulse:
    """Lets a watching thread beat while the main thread is inside a WSGI application.

    A long request is not a dead worker. With one application thread the shell sets ``in_app``
    around the call; the watcher beats for the worker as long as it is true.
    """

    __slots__ = ("in_app",)

    def __init__(self) -> None:
        self.in_app = False

    def __repr__(self) -> str:
        return f"<Pulse{' in the application' * self.in_app}>"
