"""How a worker says that it is inside the application."""

from __future__ import annotations

from collections.abc import Callable


class Pulse:
    """Lets a watching thread beat while the main thread is inside the application.

    A long request is not a dead worker. With one application thread the WSGI shell sets ``in_app``
    around the call; the watcher beats for the worker as long as it is true. The end of a worker, when
    the lifespan shutdown and exit handlers run, may keep the loop from turning, too: it has a limit of
    its own, so ``in_app`` stays true there.
    """

    __slots__ = ("in_app", "on_beat")

    def __init__(self) -> None:
        self.in_app = False
        self.on_beat: Callable[[], None] = _nothing  # called by the watcher, while it beats

    def __repr__(self) -> str:
        return f"<Pulse{' in the application' * self.in_app}>"


def _nothing() -> None:
    """The shell has nothing to look at."""
