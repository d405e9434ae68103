"""What the program of a worker waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

from greenuni.asgi.interfaces import Runtime


class News:
    """Somebody has left, the departure has changed, the lifespan has come further: look again.

    The program waits for nothing else, so the tick is made here, too: ``tick`` is called at once and then
    every ``seconds``, for as long as somebody waits. What it raises ends the program.
    """

    def __init__(self, runtime: Runtime, tick: Callable[[], None], seconds: float) -> None:
        self._runtime = runtime
        self._tick = tick
        self._seconds = seconds
        self._next_tick_at = 0.0  # monotonic seconds
        self._come = runtime.new_waiting()

    def __repr__(self) -> str:
        return f"<News, a tick in {self._next_tick_at - time.monotonic():.1f} s>"

    def tell(self) -> None:
        """There are news."""
        self._come.set()

    async def wait(self, until: float) -> None:
        """Wait for news, or until then (monotonic seconds), or for the next tick if that comes first."""
        come = self._come = self._runtime.new_waiting()
        if time.monotonic() >= self._next_tick_at:
            self._tick()
            self._next_tick_at = time.monotonic() + self._seconds
        seconds = min(until, self._next_tick_at) - time.monotonic()
        timer = self._runtime.call_later(max(seconds, 0), come.set)
        await come.wait()
        timer.cancel()
