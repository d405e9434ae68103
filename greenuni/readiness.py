"""What a poller has found ready, one wait after the other.

``readiness.pyx`` is the same in C, without a list and a tuple and two numbers for each descriptor. It is what
runs where it was built.
"""

from __future__ import annotations

from greenuni.poller import Poller

MOST = 256  # descriptors found by one wait; the others are found by the next


class Ready:
    """The descriptors that ``poller`` found ready by the last ``wait``."""

    __slots__ = ("_found", "_poller")

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._found: list[tuple[int, int]] = []

    def __repr__(self) -> str:
        return f"<Ready by {self._poller!r}>"

    def wait(self, seconds: float) -> int:
        """How many there are; 0 after ``seconds``, and maybe earlier where a signal came."""
        self._found = self._poller.poll(seconds)[:MOST]
        return len(self._found)

    def fd(self, index: int) -> int:
        """A descriptor: ``index`` is below what ``wait`` returned."""
        return self._found[index][0]

    def mask(self, index: int) -> int:
        """What it is ready for."""
        return self._found[index][1]
