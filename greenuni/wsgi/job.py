"""What moves between the loop and whoever runs the application."""

from __future__ import annotations

from greenuni.wsgi.application import Call
from greenuni.wsgi.loop import Handler


class Job(Handler):
    """A handler with an application call in it, which moves as a whole to whoever runs it."""

    __slots__ = ("call",)

    call: Call | None

    def run(self) -> None:
        """Run the application. Raises QuickStop in the main thread, and nothing else."""
        raise NotImplementedError

    def resume(self) -> None:
        """Go on, in the loop's thread again."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Let go of everything, in any thread: the loop that it came from is gone."""
        raise NotImplementedError
