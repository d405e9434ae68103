"""A worker's slot of the scoreboard, in Python: what runs where `fastslot` is not compiled.

``begin`` and ``end`` run for every request, so each is one C call or two stores: struct cuts or pads the
line by itself, and storing into a view is cheaper than packing.
"""

from __future__ import annotations

import mmap
import struct
import time

from greenuni.shell import WorkerState

METHOD_SIZE = 16  # bytes of the method that are kept
PATH_SIZE = 112  # bytes of the path that are kept

# Native alignment: a number is one aligned store of the processor, never half written.
_BEAT = struct.Struct("@d")
_STATE = struct.Struct("@q")
WHOLE = struct.Struct(f"@dqqqd{METHOD_SIZE}s{PATH_SIZE}s")
_STATE_AT = _BEAT.size
_COUNTS_AT = _STATE_AT + _STATE.size  # requests, in_flight
_COUNTS_END = _COUNTS_AT + 16
_IN_FLIGHT_AT = _COUNTS_AT + 8
SLOT_SIZE = WHOLE.size

# in_flight, since, method, path
_pack_request = struct.Struct(f"@qd{METHOD_SIZE}s{PATH_SIZE}s").pack_into


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
