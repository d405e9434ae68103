"""The scoreboard: what changes all the time, in memory that the arbiter and its workers share.

One anonymous mapping holds fixed-size slots. Each is written by one worker and read by the arbiter,
so that there is no lock; the fields that are written together are written by one C call. A reader may
see half of a new request line, which matters to nobody: it is read when a worker is stuck.
"""

from __future__ import annotations

import errno
import mmap
import struct
import time
from dataclasses import dataclass

from greenuni.shell import WorkerState

REQUEST_LINE_SIZE = 128  # bytes of "GET /path" that are kept
DEFAULT_CAPACITY = 2048  # workers, of all generations that run at once

# Native alignment: a field is one aligned store of the processor, never half written.
_BEAT = struct.Struct("@d")
_STATE = struct.Struct("@q")
_TOTALS = struct.Struct("@qq")  # requests, in_flight
_REQUEST = struct.Struct(f"@qd{REQUEST_LINE_SIZE}s")  # in_flight, since, request line
_WHOLE = struct.Struct(f"@dqqqd{REQUEST_LINE_SIZE}s")
_STATE_AT = _BEAT.size
_TOTALS_AT = _STATE_AT + _STATE.size
_REQUEST_AT = _TOTALS_AT + 8
SLOT_SIZE = _WHOLE.size


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

    __slots__ = ("_at", "_memory", "index", "requests")

    def __init__(self, memory: mmap.mmap, index: int) -> None:
        self._memory = memory
        self._at = index * SLOT_SIZE
        self.index = index
        self.requests = 0

    def beat(self) -> None:
        """Say that the loop has turned."""
        _BEAT.pack_into(self._memory, self._at, time.monotonic())

    def set_state(self, state: WorkerState) -> None:
        """Show what this worker is doing."""
        _STATE.pack_into(self._memory, self._at + _STATE_AT, state)

    def begin(self, request_line: bytes, in_flight: int) -> None:
        """A request starts; its line is cut to `REQUEST_LINE_SIZE` bytes."""
        _REQUEST.pack_into(
            self._memory, self._at + _REQUEST_AT, in_flight, time.monotonic(), request_line
        )

    def end(self, in_flight: int) -> None:
        """A request has ended; adds one to the total."""
        self.requests += 1
        _TOTALS.pack_into(self._memory, self._at + _TOTALS_AT, self.requests, in_flight)

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
        beat, state, requests, in_flight, since, line = _WHOLE.unpack_from(
            self._memory, index * SLOT_SIZE
        )
        if not in_flight:
            line = b""
        return Reading(
            beat,
            WorkerState(state),
            requests,
            in_flight,
            since,
            line.rstrip(b"\0").decode("latin-1"),
        )

    def __repr__(self) -> str:
        return f"<Board {self._capacity - len(self._free)} of {self._capacity} taken>"
