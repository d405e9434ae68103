"""The difference between the workers of a pool that there are and those that there should be.

Places 0 to ``count`` - 1 are to be held by one ready worker of the target generation each. A place that
nobody holds is filled at once, unless a crash loop makes it wait. A worker that is outdated or asks to
retire stays until its successor in the same place is ready; at most one successor boots at a time, in a roll
as many as ``surge`` says.
"""

from __future__ import annotations

import signal

from greenuni.arbiter.events import Command, KeepPlaces, Send, Settle, Spawn, error, info
from greenuni.arbiter.exits import Sent
from greenuni.arbiter.table import IN_PLACE, SERVING, Stage, Table, Worker, counted

QUICK_PATIENCE = 2.0  # seconds after QUIT, or after TERM to a worker that serves nobody
DRAIN_MARGIN = 2.0  # seconds more than the worker itself takes for its drain and shutdown


def end(
    worker: Worker, now: float, number: signal.Signals, patience: float | None, reason: str
) -> list[Command]:
    """Tell a worker to end; it is killed after ``patience`` seconds, never when that is None."""
    worker.become(Stage.STOPPING)
    worker.sent = Sent(number, reason, now)
    worker.deadline = None if patience is None else now + patience
    return [Send(worker.serial, number)]


def drain(worker: Worker, now: float, reason: str) -> list[Command]:
    """Let a worker finish what it has. One that serves nobody is to end at once."""
    patience: float | None = QUICK_PATIENCE
    if worker.stage in SERVING:
        budget = worker.plan.graceful_timeout
        shutdown = worker.plan.shutdown_timeout
        patience = budget + shutdown + DRAIN_MARGIN if budget else None
    return end(worker, now, signal.SIGTERM, patience, reason)


def place_is_empty(table: Table, worker: Worker, now: float) -> list[Command]:
    """``worker`` was lost; say so if its place has to wait for the next one."""
    if table.is_ending:
        return []
    delay = table.crash_loop(worker.number).note_death(worker.served(now), now)
    if not delay:
        return []
    return [error(f"worker {worker.number} keeps ending; the next attempt is in {delay:g} s")]


def reconcile(table: Table, now: float) -> list[Command]:
    """The commands that make the difference smaller. For a pool that ends or cannot serve there is none."""
    if table.is_ending or table.exit_status:
        return []
    return [
        *_end_surplus(table, now),
        *_fill_places(table, now),
        *_start_successors(table, now),
        *_settle(table),
    ]


def _end_surplus(table: Table, now: float) -> list[Command]:
    commands: list[Command] = []
    for worker in table.having(IN_PLACE):
        if worker.number >= table.count:
            commands += drain(worker, now, "fewer workers are wanted")
    return [*commands, KeepPlaces(table.count)] if commands else []


def _fill_places(table: Table, now: float) -> list[Command]:
    commands: list[Command] = []
    for number in range(table.count):
        is_held = any(True for _ in table.in_place(number))
        if not is_held and now >= table.crash_loop(number).not_before:
            commands.append(_spawn(table, number, now))
    return commands


def _start_successors(table: Table, now: float) -> list[Command]:
    """In a roll up to ``surge`` successors boot at a time, for those who retire one."""
    commands: list[Command] = []
    booting = _successors(table)
    surge = table.plans[table.target].surge
    for worker in table.having(SERVING):
        is_outdated = worker.generation < table.target
        if not is_outdated and worker.stage is not Stage.RETIRING:
            continue
        if len(booting) >= (surge if is_outdated else 1) or worker.number in booting:
            continue
        if now >= table.crash_loop(worker.number).not_before:
            commands.append(_spawn(table, worker.number, now))
            booting.add(worker.number)
    return commands


def _successors(table: Table) -> set[int]:
    """The places in which a worker boots, or has failed to, while another one still holds them."""
    return {
        worker.number
        for worker in table.having({Stage.BOOTING, Stage.FAILED, Stage.BROKEN})
        if any(other is not worker for other in table.in_place(worker.number))
    }


def _spawn(table: Table, number: int, now: float) -> Spawn:
    worker = table.add(number, table.target, now)
    return Spawn(worker.serial, number, table.target, table.name)


def _settle(table: Table) -> list[Command]:
    """When all places are held by the proven target generation, the older ones can be forgotten."""
    if table.settled == table.target or table.proven != table.target:
        return []
    ready = [worker for worker in table.having(SERVING) if worker.generation == table.target]
    if {worker.number for worker in ready} != set(range(table.count)):
        return []
    table.settled = table.target
    table.plans = {table.target: table.plans[table.target]}
    commands: list[Command] = [Settle(table.target, table.name)]
    if table.target > table.first and table.target == table.planned:
        commands.append(
            info(f"Reloaded: the new generation serves in {counted(table.count, 'worker')}")
        )
    return commands
