"""The clocks of a pool's workers: when `decide` wants a `Tick`, and what it does then.

A worker that boots has ``boot_timeout``; one that serves or drains must beat, or ``timeout`` ends it; one
that has been told to end has a deadline. Nothing else is by the clock.
"""

from __future__ import annotations

import math
import signal

from greenuni.arbiter.events import Command, Send, Tick, error, info, sentence
from greenuni.arbiter.exits import Sent
from greenuni.arbiter.failures import lost_while_booting
from greenuni.arbiter.messages import Failed
from greenuni.arbiter.scoreboard import Reading
from greenuni.arbiter.table import BEATING, Stage, Table, Worker
from greenuni.errors import BootError
from greenuni.shell import beat_interval

ABORT_PATIENCE = 1.0  # seconds that a stuck worker gets to write its stacks
OVERSLEPT = 1.0  # seconds; a tick so late means that we were not running, so neither were they
STILL_BOOTING = 30.0  # seconds between two lines about a worker that boots


def next_deadline(table: Table, now: float) -> float | None:
    """When `decide` wants a `Tick`, or None when only an event can change anything."""
    deadlines = [worker.deadline for worker in table.workers.values() if worker.deadline]
    deadlines += [_stuck_from(worker) for worker in table.having(BEATING) if _must_beat(worker)]
    if not table.is_ending:
        for worker in table.having({Stage.BOOTING}):
            deadlines += [_overdue_from(worker), worker.boot_told_at + STILL_BOOTING]
        deadlines += [
            table.crash_loop(number).not_before
            for number in range(table.count)
            if table.crash_loop(number).not_before > now
        ]
    due = min(deadlines, default=math.inf)
    return due if due < math.inf else None


def tick(table: Table, now: float, event: Tick) -> list[Command]:
    """Take the beats. Who has not beaten for its ``timeout`` is told to dump its stacks, as is who has not
    booted in its ``boot_timeout``, and who has not ended in time is killed.
    """
    commands: list[Command] = []
    overslept = event.due is not None and now - event.due > OVERSLEPT
    for worker in table.having({Stage.BOOTING}):
        if overslept:
            worker.boot_since = now
        commands += _look_at_boot(table, now, worker)
    for worker in table.having(BEATING):
        reading = event.readings.get(worker.serial, Reading())
        worker.seen_at = now if overslept else max(worker.seen_at, reading.beat)
        if _must_beat(worker) and now >= _stuck_from(worker):
            commands += _abort_stuck(worker, now, reading)
    for worker in list(table.workers.values()):
        if worker.deadline is not None and worker.deadline <= now:
            reading = event.readings.get(worker.serial, Reading())
            commands += kill(worker, now, _why_overdue(worker, now, reading))
    return commands


def kill(worker: Worker, now: float, reason: str) -> list[Command]:
    """End a worker by force."""
    worker.become(Stage.KILLED)
    worker.sent = Sent(signal.SIGKILL, reason, now)
    worker.deadline = None
    return [Send(worker.serial, signal.SIGKILL)]


# Booting


def _overdue_from(worker: Worker) -> float:
    """When a worker has booted for too long; never if there is no limit."""
    limit = worker.plan.boot_timeout
    return worker.boot_since + limit if limit else math.inf


def _look_at_boot(table: Table, now: float, worker: Worker) -> list[Command]:
    """Say from time to time that it still boots, and end it when its time is over."""
    if table.is_ending:
        return []
    limit = worker.plan.boot_timeout
    if now >= _overdue_from(worker):
        text = f"{worker.label} was not ready within boot_timeout, {limit:g} s"
        return [
            *_abort(worker, now, f"it was not ready within {limit:g} s"),
            *lost_while_booting(
                table, now, worker, Failed(sentence(text), "", BootError.exit_status)
            ),
        ]
    if now < worker.boot_told_at + STILL_BOOTING:
        return []
    worker.boot_told_at = now
    until = f" and has {limit:g} s for it" if limit else ""
    return [info(f"{worker.label} has been booting for {now - worker.started_at:.0f} s{until}")]


# Liveness


def _must_beat(worker: Worker) -> bool:
    return worker.ready_at is not None and worker.plan.timeout > 0


def _stuck_from(worker: Worker) -> float:
    """When silence proves that the loop has stood still for ``timeout``, whenever its next beat was due."""
    timeout = worker.plan.timeout
    return worker.seen_at + timeout + beat_interval(timeout)


def _abort_stuck(worker: Worker, now: float, reading: Reading) -> list[Command]:
    silence = f"{now - worker.seen_at:.1f} s"
    text = f"{worker.label} has not turned its loop for {silence}{_running(reading, now)}"
    return [error(text), *_abort(worker, now, f"its loop had not turned for {silence}")]


def _abort(worker: Worker, now: float, reason: str) -> list[Command]:
    """Have it write its stacks and end."""
    worker.become(Stage.ABORTING)
    worker.sent = Sent(signal.SIGABRT, reason, now)
    worker.deadline = now + ABORT_PATIENCE
    return [Send(worker.serial, signal.SIGABRT)]


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
