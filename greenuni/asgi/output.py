"""What is sent to one client: over what, and whether the client takes it.

The transport buffers what the socket does not take. Who writes waits while that is too much; a client
that takes nothing of it for too long is given up, which is a matter of progress and not of single writes.
"""

from __future__ import annotations

from math import inf

from greenuni.asgi.interfaces import Runtime, Transport, Waiting

_NEVER = inf


class Output:
    """See the module. Whoever is told by the transport passes on ``pause`` and ``resume``."""

    __slots__ = (
        "_deadline",
        "_runtime",
        "_taken",
        "_timeout",
        "_transport",
        "_writable",
        "_written",
        "is_paused",
    )

    def __init__(self, transport: Transport, runtime: Runtime, timeout: float) -> None:
        """``timeout`` is for how many seconds the client may take nothing of what waits for it."""
        self._transport = transport
        self._runtime = runtime
        self._timeout = timeout
        self._written = 0  # bytes given to the transport
        self._taken = 0  # of them, bytes that had left it when last looked
        self._deadline = _NEVER  # monotonic seconds; infinite while nothing is stuck
        self._writable: Waiting | None = None  # made when somebody has to wait
        self.is_paused = False  # the transport's buffer is above its high-water mark

    def __repr__(self) -> str:
        paused = " paused" if self.is_paused else ""
        return f"<Output written={self._written} deadline={self._deadline}{paused}>"

    def write(self, parts: list[bytes]) -> None:
        """Send what the parts come to; the caller does not touch the list again."""
        for part in parts:
            self._written += len(part)
        self._transport.writelines(parts)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        """There is room again, or nobody is to wait any more."""
        self.is_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def writable(self) -> Waiting:
        """Something to wait for until ``is_paused`` may be over or the connection is lost."""
        if self._writable is None:
            self._writable = self._runtime.new_waiting()
        return self._writable

    @property
    def is_pending(self) -> bool:
        """Whether the client has not taken everything."""
        return self._transport.get_write_buffer_size() > 0

    def is_stuck(self, now: float) -> bool:
        """Whether the client has taken nothing for too long; asked once a tick."""
        buffered = self._transport.get_write_buffer_size()
        if not buffered:
            self._deadline = _NEVER
            return False
        taken = self._written - buffered
        if taken != self._taken or self._deadline == _NEVER:
            self._taken = taken
            self._deadline = now + self._timeout
            return False
        return now >= self._deadline
