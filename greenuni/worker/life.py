"""From an `Inherited` record to a shell that serves, and out again."""

from __future__ import annotations

import math
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from greenuni.arbiter.inherited import Inherited
from greenuni.arbiter.messages import Booted, Changed, Channel, Failed, Ready, Retiring
from greenuni.config import Config, check_applicable
from greenuni.errors import BootError, GreenuniError, user_traceback
from greenuni.shell import Application, Interface, Seat, WorkerState, beat_interval
from greenuni.worker.applications import enter_application, load_application
from greenuni.worker.dump import Dump
from greenuni.worker.hosting import Host, describe, host
from greenuni.worker.identity import (
    become_worker,
    set_boot_signals,
    set_exit_signals,
)
from greenuni.worker.longrequests import LongRequests
from greenuni.worker.recycling import Recycling
from greenuni.worker.watcher import Watcher

if TYPE_CHECKING:
    from greenuni.worker.changes import Changes

LIFESPAN_MINIMUM = 1.0  # seconds that a lifespan beside the shell has for its shutdown in any case
SHORT_BUDGET = 1.0  # seconds to drain when the arbiter is gone or the code is being edited

Serve = Callable[[Seat], None]


def find_shell(app: Application) -> Serve:
    """Import the one shell that this application needs, and nothing of the other."""
    if app.interface is Interface.WSGI:
        import greenuni.wsgi

        return greenuni.wsgi.serve
    import greenuni.asgi

    return greenuni.asgi.serve


def run_worker(
    inherited: Inherited,
    load_application: Callable[[Config], Application] = load_application,
    find_shell: Callable[[Application], Serve] = find_shell,
) -> NoReturn:
    """Be a worker until it is time to end; raises ``SystemExit``, so that exit handlers run.

    Failures are told to the arbiter, which knows whether they are worth a line in the log.
    """
    status = Life(inherited).run(load_application, find_shell)
    set_exit_signals()
    sys.exit(status)


