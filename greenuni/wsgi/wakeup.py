"""How other threads and signal handlers reach the loop: a pipe that it polls, and a mailbox."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from greenuni.wsgi.loop import Handler

T = TypeVar("T")


class Wakeup(Handler):
    """A pipe whose reading end the loop polls. ``wake`` may be called from any thread."""

    def __init__(self, on_wake: Callable[[], None]) -> None:
        """``on_wake`` is called in the loop's thread, once for all wake-ups that came together."""
        self._on_wake = on_wake
        self._lock = threading.Lock()
        self._is_closed = False
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self.write_fd, False)  # signal.set_wakeup_fd() asks for it

    def __repr__(self) -> str:
        return f"<Wakeup {self.write_fd} -> {self.read_fd}{' closed' * self._is_closed}>"

    def wake(self) -> None:
        """Turn the loop; nothing when there is none any more."""
        # The lock keeps close() away: the number of a closed descriptor may be somebody else's.
        with self._lock:
            if self._is_closed:
                return
            try:
                os.write(self.write_fd, b"\0")
            except BlockingIOError:
                pass  # full: the loop has been woken and has not come round yet

    def on_event(self, mask: int) -> None:
        # First the pipe, then what it announced: the other way round, what comes between is lost.
        try:
            os.read(self.read_fd, 4096)
        except BlockingIOError:
            pass
        self._on_wake()

    def close(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self.read_fd)
                os.close(self.write_fd)


class Mailbox(Generic[T]):
    """Things that threads hand to the loop. One wake-up for all that lies there untaken."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._items: list[T] = []
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Mailbox with {len(self._items)}{' closed' * self._is_closed}>"

    def put(self, item: T) -> bool:
        """Leave ``item`` for the loop; False when there is no loop any more."""
        with self._lock:
            if self._is_closed:
                return False
            self._items.append(item)
            is_first = len(self._items) == 1
        if is_first:
            self._wakeup.wake()
        return True

    def take_all(self) -> list[T]:
        with self._lock:
            items, self._items = self._items, []
        return items

    def close(self) -> list[T]:
        """Take nothing any more; return what was not taken."""
        with self._lock:
            self._is_closed = True
        return self.take_all()
