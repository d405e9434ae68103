"""Running the application on a pool of threads.

The threads live as long as the worker: what an application keeps in thread-locals (database
connections) survives its requests.
"""

from __future__ import annotations

import logging
import queue
import threading
import time

from greenuni.shell import Seat
from greenuni.wsgi.runner import Job, Runner, describe
from greenuni.wsgi.wakeup import Mailbox


class ThreadRunner(Runner):
    """A pool. Jobs go out by a queue and come back by a mailbox, owned by one thread at a time."""

    __slots__ = ("_jobs", "_log", "_returns", "_running", "_threads")

    def __init__(self, seat: Seat, returns: Mailbox[Job], log: logging.Logger) -> None:
        super().__init__(seat)
        self._returns = returns
        self._log = log
        self._running: dict[Job, float] = {}  # since when, by time.monotonic()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"greenuni-{number}", daemon=True)
            for number in range(1, seat.config.threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    def __repr__(self) -> str:
        return f"<ThreadRunner of {len(self._threads)} waiting={self._jobs.qsize()}>"

    @property
    def running(self) -> int:
        return len(self._running)

    def submit(self, job: Job) -> None:
        assert job.call is not None
        request, now = job.call.request, time.monotonic()
        self._running[job] = now
        self._begin(request.method, request.raw_path, len(self._running), now)
        self._jobs.put(job)

    def taken_back(self, job: Job) -> None:
        """The loop has ``job`` again."""
        del self._running[job]
        self._ended(len(self._running))
        job.resume()

    def in_flight(self) -> list[str]:
        return [
            describe(call, since)
            for job, since in list(self._running.items())
            if (call := job.call) is not None
        ]

    def stop(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._context.copy().run(job.run)
            except Exception:  # noqa: BLE001 - the thread has more to do
                self._log.exception("Fault in the server: %r", job)
            if not self._returns.put(job):
                job.abandon()
