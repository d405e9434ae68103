"""Who runs the application: the loop's own thread, or a pool of long-lived threads.

Either way each request runs in a copy of the context that the process had when it began to serve, so
that context variables of one request are never seen by another. The threads live as long as the
worker: what an application keeps in thread-locals (database connections) survives its requests.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from typing import Protocol

from greenuni.shell import Pulse
from greenuni.wsgi.application import QuickStop
from greenuni.wsgi.loop import Handler
from greenuni.wsgi.wakeup import Mailbox


class Job(Handler, Protocol):
    """A handler with an application call in it, which moves as a whole to whoever runs it."""

    def run(self) -> None:
        """Run the application. Raises QuickStop in the main thread, and nothing else."""

    def resume(self) -> None:
        """Go on, in the loop's thread again."""

    def abandon(self) -> None:
        """Let go of everything, in any thread: the loop that it came from is gone."""


class Runner(Protocol):
    """Takes jobs from the loop."""

    def submit(self, job: Job) -> None: ...

    def stop(self) -> None:
        """Let idle threads end. Busy ones are daemons, and end with their job or the process."""


class InlineRunner:
    """Runs jobs at once, inside the loop. The pulse tells the watcher that this is no hang."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        return f"<InlineRunner{' in the application' * self._pulse.in_app}>"

    def submit(self, job: Job) -> None:
        try:
            self._pulse.in_app = True
            self._context.copy().run(job.run)
        except QuickStop:
            pass  # the order to stop has been given, too, and the loop obeys it next
        finally:
            self._pulse.in_app = False
        job.resume()

    def stop(self) -> None:
        """Nothing runs between two jobs."""


class ThreadRunner:
    """A pool. Jobs go out by a queue and come back by a mailbox, owned by one thread at a time."""

    def __init__(self, count: int, returns: Mailbox[Job], log: logging.Logger) -> None:
        self._returns = returns
        self._log = log
        self._context = contextvars.copy_context()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"greenuni-{number}", daemon=True)
            for number in range(1, count + 1)
        ]
        for thread in self._threads:
            thread.start()

    def __repr__(self) -> str:
        return f"<ThreadRunner of {len(self._threads)} waiting={self._jobs.qsize()}>"

    def submit(self, job: Job) -> None:
        self._jobs.put(job)

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


def new_runner(threads: int, pulse: Pulse, returns: Mailbox[Job], log: logging.Logger) -> Runner:
    """Inline for one thread: no hand-over is cheaper than any."""
    return InlineRunner(pulse) if threads == 1 else ThreadRunner(threads, returns, log)