class Life:
    """One worker process."""

    def __init__(self, inherited: Inherited) -> None:
        self._inherited = inherited
        self._config = with_jitter(inherited.config)
        self._logs = inherited.logs
        self._channel = Channel(inherited.channel)
        self._dump = Dump(self._logs.error_fileno)
        self._watcher = Watcher(
            inherited.lifeline,
            inherited.arbiter_pid,
            inherited.slot,
            beat_interval(self._config.timeout) / 2,  # the loop's own thread may be late a little
            self._note_orphaned,
        )
        self._changes: Changes | None = None
        self._is_orphaned = False
        self._is_ready = False
        self._drain_ends_at = 0.0  # monotonic seconds, from the beginning of a drain on

    def run(
        self,
        load_application: Callable[[Config], Application],
        find_shell: Callable[[Application], Serve],
    ) -> int:
        """The whole life; returns the exit status."""
        try:
            self._begin()
            app = self._application(load_application)
            if self._changes is not None:
                self._changes.check()  # from now on no save is missed
            check_applicable(self._config, *app.interfaces)
            self._serve(app, find_shell)
        except GreenuniError as error:
            return self._fail(str(error), getattr(error, "details", ""), error.exit_status)
        except SystemExit as error:
            sentence = f"the application ended the worker with sys.exit({error.code!r})"
            return self._fail(sentence, user_traceback(error), BootError.exit_status)
        except BaseException as error:  # noqa: BLE001  # the arbiter is to hear of anything
            sentence = f"the worker ended with {type(error).__name__}: {error}"
            return self._fail(sentence, traceback.format_exc(), BootError.exit_status)
        return 0

    def _serve(self, app: Application, find_shell: Callable[[Application], Serve]) -> None:
        """Everything from here on is after the fork, so threads and event loops may be started."""
        hosted = host(app, self._config, self._logs.error)
        serve = find_shell(hosted.application)
        hosted.start()
        try:
            serve(self._seat(app, hosted))
            self._watcher.pulse.in_app = True  # no loop turns while exit handlers run
            budget = self._config.graceful_timeout or math.inf
            self._watcher.limit_vouching(budget + self._config.shutdown_timeout)
        finally:
            set_exit_signals()
            if not hosted.close(self._lifespan_budget()):
                self._logs.error.warning("Abandoned, as it does not finish: the lifespan shutdown")

    def _application(self, load_application: Callable[[Config], Application]) -> Application:
        if self._inherited.application is None:
            return load_application(self._config)
        enter_application(self._config)  # it may look for something only now
        return self._inherited.application

    def _begin(self) -> None:
        set_boot_signals(self._reopen_logs)
        if self._config.pool:
            self._logs.name_pool(self._config.pool)
        become_worker(self._config, self._inherited.number)
        self._dump.install()
        self._watcher.start()
        self._channel.send(Booted())
        if self._config.reload:
            from greenuni.worker.changes import Changes

            extra = [self._config.config] if self._config.config else []
            self._changes = Changes(lambda path: self._channel.send(Changed(path)), extra)
            self._changes.start()

    def _seat(self, app: Application, hosted: Host) -> Seat:
        def ready() -> None:
            description = describe(app, self._config, seat.loop)
            self._is_ready = True
            self._inherited.slot.set_state(WorkerState.SERVING)
            self._inherited.slot.beat()
            self._channel.send(Ready(description))
            self._watch_over_itself(seat)

        seat = Seat(
            config=self._config,
            app=hosted.application,
            listeners=self._inherited.listeners,
            log=self._logs.error,
            access=self._logs.access,
            slot=self._inherited.slot,
            pulse=self._watcher.pulse,
            ready=ready,
            retire=lambda reason: self._channel.send(Retiring(reason)),
            drain_budget=self._drain_budget,
            reopen_logs=self._reopen_logs,
            siblings=self._inherited.siblings if self._has_siblings else None,
            pools=self._inherited.pools,
        )
        self._dump.in_flight = lambda: seat.in_flight()  # the shell sets it later
        return seat

    @property
    def _has_siblings(self) -> bool:
        """Whether others accept from the same listeners."""
        return self._config.workers > 1 or len(self._inherited.pools.names) > 1

    def _watch_over_itself(self, seat: Seat) -> None:
        """What the watcher's thread looks at from now on, beside the arbiter."""
        recycling = Recycling(self._config, self._logs.error, seat.retire)
        recycling.begin(time.monotonic())
        long_requests = LongRequests(self._config.timeout, seat.long_requests, self._logs.error)
        self._watcher.duties += [recycling.check, long_requests.check]

    def _fail(self, message: str, details: str, exit_status: int) -> int:
        """Tell why. Under ``--reload`` wait for a file to change; then the arbiter ends us."""
        for listener in self._inherited.listeners:
            listener.close()
        self._inherited.pools.close()
        if self._changes is not None and not self._is_ready:
            self._changes.watch_failure(details)
            self._channel.send(Failed(message, details, exit_status))
            set_boot_signals(self._reopen_logs)
            while True:
                signal.pause()
        self._channel.send(Failed(message, details, exit_status))
        return exit_status

    def _drain_budget(self) -> float:
        if self._is_orphaned:
            self._logs.error.error("The arbiter is gone; ending")
        budget = self._config.graceful_timeout or math.inf
        if self._is_hurried:
            budget = min(budget, SHORT_BUDGET)
        self._watcher.limit_vouching(budget + self._lifespan_seconds)
        self._drain_ends_at = time.monotonic() + budget
        return budget

    def _lifespan_budget(self) -> float:
        """Seconds for the shutdown of what runs beside the shell: what the drain has left."""
        if not self._drain_ends_at:
            return LIFESPAN_MINIMUM
        return max(self._drain_ends_at - time.monotonic(), self._lifespan_seconds)

    @property
    def _is_hurried(self) -> bool:
        return self._is_orphaned or self._config.reload

    @property
    def _lifespan_seconds(self) -> float:
        """What the lifespan shutdown has in any case."""
        return LIFESPAN_MINIMUM if self._is_hurried else self._config.shutdown_timeout

    def _note_orphaned(self) -> None:
        # No log line here: the lock of the log may be held by a main thread that is stuck.
        self._is_orphaned = True
        self._inherited.pools.forsake()

    def _reopen_logs(self) -> None:
        self._logs.reopen()
        self._dump.reopen(self._logs.error_fileno)

    def __repr__(self) -> str:
        state = "orphaned" if self._is_orphaned else "ready" if self._is_ready else "booting"
        return f"<Life of worker {self._inherited.number}, {state}>"


def with_jitter(config: Config) -> Config:
    """``max_requests`` drawn for this worker, so that a generation does not retire in lockstep."""
    if not config.max_requests:
        return config
    import random  # where it is not asked for, no worker keeps it in memory

    drawn = config.max_requests + random.randint(0, config.max_requests_jitter)
    return config.replace(max_requests=drawn)
