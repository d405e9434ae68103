"""Who runs the application, and the books of what runs.

Each request runs in a copy of the context that the process had when it began to serve, so that
context variables of one request are never seen by another. Whoever runs a request keeps the books
in the same way: the worker's slot of the scoreboard, what a dump of the worker names, and when the
worker has served enough.
"""

from __future__ import annotations

import contextvars
from time import monotonic
from typing import Any

from greenuni.shell import LongRequest, Seat
from greenuni.wsgi.application import Call, QuickStop
from greenuni.wsgi.isolation import run_in_copy
from greenuni.wsgi.job import Job


class Runner:
    """Takes jobs from the loop. Its methods belong to the loop's thread."""

    __slots__ = ("_begin", "_context", "_end", "_retire_at", "_seat", "_slot")

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._slot = seat.slot
        self._begin = seat.slot.begin
        self._end = seat.slot.end
        self._context = contextvars.copy_context()
        self._retire_at = seat.config.max_requests  # 0 when never, or asked already

    @property
    def running(self) -> int:
        """How many jobs it has."""
        return len(self.calls())

    def submit(self, job: Job) -> None:
        """Run the ``call`` of ``job`` some time, then let it resume."""
        raise NotImplementedError

    def calls(self) -> list[tuple[Call, float]]:
        """The calls that it has and when they began, by ``time.monotonic()``; in any thread."""
        raise NotImplementedError

    def in_flight(self) -> list[str]:
        """For a dump of this worker, from whatever thread or signal handler makes it."""
        return [describe(call, since) for call, since in self.calls()]

    def long_requests(self, thread: int, before: float) -> list[LongRequest]:
        """See `Seat`; ``thread`` is the one in which calls run that do not know theirs."""
        return [
            LongRequest(call.title, since, call.thread or thread)
            for call, since in self.calls()
            if since <= before
        ]

    def stop(self) -> None:
        """Let idle threads end. Busy ones are daemons, and end with their job or the process."""

    def _run(self, job: Job) -> None:
        """Run ``job`` in a context of its own."""
        run_in_copy(self._context, job)

    def _ended(self, in_flight: int) -> None:
        """A call is over, and ``in_flight`` are left."""
        self._end(in_flight)
        if self._retire_at and self._slot.requests >= self._retire_at:
            self._retire_at = 0
            self._seat.retire("max-requests")


class InlineRunner(Runner):
    """Runs jobs at once, inside the loop. The pulse tells the watcher that this is no hang."""

    __slots__ = ("_call", "_pulse", "is_relieved", "is_unwatched", "relief", "since")

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._pulse = seat.pulse
        self._call: Call | None = None
        self.since = 0.0  # when the latest call began, by monotonic()
        self.relief: Any = None  # a `Relief`, if there are siblings
        self.is_unwatched = False  # the relief wants to be woken by the next call
        self.is_relieved = False  # the relief has the loop until the call returns

    def __repr__(self) -> str:
        return f"<InlineRunner{' in the application' * self._pulse.in_app}>"

    @property
    def running(self) -> int:
        return 0 if self._call is None else 1

    def submit(self, job: Job) -> None:
        call = job.call
        assert call is not None
        request = call.request
        # Before the call: who asks from another thread looks at that first.
        self.since = monotonic()
        self._call = call
        self._begin(request.method, request.raw_path, 1, self.since)
        if self.is_unwatched:
            self.relief.wake()
        try:
            self._pulse.in_app = True
            self._run(job)
        except QuickStop:
            pass  # the order to stop has been given, too, and the loop obeys it next
        finally:
            self._pulse.in_app = False
            self._call = None
            if self.is_relieved:
                self.relief.end()
            self._ended(0)
        job.resume()

    def calls(self) -> list[tuple[Call, float]]:
        call = self._call
        return [] if call is None else [(call, self.since)]


def describe(call: Call, since: float) -> str:
    """``GET /path, 1.2 s``: a call that began at that ``time.monotonic()``."""
    return f"{call.title}, {monotonic() - since:.1f} s"
