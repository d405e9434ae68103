"""The readiness loop: one thread, one poller, one coarse tick.

It knows descriptors and handlers, and nothing of HTTP. No timer is armed for anything: whoever has
a deadline keeps it as an absolute time of *this loop's clock* and is asked at the tick.

That clock stands still while a turn takes longer than ``STALL``. With the application inside the
loop a turn can take a minute, and what clients have sent meanwhile waits unread; a deadline by the
wall clock would then punish them for our being busy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from greenuni.poller import new_poller

STALL = 0.5  # seconds


class Handler(Protocol):
    """Whatever waits for a descriptor."""

    def on_event(self, mask: int) -> None:
        """The descriptor is ready for ``mask``; 0 when it is called ``soon``.

        A ConnectionError means that the handler is to be closed.
        """

    def close(self) -> None: ...


class Loop:
    """Polls until ``stop``. All methods belong to the loop's thread."""

    def __init__(
        self,
        log: logging.Logger,
        tick_interval: float,
        on_tick: Callable[[], None],
        after_turn: Callable[[], None],
    ) -> None:
        self._log = log
        self._on_tick = on_tick
        self._after_turn = after_turn
        self._soon: list[Handler] = []
        self._stalled = 0.0  # seconds in all for which the clock stood still
        self._next_tick = 0.0
        self.is_stopping = False
        self.handlers: dict[int, Handler] = {}
        self.now = time.monotonic()  # the loop's clock, renewed once a turn
        self.poller = new_poller()
        self.tick_interval = tick_interval  # seconds

    def __repr__(self) -> str:
        state = "stopping" if self.is_stopping else "running"
        return f"<Loop {state} handlers={len(self.handlers)}>"

    def soon(self, handler: Handler) -> None:
        """Let ``handler`` go on in the next turn, after everybody else had theirs."""
        self._soon.append(handler)

    def stop(self) -> None:
        """Return from ``run`` when this turn is over."""
        self.is_stopping = True

    def tick_soon(self) -> None:
        """Tick at the end of this turn instead of when it is due."""
        self._next_tick = 0.0

    def run(self) -> None:
        poll = self.poller.poll
        monotonic = time.monotonic
        get_handler = self.handlers.get
        turn_start = monotonic()
        while not self.is_stopping:
            turn_end = monotonic()
            if turn_end - turn_start > STALL:
                self._stalled += turn_end - turn_start
            ready = poll(0.0 if self._soon else max(0.0, self._next_tick - turn_end))
            turn_start = monotonic()
            self.now = turn_start - self._stalled
            for fd, mask in ready:
                handler = get_handler(fd)
                if handler is not None:  # it may have been closed earlier in this turn
                    # As guard() does it, without the call: there is nothing that a loop does more.
                    try:
                        handler.on_event(mask)
                    except Exception as error:  # noqa: BLE001 - one connection of many
                        self._close_failed(handler, error)
            if self._soon:
                self._run_soon()
            if turn_start >= self._next_tick:
                self._next_tick = turn_start + self.tick_interval
                self._on_tick()
            self._after_turn()

    def guard(self, handler: Handler, step: Callable[[], None]) -> None:
        """Let ``handler`` take a step. What it does wrong harms nobody but itself."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._close_failed(handler, error)

    def _close_failed(self, handler: Handler, error: Exception) -> None:
        if not isinstance(error, ConnectionError):
            self._log.error("Fault in the server: %r is closed", handler, exc_info=error)
        handler.close()

    def _run_soon(self) -> None:
        handlers, self._soon = self._soon, []
        for handler in handlers:
            self.guard(handler, partial(handler.on_event, 0))

    def close(self) -> None:
        self.poller.close()
