"""When a worker asks to be replaced because of its memory or its age.

The watcher's thread looks every few seconds. The arbiter replaces one worker of a pool at a time, each when
its successor is ready, so that all of them being too old at once costs nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from greenuni.config import Config

CHECK_INTERVAL = 5.0  # seconds
AGE_JITTER = 0.1  # of max_worker_age, at most, is added to it
MEBIBYTE = 1 << 20
_STATM = "/proc/self/statm"


def resident_bytes() -> int | None:
    """Resident memory of this process, with what it shares; None where the system has no /proc."""
    try:
        with open(_STATM, encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


class Recycling:
    """``retire`` is called once, with the reason, from the thread that calls ``check``."""

    def __init__(
        self,
        config: Config,
        log: logging.Logger,
        retire: Callable[[str], None],
        resident: Callable[[], int | None] = resident_bytes,
    ) -> None:
        self._most_bytes = config.max_worker_rss
        self._longest_age = _with_jitter(config.max_worker_age)
        self._log = log
        self._retire = retire
        self._resident = resident
        self._first_bytes = 0  # when it was ready
        self._ready_at: float | None = None  # monotonic seconds, as all times here
        self._next_at = 0.0

    def begin(self, now: float) -> None:
        """The worker serves from now on."""
        if self._most_bytes:
            self._measure_first()
        self._next_at = now + CHECK_INTERVAL
        if self._most_bytes or self._longest_age:
            self._ready_at = now

    def _measure_first(self) -> None:
        """A limit that is too small for the application itself would replace workers without end."""
        first = self._resident()
        if first is None:
            self._log.warning("max_worker_rss is not looked at: this system has no %s", _STATM)
            self._most_bytes = 0
        elif first >= self._most_bytes:
            self._log.error(
                "max_worker_rss is not looked at: %s are more than a worker may have, before its "
                "first request",
                mebibytes(first),
            )
            self._most_bytes = 0
        else:
            self._first_bytes = first

    def check(self, now: float) -> None:
        """Ask for a successor when it is time."""
        if self._ready_at is None or now < self._next_at:
            return
        self._next_at = now + CHECK_INTERVAL
        reason = self._reason(now - self._ready_at)
        if reason:
            self._ready_at = None  # it asks once
            self._retire(reason)

    def _reason(self, age: float) -> str:
        if self._longest_age and age >= self._longest_age:
            return f"max-worker-age, it has served for {age:.0f} s"
        resident = self._resident() if self._most_bytes else None
        if resident is None or resident < self._most_bytes:
            return ""
        return (
            f"max-worker-rss, it has {mebibytes(resident)} in memory, "
            f"and had {mebibytes(self._first_bytes)} when it was ready"
        )

    def __repr__(self) -> str:
        return f"<Recycling at {self._most_bytes} bytes or after {self._longest_age:.0f} s>"


def mebibytes(count: int) -> str:
    """ "512 MiB"."""
    return f"{count / MEBIBYTE:.0f} MiB"


def _with_jitter(age: float) -> float:
    if not age:
        return 0.0
    import random  # where it is not asked for, no worker keeps it in memory

    return age * random.uniform(1.0, 1.0 + AGE_JITTER)
