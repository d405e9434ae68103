"""What is read from one client: whether it is at the moment, and until when it must have come.

The deadline of a body moves with what arrives. While we do not read, because the application is behind,
the clock stands still.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from greenuni.asgi.interfaces import Transport
from greenuni.deadlines import Deadlines

_NEVER = inf


class Input:
    """See the module. All times are monotonic seconds."""

    __slots__ = ("_deadlines", "_paused_at", "_transport", "deadline", "has_ended")

    def __init__(self, transport: Transport, deadlines: Deadlines) -> None:
        self._transport = transport
        self._deadlines = deadlines
        self._paused_at = _NEVER  # infinite while we read
        self.deadline = _NEVER
        self.has_ended = False  # the client's EOF has come, or is not waited for

    def __repr__(self) -> str:
        state = " ended" if self.has_ended else " paused" if self.is_paused else ""
        return f"<Input deadline={self.deadline}{state}>"

    @property
    def is_paused(self) -> bool:
        return self._paused_at != _NEVER

    # The clock

    def wait_for_head(self, now: float) -> None:
        self.deadline = now + self._deadlines.head

    def wait_for_body(self, now: float) -> None:
        self.deadline = now + self._deadlines.body

    def wait(self, until: float) -> None:
        self.deadline = until

    def stop(self) -> None:
        """It is not the client that we wait for."""
        self.deadline = _NEVER

    def body_received(self, count: int, now: float) -> None:
        self.deadline = self._deadlines.after_body_bytes(self.deadline, count, now)

    def is_late(self, now: float) -> bool:
        return now >= self.deadline and self._paused_at == _NEVER

    # Flow control

    def pause(self) -> None:
        """Read no more for now; an EOF has been read in any case."""
        if self._paused_at == _NEVER and not self.has_ended:
            self._paused_at = monotonic()
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused_at != _NEVER:
            self.deadline += monotonic() - self._paused_at
            self._paused_at = _NEVER
            self._transport.resume_reading()
