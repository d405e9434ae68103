"""CPU time: what a server has used of its CPU, and what everybody else has.

A server that shares its CPU with somebody loses its caches and pays more system calls a request, so
how much of that CPU others had, the hypervisor included, is measured as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from commands import BenchError
from processes import CLOCK_TICKS, session_cpu_seconds

QUIET = 0.05  # share of the time that others may have had in a good measurement
ATTEMPTS = 3

Result = TypeVar("Result")


class Clocks:
    """Two clocks that start now: that of a server's session, and that of its CPU."""

    def __init__(self, session: int, cpu: int) -> None:
        self._session = session
        self._cpu = cpu
        self._session_before = session_cpu_seconds(session)
        self._cpu_before = cpu_busy_seconds(cpu)

    def read(self) -> tuple[float, float]:
        """CPU seconds since then: of the server, and of all others on its CPU."""
        used = session_cpu_seconds(self._session) - self._session_before
        busy = cpu_busy_seconds(self._cpu) - self._cpu_before
        return used, max(0.0, busy - used)

    def __repr__(self) -> str:
        return f"<Clocks of session {self._session} on CPU {self._cpu}>"


def least_disturbed(
    measure: Callable[[], Result], disturbance: Callable[[Result], float]
) -> Result:
    """Measure until nobody disturbs it, or ``ATTEMPTS`` times; return the least disturbed result.

    ``disturbance`` gives the share of the time that others had in a result, 0 to 1.
    """
    results: list[Result] = []
    while len(results) < ATTEMPTS:
        results.append(measure())
        if disturbance(results[-1]) <= QUIET:
            break
    return min(results, key=disturbance)


def cpu_busy_seconds(cpu: int) -> float:
    """Time since boot in which somebody had the CPU, or the hypervisor withheld it.

    Interrupts are left out: whether a process is charged for them depends on the kernel's build.
    """
    with Path("/proc/stat").open() as lines:
        for line in lines:
            name, *ticks = line.split()
            if name == f"cpu{cpu}":
                user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, ticks[:8])
                return (user + nice + system + steal) / CLOCK_TICKS
    raise BenchError(f"/proc/stat does not know CPU {cpu}")
