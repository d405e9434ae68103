"""A stream of events into which comments are put while its application is silent."""

from __future__ import annotations

import threading

from greenuni.eventstream import is_between_events, tail_of


class EventStream:
    """What whoever sends an event shares with whoever sends a comment. ``lock`` is held to write."""

    __slots__ = ("_tail", "is_over", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_over = False  # the last chunk has been sent
        self._tail = b""

    def __repr__(self) -> str:
        return f"<EventStream {'over' if self.is_over else self._tail!r}>"

    def note(self, chunk: bytes) -> None:
        """The application sends this."""
        if isinstance(chunk, bytes):
            self._tail = tail_of(self._tail, chunk)

    @property
    def takes_comment(self) -> bool:
        """Whether it stands between two events."""
        return not self.is_over and is_between_events(self._tail)
