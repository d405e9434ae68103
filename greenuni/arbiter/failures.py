"""What follows from a worker that cannot boot: the end of a start, of a reload, or just of this attempt."""

from __future__ import annotations

import logging

from greenuni.arbiter.events import Command, Log, error, info
from greenuni.arbiter.messages import Failed
from greenuni.arbiter.reconcile import drain, place_is_empty
from greenuni.arbiter.table import SERVING, Stage, Table, Worker, counted

FAILED_PATIENCE = 5.0  # seconds that a worker gets to end after it has said why


def failed_to_boot(table: Table, now: float, worker: Worker, failure: Failed) -> list[Command]:
    """It has said why, and ends by itself; under ``--reload`` it stays, to see the next save."""
    worker.become(Stage.BROKEN if worker.plan.reload else Stage.FAILED)
    worker.deadline = None if worker.plan.reload else now + FAILED_PATIENCE
    return _cannot_boot(table, now, worker, failure)


def lost_while_booting(table: Table, now: float, worker: Worker, failure: Failed) -> list[Command]:
    """It has gone without a word, or is being ended: nobody holds its place any more."""
    return _cannot_boot(table, now, worker, failure)


def _cannot_boot(table: Table, now: float, worker: Worker, failure: Failed) -> list[Command]:
    """A boot failure ends a roll or just this attempt if somebody serves already. If nobody ever has, it is
    noted as the pool's ``exit_status``, and the fleet knows whether the whole server ends with it.
    """
    if table.is_ending:
        return []
    commands, is_news = _tell(table, worker, failure)
    if table.proven is None and not worker.plan.reload:
        table.exit_status = failure.exit_status
        return commands
    if table.proven is not None and worker.generation == table.target != table.proven:
        table.boot_failures += 1
        if worker.plan.reload or table.boot_failures > worker.plan.boot_retries:
            return [*commands, *_give_up(table, now, failure.message)]
    if worker.stage not in {Stage.FAILED, Stage.BROKEN}:
        commands += place_is_empty(table, worker, now)
    elif not is_news and not worker.plan.reload:
        commands.append(error(f"{worker.label} cannot boot, as before: {failure.message}"))
    return commands


def _tell(table: Table, worker: Worker, failure: Failed) -> tuple[list[Command], bool]:
    """The lines about a failure, once a generation; and whether it was news."""
    key = (worker.generation, failure.message)
    if key in table.failures_told:
        return [], False
    table.failures_told.add(key)
    commands: list[Command] = [Log(logging.ERROR, failure.message, failure.details)]
    if worker.stage is Stage.BROKEN:
        commands.append(info("Waiting for a file to change before the next attempt"))
    return commands, True


def _give_up(table: Table, now: float, reason: str) -> list[Command]:
    """The new generation is no good; the old one stays."""
    assert table.proven is not None
    failed, table.target = table.target, table.proven
    attempts = f" after {table.boot_failures} attempts" if table.boot_failures > 1 else ""
    serving = counted(len(table.having(SERVING)), "worker")
    text = f"The reload is given up; what was loaded before goes on in {serving}"
    commands: list[Command] = [error(f"{text}. The reason{attempts}: {reason}")]
    for worker in table.having({Stage.BOOTING}):
        if worker.generation == failed:
            commands += drain(worker, now, "its generation has been given up")
    return commands
