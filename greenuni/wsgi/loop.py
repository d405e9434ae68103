"""The readiness loop: one thread at a time, one poller, one coarse tick.

It knows descriptors and handlers, and nothing of HTTP. No timer is armed for anything: whoever has
a deadline keeps it as an absolute time of *this loop's clock* and is asked at the tick.

That clock stands still while a turn takes longer than ``STALL``. With the application inside the
loop a turn can take a minute, and what clients have sent meanwhile waits unread; a deadline by the
wall clock would then punish them for our being busy.

All that a turn has still to do is in the loop's attributes or in the kernel, never in ``run``'s own
variables alone: so another thread can go on with it when this one is held up inside a handler
(``threads``).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from greenuni.poller import new_poller
from greenuni.readiness import Ready

STALL = 0.5  # seconds


class Handler:
    """Whatever waits for a descriptor."""

    __slots__ = ()

    def on_event(self, mask: int) -> None:
        """The descriptor is ready for ``mask``; 0 when it is called ``soon``.

        A ConnectionError means that the handler is to be closed.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the descriptor."""
        raise NotImplementedError


class Loop:
    """Polls until ``stop``. All methods but ``interrupt`` belong to the thread that runs it."""

    def __init__(
        self,
        log: logging.Logger,
        tick_interval: float,
        on_tick: Callable[[], None],
        on_interrupt: Callable[[], None],
        after_turn: Callable[[], None],
    ) -> None:
        self._log = log
        self._on_tick = on_tick
        self._on_interrupt = on_interrupt
        self._after_turn = after_turn
        self._soon: deque[Handler] = deque()
        self._stalled = 0.0  # seconds in all for which the clock stood still
        self._next_tick = 0.0
        self._is_interrupted = False
        self.is_stopping = False
        self.handlers: dict[int, Handler] = {}
        self.now = time.monotonic()  # the loop's clock, renewed once a turn
        self.poller = new_poller()
        self._ready = Ready(self.poller)
        self.tick_interval = tick_interval  # seconds

    def __repr__(self) -> str:
        state = "stopping" if self.is_stopping else "running"
        return f"<Loop {state} handlers={len(self.handlers)}>"

    def soon(self, handler: Handler) -> None:
        """Let ``handler`` go on in the next turn, after everybody else had theirs."""
        self._soon.append(handler)

    def stop(self) -> None:
        """Return from ``run`` without another handler."""
        self.is_stopping = True

    def interrupt(self) -> None:
        """Call ``on_interrupt`` before another handler; from a signal handler or any thread.

        It does not end a wait for descriptors; see ``wakeup``.
        """
        self._is_interrupted = True

    def tick_soon(self) -> None:
        """Tick at the end of this turn instead of when it is due."""
        self._next_tick = 0.0

    def run(self) -> None:
        """Turn until stopped."""
        monotonic = time.monotonic
        turn_start = monotonic()
        while not self.is_stopping:
            turn_end = monotonic()
            if turn_end - turn_start > STALL:
                self._stalled += turn_end - turn_start
            wait = 0.0 if self._soon else max(0.0, self._next_tick - turn_end)
            count = self._ready.wait(wait)
            turn_start = monotonic()
            self.now = turn_start - self._stalled
            self._handle(count)
            if self._soon:
                self._run_soon()
            if turn_start >= self._next_tick:
                self._next_tick = turn_start + self.tick_interval
                self._on_tick()
            self._after_turn()

    def _handle(self, count: int) -> None:
        handlers, ready = self.handlers, self._ready
        for index in range(count):
            if self._is_interrupted:
                self._obey()
            mask = ready.mask(index)
            handler = handlers.get(ready.fd(index))
            if handler is None:
                continue  # it was closed earlier in this turn
            if self.is_stopping:
                return
            try:
                handler.on_event(mask)
            except Exception as error:  # noqa: BLE001 - one connection of many
                self.close_failed(handler, error)

    def _run_soon(self) -> None:
        for _ in range(len(self._soon)):
            if self._is_interrupted:
                self._obey()
            if self.is_stopping:
                return
            handler = self._soon.popleft()
            try:
                handler.on_event(0)
            except Exception as error:  # noqa: BLE001 - one connection of many
                self.close_failed(handler, error)

    def _obey(self) -> None:
        self._is_interrupted = False
        self._on_interrupt()

    def close_failed(self, handler: Handler, error: Exception) -> None:
        """What a handler did wrong harms nobody but itself."""
        if not isinstance(error, ConnectionError):
            self._log.error("Fault in the server: %r is closed", handler, exc_info=error)
        handler.close()

    def close(self) -> None:
        """Give the poller's descriptor back."""
        self.poller.close()
