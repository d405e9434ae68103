"""A stream of events into which comments are put while its application is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable

from greenuni.eventstream import COMMENT, is_between_events, tail_of


class EventStream:
    """Where the stream stands. The application sends events, and another thread comments: one at a time.

    What its methods call to send, they call while nobody else can; its exceptions go to the caller.
    """

    __slots__ = ("_is_over", "_lock", "_tail")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False
        self._tail = b""

    def __repr__(self) -> str:
        return f"<EventStream {'over' if self._is_over else self._tail!r}>"

    def send(self, chunk: bytes, send: Callable[[bytes], None]) -> None:
        """Send a chunk of the application's."""
        with self._lock:
            if isinstance(chunk, bytes):
                self._tail = tail_of(self._tail, chunk)
            send(chunk)

    def comment(self, send: Callable[[bytes], None]) -> bool:
        """Send a comment, unless the application is sending, or has stopped within an event."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._is_over or not is_between_events(self._tail):
                return False
            send(COMMENT)
            return True
        finally:
            self._lock.release()

    def end(self, send: Callable[[], None] | None = None) -> None:
        """No comment goes out from here on; send what ends the stream."""
        with self._lock:
            self._is_over = True
            if send is not None:
                send()
