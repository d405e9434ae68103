"""The application on several threads, with the loop among them.

Handing every request to another thread and taking it back costs more than a small request. So the
loop runs on one of the threads that run the application, the *leader*, and while calls are short the
leader makes them itself. ``count`` calls may run at once, on ``count + 1`` threads, of which one leads:

- The leader makes a call itself if calls have lately been short (``QUICK``); otherwise it puts the
  call into the queue that the other threads wait at, and goes on looping. A call made in the queue's
  way comes back by a mailbox, and is finished by whoever leads then.
- While the leader is inside a call, another thread stands by, the *deputy*. When one call has lasted
  for ``PATIENCE`` it takes the loop over, in the middle of the turn: what the turn had still to do is
  known to the kernel and to the loop (``loop``). The old leader learns of it when its call returns. It
  then owns its job and nothing else, leaves that in the mailbox, and waits at the queue like others.
- The deputy goes to the queue, too, when no call was made within ``PATIENCE``, and the next call sends
  for another: an idle server wakes nobody.

``_lent`` decides who leads: the leader puts the loop down there before a call and picks it up after it,
the deputy takes it from there. Both by ``list.pop``, so one of them has it and the other has not.

The main thread waits, for only it can run the handlers of signals; it never runs the application, so
nothing that the application does keeps a signal from being obeyed. The other threads live as long as the
worker: what an application keeps in thread-locals (database connections) survives its requests.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from greenuni.poller import wait_readable
from greenuni.shell import Seat
from greenuni.wsgi.application import Call
from greenuni.wsgi.job import Job
from greenuni.wsgi.loop import Loop
from greenuni.wsgi.runner import Runner
from greenuni.wsgi.wakeup import Mailbox, Wakeup

PATIENCE = 0.002  # seconds; a call that lasts for it or twice of it loses the loop
QUICK = 0.0002  # seconds that calls may take on average if the leader is to make them
LONG = 0.010  # seconds that a call counts for at most, or a single one would be remembered too long
WEIGHT = 1 / 32  # of one call in the average


def _ignore() -> None:
    """There are no siblings to leave anything to."""


class Deposed(BaseException):
    """Another thread leads. It goes through everything that the leader was doing."""


class Role:
    """What the queue asks a thread to do beside a job."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<Role {self._name}>"


LEAD = Role("lead")
STAND_BY = Role("stand by")


class ThreadRunner(Runner):
    """``submit`` and ``taken_back`` belong to the leader, ``run`` and ``stop`` to the main thread."""

    __slots__ = (
        "_calls",
        "_count",
        "_failure",
        "_has_deputy",
        "_is_over",
        "_jobs",
        "_lent",
        "_limit",
        "_log",
        "_loop",
        "_mean",
        "_returns",
        "_running",
        "_threads",
        "bell",
        "on_crowded",
    )

    def __init__(self, seat: Seat, loop: Loop, returns: Mailbox[Job]) -> None:
        super().__init__(seat)
        self._loop = loop
        self._returns = returns
        self._log = seat.log
        self._count = seat.config.threads
        # Calls at which others are to be told; no number of them where there are no siblings.
        self._limit = self._count if seat.config.workers > 1 else -1
        self.on_crowded: Callable[[], None] = _ignore  # the last free thread has got a call
        self._running: dict[Job, float] = {}  # since when, by time.monotonic()
        self._jobs: queue.SimpleQueue[Job | Role | None] = queue.SimpleQueue()
        self._lent: list[Loop] = []  # the loop, while the leader is inside a call
        self._calls = 0  # that leaders have begun
        self._mean = 0.0  # seconds that calls have taken lately
        self._has_deputy = False
        self._is_over = False
        self._failure: BaseException | None = None
        self.bell = Wakeup(lambda: None)  # rings for signals and at the end, in the main thread
        self._threads = [
            threading.Thread(target=self._work, name=f"greenuni-{number}", daemon=True)
            for number in range(1, self._count + 2)
        ]

    def __repr__(self) -> str:
        return f"<ThreadRunner of {self._count} running={len(self._running)} mean={self._mean:.6f}>"

    @property
    def running(self) -> int:
        return len(self._running)

    def calls(self) -> list[tuple[Call, float]]:
        return [
            (call, since)
            for job, since in list(self._running.items())
            if (call := job.call) is not None
        ]

    # The main thread

    def run(self, wakeup: Wakeup) -> None:
        """Have the loop run until it stops; whatever it raises is raised here.

        ``wakeup`` is the loop's own. The handlers of signals run here, and leave orders for it.
        """
        for thread in self._threads:
            thread.start()
        self._jobs.put(LEAD)
        while not self._is_over:
            wait_readable(self.bell.read_fd)
            self.bell.on_event(0)
            wakeup.wake()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        self.bell.close()

    # The leader

    def submit(self, job: Job) -> None:
        """Run ``job`` now, or let another thread do it. Raises Deposed."""
        assert job.call is not None
        running, request, now = self._running, job.call.request, time.monotonic()
        running[job] = now
        self._begin(request.method, request.raw_path, len(running), now)
        if len(running) == self._limit:
            self.on_crowded()
        if self._mean > QUICK or len(running) > self._count:
            self._jobs.put(job)
            return
        self._calls += 1
        self._lent.append(self._loop)
        if not self._has_deputy:
            self._has_deputy = True
            self._jobs.put(STAND_BY)
        self._call(job)
        if not self._pick_up():
            self._give_back(job)
            raise Deposed
        self.taken_back(job)

    def taken_back(self, job: Job) -> None:
        """The leader has ``job`` again."""
        del self._running[job]
        self._ended(len(self._running))
        job.resume()

    # Any thread

    def _work(self) -> None:
        item = self._jobs.get()
        while item is not None:
            if item is STAND_BY:
                item = self._stand_by()
                continue
            if item is LEAD:
                self._lead()
            else:
                assert isinstance(item, Job)
                self._call(item)
                self._give_back(item)
            item = self._jobs.get()

    def _lead(self) -> None:
        try:
            self._loop.run()
        except Deposed:
            return
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self._failure = error
        self._is_over = True
        self.bell.wake()

    def _stand_by(self) -> Job | Role | None:
        """Wait for something to do, which may be to lead in place of who is kept by a call."""
        while True:
            calls = self._calls
            try:
                item = self._jobs.get(timeout=PATIENCE)
            except queue.Empty:
                if calls != self._calls:
                    continue
                item = LEAD if self._pick_up() else STAND_BY
            self._has_deputy = False
            if item is LEAD:
                self._mean = max(self._mean, 2 * QUICK)  # the call itself counts when it is over
            elif self._lent:  # the leader is inside a call and has seen a deputy: there must be one
                self._has_deputy = True
                if item is STAND_BY:
                    continue
                self._jobs.put(STAND_BY)
            elif item is STAND_BY:
                return self._jobs.get()
            return item

    def _pick_up(self) -> bool:
        """Take the loop from where a leader put it down; False when another has taken it."""
        try:
            self._lent.pop()
        except IndexError:
            return False
        return True

    def _call(self, job: Job) -> None:
        try:
            self._run(job)
        except Exception:  # noqa: BLE001 - the thread has more to do
            self._log.exception("Fault in the server: %r", job)
        assert job.call is not None
        self._mean += (min(job.call.seconds, LONG) - self._mean) * WEIGHT

    def _give_back(self, job: Job) -> None:
        if not self._returns.put(job):
            job.abandon()
