"""What is decided for one pool, as a function: `decide` takes what happened and says what to do.

Nothing here acts, waits or looks at the world; the table is its only state. After every event, whatever it
was, the difference between the workers that there are and those that there should be is looked after
(`reconcile`). So no path can forget to replace a worker, and a roll needs no script: it is a difference
that gets smaller. Deadlines are looked after when a `Tick` comes, with the scoreboard to tell what ran.
What concerns the server as a whole, such as signals, is decided in `fleet`.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import Any

from greenuni.arbiter.events import (
    ChangeCount,
    Command,
    Died,
    Forked,
    ForkFailed,
    Kill,
    Log,
    Planned,
    PoolEvent,
    Quit,
    Said,
    Send,
    Stop,
    Tick,
    debug,
    error,
    info,
    sentence,
    warning,
)
from greenuni.arbiter.exits import Exit, Sent, describe
from greenuni.arbiter.messages import Booted, Failed, Ready, Retiring
from greenuni.arbiter.reconcile import QUICK_PATIENCE, drain, end, place_is_empty, reconcile
from greenuni.arbiter.scoreboard import Reading
from greenuni.arbiter.signals import ENDING
from greenuni.arbiter.table import BEATING, SERVING, Stage, Standing, Table, Worker, counted
from greenuni.errors import BootError
from greenuni.shell import beat_interval

ABORT_PATIENCE = 1.0  # seconds that a stuck worker gets to write its stacks
FAILED_PATIENCE = 5.0  # seconds that a worker gets to end after it has said why
OVERSLEPT = 1.0  # seconds; a tick so late means that we were not running, so neither were they


def decide(table: Table, now: float, event: PoolEvent) -> list[Command]:
    """What to do about ``event``, in order. ``now`` is ``time.monotonic()`` seconds."""
    commands = _HANDLERS[type(event)](table, now, event)
    commands += reconcile(table, now)
    return commands


def next_deadline(table: Table, now: float) -> float | None:
    """When `decide` wants a `Tick`, or None when only an event can change anything."""
    deadlines = [worker.deadline for worker in table.workers.values() if worker.deadline]
    deadlines += [_stuck_from(worker) for worker in table.having(BEATING) if _must_beat(worker)]
    if not table.is_ending:
        deadlines += [
            table.crash_loop(number).not_before
            for number in range(table.count)
            if table.crash_loop(number).not_before > now
        ]
    return min(deadlines, default=None)


# Time


def _tick(table: Table, now: float, event: Tick) -> list[Command]:
    """Take the beats. Who has not beaten for its ``timeout`` is told to dump its stacks, and who has not
    ended in time is killed.
    """
    commands: list[Command] = []
    overslept = event.due is not None and now - event.due > OVERSLEPT
    for worker in table.having(BEATING):
        reading = event.readings.get(worker.serial, Reading())
        worker.seen_at = now if overslept else max(worker.seen_at, reading.beat)
        if _must_beat(worker) and now >= _stuck_from(worker):
            commands += _abort(worker, now, reading)
    for worker in list(table.workers.values()):
        if worker.deadline is not None and worker.deadline <= now:
            reading = event.readings.get(worker.serial, Reading())
            commands += _kill(worker, now, _why_overdue(worker, now, reading))
    return commands


def _must_beat(worker: Worker) -> bool:
    return worker.ready_at is not None and worker.plan.timeout > 0


def _stuck_from(worker: Worker) -> float:
    """When silence proves that the loop has stood still for ``timeout``, whenever its next beat was due."""
    timeout = worker.plan.timeout
    return worker.seen_at + timeout + beat_interval(timeout)


def _abort(worker: Worker, now: float, reading: Reading) -> list[Command]:
    silence = f"{now - worker.seen_at:.1f} s"
    text = f"{worker.label} has not turned its loop for {silence}{_running(reading, now)}"
    worker.become(Stage.ABORTING)
    worker.sent = Sent(signal.SIGABRT, f"its loop had not turned for {silence}", now)
    worker.deadline = now + ABORT_PATIENCE
    return [error(text), Send(worker.serial, signal.SIGABRT)]


def _running(reading: Reading, now: float) -> str:
    """What the worker is busy with, to go on a sentence about it; empty when it has no request."""
    if not reading.request_line:
        return ""
    return f", running {reading.request_line} since {now - reading.since:.1f} s"


def _why_overdue(worker: Worker, now: float, reading: Reading) -> str:
    if worker.sent is None:
        return "it did not end after its failure"
    waited = f"{now - worker.sent.at:.1f} s after {worker.sent.signal.name}"
    return f"it had not ended {waited}{_running(reading, now)}"


def _kill(worker: Worker, now: float, reason: str) -> list[Command]:
    worker.become(Stage.KILLED)
    worker.sent = Sent(signal.SIGKILL, reason, now)
    worker.deadline = None
    return [Send(worker.serial, signal.SIGKILL)]


# What the fleet wants


def _stop(table: Table, now: float, event: Stop) -> list[Command]:
    table.standing = Standing.ENDING
    commands: list[Command] = []
    for worker in not_yet_ending(table):
        commands += drain(worker, now, event.reason)
    return commands


def _quit(table: Table, now: float, event: Quit) -> list[Command]:
    table.standing = Standing.ENDING
    table.exit_status = event.exit_status
    commands: list[Command] = []
    for worker in table.having(SERVING | {Stage.STOPPING}):
        # A worker that boots may not have its own handlers yet, and QUIT would dump its core.
        quick = signal.SIGTERM if worker.ready_at is None else signal.SIGQUIT
        commands += end(worker, now, quick, QUICK_PATIENCE, event.reason)
    for worker in not_yet_ending(table):
        commands += drain(worker, now, event.reason)
    return commands


def _kill_all(table: Table, now: float, event: Kill) -> list[Command]:
    commands: list[Command] = []
    for worker in table.workers.values():
        commands += _kill(worker, now, event.reason)
    return commands


def not_yet_ending(table: Table) -> list[Worker]:
    """Those who have not been told to end."""
    return table.having({Stage.BOOTING, Stage.BROKEN, Stage.FAILED} | SERVING)


def _change_count(table: Table, now: float, event: ChangeCount) -> list[Command]:
    table.count = max(1, table.count + event.by)
    return []


def _planned(table: Table, now: float, event: Planned) -> list[Command]:
    """What boots for an older generation is of no use, unless its place is empty."""
    table.plans[event.generation] = event.plan
    table.target = table.planned = event.generation
    table.settled = None
    table.crash_loops.clear()
    table.failures_told.clear()
    commands: list[Command] = []
    if table.proven is None:
        table.count = event.plan.workers
    if event.plan.preload:
        commands.append(
            warning("--preload: the application is not loaded again, only the configuration")
        )
    for worker in table.having({Stage.BOOTING, Stage.BROKEN, Stage.FAILED}):
        if not _will_fill_its_place(table, worker):
            commands += drain(worker, now, "a newer generation takes its place")
    return commands


def _will_fill_its_place(table: Table, worker: Worker) -> bool:
    """Whether it boots code that is known to work into a place that nobody else holds."""
    is_alone = all(other is worker for other in table.in_place(worker.number))
    return is_alone and worker.stage is Stage.BOOTING and worker.generation == table.proven


# Workers


def _forked(table: Table, now: float, event: Forked) -> list[Command]:
    table.workers[event.serial].pid = event.pid
    return []


def _fork_failed(table: Table, now: float, event: ForkFailed) -> list[Command]:
    worker = table.workers.pop(event.serial)
    message = f"Worker {worker.number} cannot be forked: {event.reason}"
    return _cannot_boot(table, now, worker, Failed(message, "", 1))


def _said(table: Table, now: float, event: Said) -> list[Command]:
    worker = table.workers.get(event.serial)
    return _MESSAGES[type(event.message)](table, now, worker, event.message) if worker else []


def _booted(table: Table, now: float, worker: Worker, message: Booted) -> list[Command]:
    if table.is_ending:
        return []
    return [info(f"Booting worker with pid: {worker.pid}")]


def _ready(table: Table, now: float, worker: Worker, message: Ready) -> list[Command]:
    if worker.stage is not Stage.BOOTING:  # it has been told to end meanwhile
        return []
    worker.become(Stage.READY)
    worker.ready_at = worker.seen_at = now
    commands: list[Command] = []
    if worker.generation != table.proven:
        if table.proven is not None:
            table.count = worker.plan.workers
        table.proven = worker.generation
        commands.append(info(f"Serving {message.description}"))
    for elder in list(table.in_place(worker.number)):
        if elder is not worker:
            commands += drain(elder, now, f"{worker.label} has taken its place")
    return commands


def _retiring(table: Table, now: float, worker: Worker, message: Retiring) -> list[Command]:
    if worker.stage is not Stage.READY:
        return []
    worker.become(Stage.RETIRING)
    return [info(f"{worker.label} asks to be replaced: {message.reason}")]


def _failed(table: Table, now: float, worker: Worker, message: Failed) -> list[Command]:
    if worker.stage is Stage.BOOTING:
        return _cannot_boot(table, now, worker, message)
    if worker.ready_at is None:  # it was told to end meanwhile, so nobody waits for it
        return []
    if worker.stage in SERVING:
        worker.become(Stage.FAILED)
        worker.deadline = now + FAILED_PATIENCE
    return [error(f"{worker.label}: {message.message}", message.details)]


def _cannot_boot(table: Table, now: float, worker: Worker, failure: Failed) -> list[Command]:
    """A boot failure ends a roll or just this attempt if somebody serves already. If nobody ever has, it is
    noted as the pool's ``exit_status``, and the fleet knows whether the whole server ends with it.
    """
    alive = worker.serial in table.workers
    if alive:
        worker.become(Stage.BROKEN if worker.plan.reload else Stage.FAILED)
        worker.deadline = None if worker.plan.reload else now + FAILED_PATIENCE
    if table.is_ending:
        return []
    commands: list[Command] = []
    is_told = (worker.generation, failure.message) in table.failures_told
    table.failures_told.add((worker.generation, failure.message))
    if not is_told:
        commands.append(Log(logging.ERROR, failure.message, failure.details))
        if worker.stage is Stage.BROKEN:
            commands.append(info("Waiting for a file to change before the next attempt"))
    if table.proven is None and not worker.plan.reload:
        table.exit_status = failure.exit_status
        return commands
    if table.proven is not None and worker.generation == table.target != table.proven:
        return [*commands, *_give_up(table, now)]
    if not alive:
        commands += place_is_empty(table, worker, now)
    elif is_told and not worker.plan.reload:
        commands.append(error(f"{worker.label} cannot boot, as before: {failure.message}"))
    return commands


def _give_up(table: Table, now: float) -> list[Command]:
    """The new generation is no good; the old one stays."""
    assert table.proven is not None
    failed, table.target = table.target, table.proven
    serving = counted(len(table.having(SERVING)), "worker")
    commands: list[Command] = [
        error(f"The reload is given up; what was loaded before goes on in {serving}")
    ]
    for worker in table.having({Stage.BOOTING}):
        if worker.generation == failed:
            commands += drain(worker, now, "its generation has been given up")
    return commands


def _died(table: Table, now: float, event: Died) -> list[Command]:
    worker = table.workers.pop(event.serial)
    cause = describe(event.exit, worker.sent)
    if worker.stage is Stage.BOOTING:
        message = sentence(f"{worker.label} {cause} while it booted")
        return _cannot_boot(table, now, worker, Failed(message, "", BootError.exit_status))
    life = f"it lived {now - worker.started_at:.1f} s and answered {counted(event.requests, 'request')}"
    text = f"{worker.label} {cause}; {life}"
    # What the pool fails of has been told, as the last line that anybody reads.
    line = debug(text) if table.exit_status else _death_line(worker, event.exit, text)
    commands: list[Command] = [line]
    if worker.stage in SERVING | {Stage.FAILED, Stage.BROKEN}:
        commands += place_is_empty(table, worker, now)
    return commands


def _death_line(worker: Worker, exit: Exit, text: str) -> Log:
    if worker.stage in SERVING:
        return error(text)
    # While it boots the signal itself ends a worker, be it ours or that of the terminal.
    was_to_be = exit.is_clean or exit.number in ENDING
    if worker.stage is Stage.FAILED or (worker.stage is Stage.STOPPING and was_to_be):
        return debug(text) if worker.ready_at is None else info(text)
    return warning(text)


_MESSAGES: dict[type[Any], Callable[[Table, float, Worker, Any], list[Command]]] = {
    Booted: _booted,
    Ready: _ready,
    Failed: _failed,
    Retiring: _retiring,
}
_HANDLERS: dict[type[Any], Callable[[Table, float, Any], list[Command]]] = {
    Tick: _tick,
    Planned: _planned,
    ChangeCount: _change_count,
    Stop: _stop,
    Quit: _quit,
    Kill: _kill_all,
    Forked: _forked,
    ForkFailed: _fork_failed,
    Said: _said,
    Died: _died,
}
