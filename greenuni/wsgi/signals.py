"""TERM, INT, QUIT and USR1 while the shell serves.

A handler only leaves an order for the loop, with the time at which it came; the pipe that wakes the
loop is written by the interpreter itself (``signal.set_wakeup_fd``). The one exception: an
application that runs inside the loop would make a quick stop wait for it, so it is interrupted.
"""

from __future__ import annotations

import enum
import signal
import threading
from collections.abc import Callable
from types import FrameType

from greenuni.wsgi.wakeup import Wakeup


class Order(enum.Enum):
    """What the world outside asks of a serving shell."""

    DRAIN = "drain"
    STOP = "stop"
    REOPEN_LOGS = "reopen logs"


ORDERS = {
    signal.SIGTERM: Order.DRAIN,
    signal.SIGINT: Order.STOP,
    signal.SIGQUIT: Order.STOP,
    signal.SIGUSR1: Order.REOPEN_LOGS,
}


class SignalHandlers:
    """A context in which ``give(order)`` is called for signals; nothing outside the main thread.

    ``give`` runs between two bytecodes of whatever the main thread does.
    """

    def __init__(self, give: Callable[[Order], None], wakeup: Wakeup) -> None:
        self._give = give
        self._wakeup = wakeup
        self._old_handlers: dict[signal.Signals, signal._HANDLER] = {}
        self._old_wakeup_fd = -1

    def __repr__(self) -> str:
        return f"<SignalHandlers {'installed' if self._old_handlers else 'not installed'}>"

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._old_wakeup_fd = signal.set_wakeup_fd(self._wakeup.write_fd, warn_on_full_buffer=False)
        for number in ORDERS:
            self._old_handlers[number] = signal.signal(number, self._on_signal)
            signal.siginterrupt(number, False)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        if self._old_handlers:
            signal.set_wakeup_fd(self._old_wakeup_fd)
            self._old_handlers.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._give(ORDERS[signal.Signals(number)])
