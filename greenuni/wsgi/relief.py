"""What becomes of the other connections while the application keeps the only thread.

A short call is over before anybody could do something about it. One that has lasted for ``PATIENCE`` loses
the loop's poller to a thread that does nothing else: until the call returns, that thread gives each
connection that becomes ready to the siblings, unread, and goes on sending what clients take. New connections
and arrivals are left to the siblings, too. When the call returns it has the loop back at once. Requests for
other pools go there, also from a worker without siblings.

The thread looks every ``PATIENCE`` while calls are made. When none was it sleeps, and the next call wakes it:
an idle server wakes nobody, and a call pays two comparisons.

Who has the loop is decided as Dekker did it. The main thread ends its call and then looks whether it was
relieved; the relief says so and then looks whether the call has ended. So at least one of them sees the
other, and ``_turn`` is there for when both do, and for what is under way when the call returns.
"""

from __future__ import annotations

import logging
import queue
import select
import threading
import time
from collections.abc import Sequence

from greenuni.poller import READ
from greenuni.threadsignals import leave_signals_to_main_thread
from greenuni.wsgi.application import Call
from greenuni.wsgi.connection import Connection
from greenuni.wsgi.departures import Departures
from greenuni.wsgi.door import Door
from greenuni.wsgi.loop import Handler, Loop
from greenuni.wsgi.runner import InlineRunner
from greenuni.wsgi.states import WAITING, State
from greenuni.wsgi.wakeup import Wakeup

PATIENCE = 0.010  # seconds; a call that lasts for it or twice of it loses the loop
BATCH = 8  # connections seen to at once, before the call may have its loop back


class Relief:
    """``wake``, ``end`` and ``stop`` are called by the main thread; the rest is the relief's own."""

    def __init__(
        self,
        runner: InlineRunner,
        loop: Loop,
        departures: Departures,
        doors: Sequence[Door],
        wakeup: Wakeup,
        log: logging.Logger,
    ) -> None:
        self._runner = runner
        self._loop = loop
        self._departures = departures
        self._doors = doors
        self._wakeup = wakeup
        self._log = log
        self._turn = threading.Lock()  # held by whoever uses the loop while the relief has it
        self._naps: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False is the end
        self._bell = Wakeup(lambda: None)  # rings when a call has its loop back
        self._thread: threading.Thread | None = None
        runner.relief = self
        runner.is_unwatched = True

    def __repr__(self) -> str:
        state = "relieving" if self._runner.is_relieved else "idle"
        return f"<Relief {state}{' asleep' * self._runner.is_unwatched}>"

    # The main thread

    def wake(self) -> None:
        """A call begins and the relief sleeps."""
        self._runner.is_unwatched = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="greenuni-relief", daemon=True)
            self._thread.start()
        self._naps.put(True)

    def end(self) -> None:
        """The call has returned; the loop is the main thread's again."""
        with self._turn:
            if not self._runner.is_relieved:
                return  # the relief has seen that, too, and has touched nothing
            self._runner.is_relieved = False
            self._loop.poller.register(self._wakeup.read_fd, READ)
        self._bell.wake()

    def stop(self) -> None:
        """End the thread, if there is one."""
        self._runner.is_unwatched = False
        self._naps.put(False)
        if self._thread is not None:
            self._thread.join()
        self._bell.close()

    # The relief

    def _work(self) -> None:
        leave_signals_to_main_thread()
        while self._naps.get():
            try:
                while self._watch():
                    pass
            except Exception:  # noqa: BLE001 - the server goes on without it, until the next call
                self._log.exception("Fault in the server: %r", self)
                self._runner.is_unwatched = True

    def _watch(self) -> bool:
        """Look after the calls for a while; False when there were none, and the next one has to wake us."""
        runner = self._runner
        since, before = runner.since, runner.calls()
        time.sleep(PATIENCE)
        if before and runner.calls() == before:
            self._relieve(before[0][0])
        elif since == runner.since and not before:
            runner.is_unwatched = True
            if since == runner.since:
                return False
            runner.is_unwatched = False  # by a call that may have begun just before
        return True

    def _relieve(self, call: Call) -> None:
        runner = self._runner
        with self._turn:
            runner.is_relieved = True
            if not any(running is call for running, _ in runner.calls()):
                runner.is_relieved = False
                return
            self._bell.on_event(0)  # of the call before, if it rang too late
            for door in self._doors:
                door.listen(False)
            self._loop.poller.unregister(self._wakeup.read_fd)  # its message is for the main thread
        poll = select.poll()
        poll.register(self._loop.poller.fileno(), select.POLLIN)
        poll.register(self._bell.read_fd, select.POLLIN)
        while True:
            poll.poll()
            with self._turn:
                if not runner.is_relieved:
                    break
                for fd, mask in self._loop.poller.poll(0.0, BATCH):
                    handler = self._loop.handlers.get(fd)
                    if handler is not None:
                        self._see_to(handler, mask)

    def _see_to(self, handler: Handler, mask: int) -> None:
        """What the loop would do, but for all that ends in a call."""
        try:
            if not isinstance(handler, Connection) or handler.state > State.BODY:
                handler.on_event(mask)
            elif handler.state not in WAITING or not self._departures.relieve(handler):
                handler.hold()
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._loop.close_failed(handler, error)
