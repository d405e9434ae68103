"""The scoreboard: what changes all the time, in memory that the arbiter and its workers share.

One anonymous mapping holds fixed-size slots. Each is written by one worker and read by the arbiter,
so that there is no lock. A reader may see half of a new request line, which matters to nobody: it is
read when a worker is stuck.
"""

import errno
import mmap
from typing import NamedTuple

from greenuni.arbiter.slot import SLOT_SIZE, WHOLE
from greenuni.shell import WorkerState
from greenuni.siblings import Census, Siblings

try:
    from greenuni.arbiter.fastslot import BoardSlot
except ImportError:
    from greenuni.arbiter.slot import BoardSlot  # type: ignore[assignment]

__all__ = ["DEFAULT_CAPACITY", "Board", "BoardSlot", "Reading"]

DEFAULT_CAPACITY = 2048  # workers, of all generations that run at once


class Reading(NamedTuple):
    """One slot as the arbiter saw it. Times are ``time.monotonic()`` seconds."""

    beat: float = 0.0
    state: WorkerState = WorkerState.EMPTY
    requests: int = 0
    in_flight: int = 0
    since: float = 0.0  # when the latest request began
    request_line: str = ""  # of the latest request, empty when none is in flight


class Board:
    """All slots. Made by the arbiter before the first fork; pages never touched cost nothing."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._memory = mmap.mmap(-1, capacity * SLOT_SIZE)
        self._free = list(range(capacity - 1, -1, -1))
        self._capacity = capacity
        self._censuses: dict[str, Census] = {}  # by crowd: who accepts from the same listeners

    def take(self) -> BoardSlot:
        """A cleared slot. Raises ``OSError`` (ENOSPC) when all are taken."""
        if not self._free:
            raise OSError(errno.ENOSPC, "the scoreboard is full")
        index = self._free.pop()
        start = index * SLOT_SIZE
        self._memory[start : start + SLOT_SIZE] = bytes(SLOT_SIZE)
        self._leave(index)
        slot = BoardSlot(self._memory, index)
        slot.set_state(WorkerState.BOOTING)
        return slot

    def slot(self, index: int) -> BoardSlot:
        """A slot that has been taken, for a process that another one forks."""
        return BoardSlot(self._memory, index)

    def give_back(self, index: int) -> None:
        """The worker of this slot has ended."""
        self._leave(index)
        self._free.append(index)

    def siblings(self, index: int, crowd: str) -> Siblings:
        """What the worker of this slot sees of those who accept from the same listeners."""
        if crowd not in self._censuses:
            self._censuses[crowd] = Census(self._capacity)
        return self._censuses[crowd].siblings(index)

    def _leave(self, index: int) -> None:
        for census in self._censuses.values():
            census.leave(index)

    def read(self, index: int) -> Reading:
        """What the worker last wrote."""
        beat, state, requests, in_flight, since, method, path = WHOLE.unpack_from(
            self._memory, index * SLOT_SIZE
        )
        line = method.rstrip(b"\0") + b" " + path.rstrip(b"\0") if in_flight else b""
        return Reading(beat, WorkerState(state), requests, in_flight, since, line.decode("latin-1"))

    def __repr__(self) -> str:
        return f"<Board {self._capacity - len(self._free)} of {self._capacity} taken>"
