"""Long-lived threads that run calls for one event loop, and how the two hand calls over.

Out, calls travel by one queue. A put wakes one thread, and a thread that finds more wakes the next
(``queue.SimpleQueue`` does so by itself), so a burst of short calls is mostly run by one thread, in
one slice of the interpreter's lock. Back, calls travel by a deque and *one* wake-up of the loop for
all that come before it gets there. Between them this is what makes a hop cheap.

What belongs to whom: ``submit`` and ``_land`` run in the loop's thread, ``post`` and ``_work`` in the
others. A flag that one side sets and the other clears is always cleared *before* the work is looked
for, so that work that comes late sets it again: nothing is ever left behind.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections import deque
from time import monotonic
from typing import NamedTuple, Protocol

from greenuni.bridge.loops import Loop


class Task(Protocol):
    """What a crew carries. Its attributes are the crew's."""

    context: contextvars.Context
    is_posted: bool  # is on its way to the loop, or will be looked at there
    is_released: bool  # the thread has let go of it; set by the thread before its last ``post``
    is_counted: bool  # the crew has noticed that
    submitted: float  # monotonic seconds
    began: float  # the same; set by the thread

    def run(self) -> None:
        """In a thread. Must not raise."""

    def wake(self) -> None:
        """In the loop: something has changed since last time."""


class Load(NamedTuple):
    """How busy a crew is, for a metric or a decision."""

    threads: int  # most that there can be
    running: int
    waiting: int  # for a thread to be free
    finished: int  # since the beginning
    waited: float  # seconds that those have waited for a thread, all together


class Crew:
    """Up to ``limit`` threads, started as they are needed, for the loop in whose thread it is made."""

    def __init__(self, loop: Loop, limit: int, name: str) -> None:
        self.loop = loop
        self._limit = limit
        self._name = name
        self._started = 0
        self._in_flight = 0  # submitted, and not seen back: the loop's own count
        self._finished = 0
        self._waited = 0.0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._posted: deque[Task] = deque()
        self._is_woken = False
        self._is_stopped = False

    def __repr__(self) -> str:
        stopped = " stopped" if self._is_stopped else ""
        return f"<Crew{stopped} threads={self._started}/{self._limit} in_flight={self._in_flight}>"

    def __del__(self) -> None:
        self.stop()

    @property
    def load(self) -> Load:
        running = min(self._in_flight, self._limit)
        waiting = self._in_flight - running
        return Load(self._limit, running, waiting, self._finished, self._waited)

    def submit(self, task: Task) -> None:
        """Run it in the next thread that is free, in its own context. RuntimeError if none can start."""
        if self._in_flight >= self._started < self._limit:
            self._start()
        self._in_flight += 1
        task.submitted = monotonic()
        self._tasks.put(task)

    def stop(self) -> None:
        """Let threads end when they are free. Calls that were submitted before are still run."""
        if not self._is_stopped:
            self._is_stopped = True
            for _ in range(self._started):
                self._tasks.put(None)

    def post(self, task: Task) -> None:
        """Have ``task.wake`` called in the loop, soon."""
        if task.is_posted:
            return
        task.is_posted = True
        self._posted.append(task)
        if not self._is_woken:
            self._is_woken = True
            try:
                self.loop.call_soon(self._land)
            except RuntimeError:
                pass  # the loop has ended, and with it everybody who could want to know

    def _land(self) -> None:
        self._is_woken = False
        posted = self._posted
        while posted:
            task = posted.popleft()
            task.is_posted = False
            if task.is_released and not task.is_counted:
                task.is_counted = True
                self._in_flight -= 1
                self._finished += 1
                self._waited += task.began - task.submitted
            task.wake()

    def _start(self) -> None:
        # Daemons: a call that never returns must not keep the process from ending.
        name = f"{self._name}-{self._started + 1}"
        threading.Thread(target=_work, args=(self._tasks,), name=name, daemon=True).start()
        self._started += 1


def _work(tasks: queue.SimpleQueue[Task | None]) -> None:
    # No reference to the crew: it must be possible to forget one whose loop has ended.
    while (task := tasks.get()) is not None:
        task.began = monotonic()
        task.context.run(task.run)
        del task  # or it would live until the next one comes
