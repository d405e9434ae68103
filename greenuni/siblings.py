"""How workers that accept from the same listeners share the connections.

The kernel gives a connection to whoever asks first, and in a burst that is the one that runs already.
So each worker shows in shared memory how many connections it holds. One that has more than the
others sleeps for a moment before it accepts: they have been woken, too, and now have the processor.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable

AHEAD = 2  # connections more than the worker that has fewest
MOMENT = 0.0002  # seconds; a worker that waits needs less to wake up and accept
MOMENTS = 64  # from one note to the next: who holds much serves it, even if nobody else accepts

_NEIGHBOURS = 32  # workers before and behind this one that it looks at

_NOBODY = 0  # a count is stored as one more than it is


class Census:
    """The counts of all workers, by the index of their slot. Made before the first fork."""

    def __init__(self, capacity: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, capacity * 4)).cast("i")

    def __repr__(self) -> str:
        return f"<Census of {sum(1 for count in self._counts if count != _NOBODY)}>"

    def leave(self, index: int) -> None:
        """The worker with that index has ended."""
        self._counts[index] = _NOBODY

    def siblings(self, index: int) -> Siblings:
        """What the worker with that index sees."""
        start = max(0, index - _NEIGHBOURS)
        return Siblings(self._counts[start : index + _NEIGHBOURS], index - start)


class Siblings:
    """One worker's view of all: ``counts``, of which its own is at ``own``."""

    __slots__ = ("_counts", "_moments", "_own", "_sleep")

    def __init__(
        self, counts: memoryview, own: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._counts = counts
        self._own = own
        self._sleep = sleep
        self._moments = MOMENTS  # that are left

    def __repr__(self) -> str:
        return f"<Siblings {[count - 1 for count in self._counts if count != _NOBODY]}>"

    def note(self, held: int) -> None:
        """Once a tick: this worker accepts, and holds so many connections."""
        self._counts[self._own] = held + 1
        self._moments = MOMENTS

    def leave(self) -> None:
        """This worker accepts no more."""
        self._counts[self._own] = _NOBODY

    def come_first(self, held: int) -> None:
        """Before accepting: give way if this worker, with ``held`` connections, is ahead."""
        self._counts[self._own] = held + 1
        if held > AHEAD and self._moments and held - self._fewest() > AHEAD:
            self._moments -= 1
            self._sleep(MOMENT)

    def _fewest(self) -> int:
        return min(filter(None, self._counts)) - 1
