"""What is decided for one pool, as a function: `decide` takes what happened and says what to do.

Nothing here acts, waits or looks at the world; the table is its only state. After every event, whatever it
was, the difference between the workers that there are and those that there should be is looked after
(`reconcile`). So no path can forget to replace a worker, and a roll needs no script: it is a difference
that gets smaller. What is by the clock is in `clocks`, what follows from a failed boot in `failures`.
What concerns the server as a whole, such as signals, is decided in `fleet`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from greenuni.arbiter.clocks import kill, tick
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
    Stop,
    Tick,
    Unborn,
    debug,
    error,
    info,
    sentence,
    warning,
)
from greenuni.arbiter.exits import Exit, describe
from greenuni.arbiter.failures import FAILED_PATIENCE, failed_to_boot, lost_while_booting
from greenuni.arbiter.messages import Booted, Failed, Ready, Retiring
from greenuni.arbiter.reconcile import QUICK_PATIENCE, drain, end, place_is_empty, reconcile
from greenuni.arbiter.signals import ENDING
from greenuni.arbiter.table import SERVING, Stage, Standing, Table, Worker, counted
from greenuni.errors import BootError


def decide(table: Table, now: float, event: PoolEvent) -> list[Command]:
    """What to do about ``event``, in order. ``now`` is ``time.monotonic()`` seconds."""
    commands = _HANDLERS[type(event)](table, now, event)
    commands += reconcile(table, now)
    return commands


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
        commands += kill(worker, now, event.reason)
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
    table.boot_failures = 0
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
    return lost_while_booting(table, now, worker, Failed(message, "", 1))


def _unborn(table: Table, now: float, event: Unborn) -> list[Command]:
    worker = table.workers.pop(event.serial)
    return lost_while_booting(table, now, worker, event.failure)


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
        return failed_to_boot(table, now, worker, message)
    if worker.ready_at is None:  # it was told to end meanwhile, so nobody waits for it
        return []
    if worker.stage in SERVING:
        worker.become(Stage.FAILED)
        worker.deadline = now + FAILED_PATIENCE
    return [error(f"{worker.label}: {message.message}", message.details)]


def _died(table: Table, now: float, event: Died) -> list[Command]:
    worker = table.workers.pop(event.serial)
    cause = describe(event.exit, worker.sent)
    if worker.stage is Stage.BOOTING:
        message = sentence(f"{worker.label} {cause} while it booted")
        failure = Failed(message, "", BootError.exit_status)
        return lost_while_booting(table, now, worker, failure)
    life = f"it lived {now - worker.started_at:.1f} s and answered {counted(event.requests, 'request')}"
    text = f"{worker.label} {cause}; {life}"
    # What the pool fails of has been told, as the last line that anybody reads.
    line = debug(text) if table.exit_status else _death_line(worker, event.exit, text)
    commands: list[Command] = [line]
    was_given_up = worker.ready_at is None and worker.generation != table.target
    if worker.stage in SERVING | {Stage.FAILED, Stage.BROKEN} and not was_given_up:
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
    Tick: tick,
    Planned: _planned,
    ChangeCount: _change_count,
    Stop: _stop,
    Quit: _quit,
    Kill: _kill_all,
    Forked: _forked,
    ForkFailed: _fork_failed,
    Unborn: _unborn,
    Said: _said,
    Died: _died,
}
