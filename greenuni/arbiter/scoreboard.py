"""The scoreboard: what changes all the time, in memory that the arbiter and its workers share.

One anonymous mapping holds fixed-size slots. Each is written by one worker and read by the arbiter,
so that there is no lock. A reader may see half of a new request line, which matters to nobody: it is
read when a worker is stuck.

``begin`` and ``end`` run for every request, so they are one C call and two stores: struct cuts or pads
the line by itself, and storing into a typed view is cheaper than packing (compiled, it is a store of
the processor).
"""

from __future__ import annotations

import errno
import mmap
import struct
import time
from dataclasses import dataclass

from greenuni.shell import WorkerState

METHOD_SIZE = 16  # bytes of the method that are kept
PATH_SIZE = 112  # bytes of the path that are kept
DEFAULT_CAPACITY = 2048  # workers, of all generations that run at once

# Native alignment: a number is one aligned store of the processor, never half written.
_BEAT = struct.Struct("@d")
_STATE = struct.Struct("@q")
_WHOLE = struct.Struct(f"@dqqqd{METHOD_SIZE}s{PATH_SIZE}s")
_STATE_AT = _BEAT.size
_COUNTS_AT = _STATE_AT + _STATE.size  # requests, in_flight
_COUNTS_END = _COUNTS_AT + 16
_IN_FLIGHT_AT = _COUNTS_AT + 8
SLOT_SIZE = _WHOLE.size

# in_flight, since, method, path
_pack_request = struct.Struct(f"@qd{METHOD_SIZE}s{PATH_SIZE}s").pack_into


@dataclass(frozen=True)
class Reading:
    """One slot as the arbiter saw it. Times are ``time.monotonic()`` seconds."""

    beat: float = 0.0
    state: WorkerState = WorkerState.EMPTY
    requests: int = 0
    in_flight: int = 0
    since: float = 0.0  # when the latest request began
    request_line: str = ""  # of the latest request, empty when none is in flight


class BoardSlot:
    """A worker's own slot: implements ``greenuni.shell.Slot``."""

    __slots__ = ("_at", "_counts", "_memory", "_request_at", "index", "requests")

    def __init__(self, memory: mmap.mmap, index: int) -> None:
        at = index * SLOT_SIZE
        self._memory = memory
        self._at = at
        self._request_at = at + _IN_FLIGHT_AT
        self._counts = memoryview(memory)[at + _COUNTS_AT : at + _COUNTS_END].cast("q")
        self.index = index
        self.requests = 0

    def beat(self) -> None:
        """Say that the loop has turned."""
        _BEAT.pack_into(self._memory, self._at, time.monotonic())

    def set_state(self, state: WorkerState) -> None:
        """Show what this worker is doing."""
        _STATE.pack_into(self._memory, self._at + _STATE_AT, state)

    def begin(self, method: bytes, path: bytes, in_flight: int, since: float) -> None:
        """A request starts; method and path are cut to `METHOD_SIZE` and `PATH_SIZE` bytes."""
        _pack_request(self._memory, self._request_at, in_flight, since, method, path)

    def end(self, in_flight: int) -> None:
        """A request has ended; adds one to the total."""
        self.requests += 1
        self._counts[0] = self.requests
        self._counts[1] = in_flight

    def __repr__(self) -> str:
        return f"<BoardSlot {self.index} requests={self.requests}>"


class Board:
    """All slots. Made by the arbiter before the first fork; pages never touched cost nothing."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._memory = mmap.mmap(-1, capacity * SLOT_SIZE)
        self._free = list(range(capacity - 1, -1, -1))
        self._capacity = capacity

    def take(self) -> BoardSlot:
        """A cleared slot. Raises ``OSError`` (ENOSPC) when all are taken."""
        if not self._free:
            raise OSError(errno.ENOSPC, "the scoreboard is full")
        index = self._free.pop()
        start = index * SLOT_SIZE
        self._memory[start : start + SLOT_SIZE] = bytes(SLOT_SIZE)
        slot = BoardSlot(self._memory, index)
        slot.set_state(WorkerState.BOOTING)
        return slot

    def give_back(self, index: int) -> None:
        """The worker of this slot has ended."""
        self._free.append(index)

    def read(self, index: int) -> Reading:
        """What the worker last wrote."""
        beat, state, requests, in_flight, since, method, path = _WHOLE.unpack_from(
            self._memory, index * SLOT_SIZE
        )
        line = method.rstrip(b"\0") + b" " + path.rstrip(b"\0") if in_flight else b""
        return Reading(beat, WorkerState(state), requests, in_flight, since, line.decode("latin-1"))

    def __repr__(self) -> str:
        return f"<Board {self._capacity - len(self._free)} of {self._capacity} taken>"
