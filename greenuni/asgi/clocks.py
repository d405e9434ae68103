"""Whether a connection's client keeps us waiting for too long: one clock a direction."""

from __future__ import annotations

from math import inf

from greenuni.deadlines import Deadlines

_NEVER = inf


class ReadClock:
    """When the client must have sent what we wait for.

    The body's deadline moves with what arrives. While we do not read, because the application is
    behind, the clock stands still.
    """

    __slots__ = ("_deadlines", "_paused_at", "deadline")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._paused_at = _NEVER  # infinite while the clock runs
        self.deadline = _NEVER

    def __repr__(self) -> str:
        return f"<ReadClock deadline={self.deadline}>"

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

    def pause(self, now: float) -> None:
        self._paused_at = now

    def resume(self, now: float) -> None:
        if self._paused_at != _NEVER:
            self.deadline += now - self._paused_at
            self._paused_at = _NEVER

    def has_passed(self, now: float) -> bool:
        return now >= self.deadline and self._paused_at == _NEVER


class SendClock:
    """Whether the client takes what we send. Looks at progress, not at single writes."""

    __slots__ = ("_deadline", "_taken", "_timeout", "_written")

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._written = 0  # bytes given to the transport
        self._taken = 0  # of them, bytes that had left it when last looked
        self._deadline = _NEVER  # infinite while nothing is stuck

    def __repr__(self) -> str:
        return f"<SendClock written={self._written} deadline={self._deadline}>"

    def written(self, count: int) -> None:
        self._written += count

    def has_passed(self, buffered: int, now: float) -> bool:
        """Call with the bytes that the transport holds. True when they are the same for too long."""
        if not buffered:
            self._deadline = _NEVER
            return False
        taken = self._written - buffered
        if taken != self._taken or self._deadline == _NEVER:
            self._taken = taken
            self._deadline = now + self._timeout
            return False
        return now >= self._deadline
