"""The one thread of ours that a worker has beside its shell.

It waits on the *lifeline*, a pipe whose other end only the arbiter holds. EOF means that the arbiter is
gone, however it went; then the worker drains within a short budget, and ends by force if it does not.
While it waits it beats for a main thread that is inside the application (`Pulse`).
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable

from greenuni.arbiter.reconcile import DRAIN_MARGIN
from greenuni.pulse import Pulse
from greenuni.shell import Slot
from greenuni.threadsignals import leave_signals_to_main_thread

ORPHAN_PATIENCE = 1.5  # seconds from the arbiter's end to ours at the latest
ORPHAN_STATUS = 1


Duty = Callable[[float], None]  # is given time.monotonic()


class Watcher:
    """``on_orphaned`` is called, in the watcher's thread, when the arbiter is found to be gone."""

    def __init__(
        self,
        lifeline: int,
        arbiter_pid: int,
        slot: Slot,
        interval: float,
        on_orphaned: Callable[[], None],
    ) -> None:
        self.pulse = Pulse()
        self.duties: list[Duty] = []  # done at each of its turns, and never to wait for anything
        self._vouches_until = math.inf  # monotonic seconds; later a pulse counts for nothing
        self._lifeline = lifeline
        self._arbiter_pid = arbiter_pid
        self._slot = slot
        self._interval = interval  # seconds between two beats
        self._on_orphaned = on_orphaned
        self._thread = threading.Thread(target=self._watch, name="greenuni-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def limit_vouching(self, seconds: float) -> None:
        """The worker is leaving and has so long; the first limit counts.

        The arbiter kills who takes longer, but only if it was the arbiter that sent the signal.
        """
        until = time.monotonic() + seconds + DRAIN_MARGIN
        self._vouches_until = min(self._vouches_until, until)

    def _watch(self) -> None:
        leave_signals_to_main_thread()
        poll = select.poll()
        poll.register(self._lifeline, select.POLLIN)
        while not poll.poll(self._interval * 1000) and self._has_arbiter():
            now = time.monotonic()
            if self.pulse.in_app and now < self._vouches_until:
                self._slot.beat()
                self.pulse.on_beat()
            for duty in self.duties:
                duty(now)
        self._on_orphaned()
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(ORPHAN_PATIENCE)
        os._exit(ORPHAN_STATUS)

    def _has_arbiter(self) -> bool:
        """The second witness: a process that a preloaded application forked may hold the pipe open."""
        return os.getppid() == self._arbiter_pid

    def __repr__(self) -> str:
        return f"<Watcher of arbiter {self._arbiter_pid}>"
