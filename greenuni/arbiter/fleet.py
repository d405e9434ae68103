"""What is decided for the server as a whole: signals, the configuration, and the pools side by side.

::

    events -> direct(fleet, now, event) -> commands
                 `-> decide(table, ...) for each pool that it concerns

As pure as `decide`, which it hands a worker's event on to for the table of that worker's pool. What is told
to several pools is one command where it is one deed, and one line of the log. In the log each line of a pool
begins with its name, if there are several.
"""

from __future__ import annotations

import enum
import itertools
import logging
import math
import signal
from collections.abc import Callable, Mapping
from typing import Any

from greenuni.arbiter.clocks import next_deadline as deadline_of_pool
from greenuni.arbiter.decide import decide, not_yet_ending
from greenuni.arbiter.events import (
    ChangeCount,
    CloseListeners,
    Command,
    ConfigRefused,
    Configured,
    Died,
    Event,
    Finish,
    Forget,
    Forked,
    ForkFailed,
    ForkNobody,
    Kill,
    Log,
    Planned,
    PoolEvent,
    Quit,
    ReloadConfig,
    ReopenLogs,
    Said,
    Send,
    ShowPool,
    Signalled,
    Stop,
    Tick,
    Unborn,
    error,
    info,
    of_pool,
    warning,
)
from greenuni.arbiter.messages import Changed
from greenuni.arbiter.table import BEATING, Plan, Stage, Standing, Table, counted

DOUBLED = 1.0  # seconds in which a second INT or QUIT is the first one, forwarded twice


class Phase(enum.Enum):
    """What the server as a whole is doing."""

    RUNNING = "running"
    STOPPING = "stopping"  # workers drain
    QUITTING = "quitting"  # workers end at once


class Fleet:
    """The tables of all pools and what is common to them. Changed by `direct` only.

    Two tables may have one name: a pool that left the configuration and still drains, and its successor.
    """

    def __init__(self, plans: Mapping[str, Plan], signal_pool: str | None = None) -> None:
        """A server that has not forked anything; ``plans`` are by pool."""
        self.serials = itertools.count(1)
        self.tables = [Table(plan, name, 0, self.serials) for name, plan in plans.items()]
        self.signal_pool = signal_pool  # that TTIN and TTOU mean; None is all
        self.phase = Phase.RUNNING
        self.quitting_since = 0.0  # time.monotonic() seconds, once that is the phase
        self.closes_at = math.inf  # when the listeners are to be closed
        self.latest = 0  # the highest generation given out
        self.configured = 0  # the latest that could be used
        self.exit_status = 0
        self.shown_down: set[str] = set()  # pools that others are told not to count on

    @property
    def is_ending(self) -> bool:
        """Whether the server is on its way out."""
        return self.phase is not Phase.RUNNING

    def table_of(self, serial: int) -> Table | None:
        """The table that a worker stands in, if it still does."""
        return next((table for table in self.tables if serial in table.workers), None)

    def having(self, *standings: Standing) -> list[Table]:
        """The pools of which this is to become."""
        return [table for table in self.tables if table.standing in standings]

    def __repr__(self) -> str:
        return f"<Fleet {self.phase.value} {self.tables}>"


def direct(fleet: Fleet, now: float, event: Event) -> list[Command]:
    """What to do about ``event``, in order. ``now`` is ``time.monotonic()`` seconds."""
    commands = _HANDLERS[type(event)](fleet, now, event)
    return [*commands, *_look_after(fleet, now)]


def next_deadline(fleet: Fleet, now: float) -> float | None:
    """When `direct` wants a `Tick`, or None when only an event can change anything."""
    deadlines = [deadline_of_pool(table, now) for table in fleet.tables]
    if fleet.closes_at < math.inf:
        deadlines.append(fleet.closes_at)
    return min((due for due in deadlines if due is not None), default=None)


# Events of the pools


def _tell(table: Table, now: float, event: PoolEvent) -> list[Command]:
    """Let a pool decide; its lines in the log get its name."""
    commands = decide(table, now, event)
    return [_named(table, command) for command in commands]


def _named(table: Table, command: Command) -> Command:
    if isinstance(command, Log):
        return command._replace(text=of_pool(table.name, command.text))
    return command


def _tell_all(fleet: Fleet, now: float, event: PoolEvent) -> list[Command]:
    return [command for table in fleet.tables for command in _tell(table, now, event)]


def _tick(fleet: Fleet, now: float, event: Tick) -> list[Command]:
    return [*_close_listeners(fleet, now), *_tell_all(fleet, now, event)]


def _of_worker(
    fleet: Fleet, now: float, event: Forked | ForkFailed | Unborn | Died
) -> list[Command]:
    table = fleet.table_of(event.serial)
    return _tell(table, now, event) if table else []


def _said(fleet: Fleet, now: float, event: Said) -> list[Command]:
    table = fleet.table_of(event.serial)
    if table is None:
        return []
    if isinstance(event.message, Changed):
        return _changed(fleet, table.workers[event.serial].generation, event.message)
    return _tell(table, now, event)


def _changed(fleet: Fleet, generation: int, message: Changed) -> list[Command]:
    """Every worker sees the same save; only the newest generation is listened to, so it counts once."""
    present = [worker.generation for table in fleet.tables for worker in not_yet_ending(table)]
    if fleet.is_ending or generation < max(present, default=0):
        return []
    has_changed = Log(logging.INFO, f"{message.path} has changed; reloading")
    return [has_changed, _new_generation(fleet)]


# Signals


def _signalled(fleet: Fleet, now: float, event: Signalled) -> list[Command]:
    handler = _SIGNALS.get(event.signal)
    return handler(fleet, now, event.signal) if handler else []


def _stop(fleet: Fleet, now: float, number: signal.Signals) -> list[Command]:
    """TERM: let the workers finish what they have."""
    if fleet.is_ending:
        return [info(f"Handling signal: {number.name} (already stopping)")]
    fleet.phase = Phase.STOPPING
    fleet.closes_at = now + max((table.drain_delay for table in fleet.tables), default=0.0)
    stop = Stop("the server was told to stop")
    commands: list[Command] = [info(f"Handling signal: {number.name}"), ForkNobody()]
    return [*commands, *_close_listeners(fleet, now), *_tell_all(fleet, now, stop)]


def _close_listeners(fleet: Fleet, now: float) -> list[Command]:
    """Once all workers have stopped accepting: the path of a Unix socket is gone with it."""
    if now < fleet.closes_at:
        return []
    fleet.closes_at = math.inf
    return [CloseListeners()]


def _quit(fleet: Fleet, now: float, number: signal.Signals) -> list[Command]:
    """INT or QUIT: stop at once; a second one kills.

    One Ctrl-C can arrive twice, from the terminal and from a wrapper that forwards it, so a second one
    that comes within `DOUBLED` seconds is the same one.
    """
    handling = info(f"Handling signal: {number.name}")
    if fleet.phase is not Phase.QUITTING:
        return [handling, *_quit_all(fleet, now, "the server was told to stop at once")]
    if now - fleet.quitting_since < DOUBLED:
        return [info(f"Handling signal: {number.name} (already stopping at once)")]
    return [handling, *_tell_all(fleet, now, Kill("it was told so a second time"))]


def _quit_all(fleet: Fleet, now: float, reason: str) -> list[Command]:
    fleet.phase = Phase.QUITTING
    fleet.quitting_since = fleet.closes_at = now
    return [
        ForkNobody(),
        *_close_listeners(fleet, now),
        *_tell_all(fleet, now, Quit(reason, fleet.exit_status)),
    ]


def _reload(fleet: Fleet, now: float, number: signal.Signals) -> list[Command]:
    if fleet.is_ending:
        return []
    return [info(f"Handling signal: {number.name}"), ReopenLogs(), _new_generation(fleet)]


def _new_generation(fleet: Fleet) -> ReloadConfig:
    fleet.latest += 1
    return ReloadConfig(fleet.latest)


def _reopen_logs(fleet: Fleet, now: float, number: signal.Signals) -> list[Command]:
    workers = [
        Send(worker.serial, signal.SIGUSR1)
        for stages in (BEATING, {Stage.BOOTING})
        for table in fleet.tables
        for worker in table.having(stages)
    ]
    return [info(f"Handling signal: {number.name}"), ReopenLogs(), *workers]


def _change_count(fleet: Fleet, now: float, number: signal.Signals) -> list[Command]:
    if fleet.is_ending:
        return []
    change = ChangeCount(1 if number is signal.SIGTTIN else -1)
    commands: list[Command] = []
    counts = []
    for table in fleet.having(Standing.STAYING):
        if fleet.signal_pool in (None, table.name):
            commands += _tell(table, now, change)
            where = f" in {table.name}" if table.name else ""
            counts.append(counted(table.count, "worker") + where)
    wanted = ", ".join(counts) or f"nothing, for pool {fleet.signal_pool} does not run"
    return [info(f"Handling signal: {number.name}; wanted now: {wanted}"), *commands]


def _not_supported(fleet: Fleet, now: float, number: signal.Signals) -> list[Command]:
    return [warning(f"{number.name} does nothing here: {_INSTEAD[number]}")]


_INSTEAD = {
    signal.SIGUSR2: "send HUP to load new code and configuration without a lost request; to replace "
    "the program itself, start a second server with --reuse-port and send TERM to this one",
    signal.SIGWINCH: "send TTOU to have fewer workers, TERM to stop gracefully",
}
_SIGNALS: dict[signal.Signals, Callable[[Fleet, float, signal.Signals], list[Command]]] = {
    signal.SIGTERM: _stop,
    signal.SIGINT: _quit,
    signal.SIGQUIT: _quit,
    signal.SIGHUP: _reload,
    signal.SIGUSR1: _reopen_logs,
    signal.SIGTTIN: _change_count,
    signal.SIGTTOU: _change_count,
    signal.SIGUSR2: _not_supported,
    signal.SIGWINCH: _not_supported,
}


# Configuration


def _configured(fleet: Fleet, now: float, event: Configured) -> list[Command]:
    """Each pool rolls by itself; a new one starts; one that is gone leaves when the others have rolled."""
    if fleet.is_ending:
        return []
    fleet.configured = event.generation
    fleet.signal_pool = event.signal_pool
    present = {table.name: table for table in fleet.tables if not table.is_ending}
    commands: list[Command] = []
    for name, plan in event.plans.items():
        if name in present:
            present[name].standing = Standing.STAYING
            commands += _tell(present[name], now, Planned(event.generation, plan))
        else:
            fleet.tables.append(Table(plan, name, event.generation, fleet.serials))
            commands += _tell(fleet.tables[-1], now, Tick())
    for name, table in present.items():
        if name not in event.plans:
            table.standing = Standing.LEAVING
    return commands


def _config_refused(fleet: Fleet, now: float, event: ConfigRefused) -> list[Command]:
    end = "" if event.reason.endswith(("?", ".")) else "."
    text = f"{event.reason}{end} The old configuration and its workers go on."
    return [error(text, event.details)]


# After every event


def _look_after(fleet: Fleet, now: float) -> list[Command]:
    """What follows from the state that the pools are in now, however they came into it."""
    commands: list[Command] = []
    if not fleet.is_ending:
        commands = [
            *_give_up_hopeless(fleet, now),
            *_send_off_leaving(fleet, now),
            *_show_who_is_down(fleet),
        ]
    fleet.tables = [table for table in fleet.tables if table.workers or not table.is_ending]
    if fleet.is_ending and not fleet.tables:
        commands.append(Finish(fleet.exit_status))
    return commands


def _give_up_hopeless(fleet: Fleet, now: float) -> list[Command]:
    """The server ends with a pool that cannot boot at its start. A pool that came later ends alone."""
    commands: list[Command] = []
    for table in fleet.having(Standing.STAYING, Standing.LEAVING):
        if not table.exit_status:
            continue
        if table.first == 0 and table.standing is Standing.STAYING:
            fleet.exit_status = table.exit_status
            whose = f"pool {table.name}" if table.name else "workers"
            reason = f"the first generation of {whose} cannot boot"
            return [*commands, error(f"Stopping: {reason}"), *_quit_all(fleet, now, reason)]
        reason = "no worker of this pool could boot"
        commands.append(_named(table, error(f"Given up until the next HUP: {reason}")))
        commands += [Forget(table.name), *_tell(table, now, Quit(reason, table.exit_status))]
    return commands


def _send_off_leaving(fleet: Fleet, now: float) -> list[Command]:
    """A pool that is not configured any more ends when no worker is left that would send it a request."""
    staying = fleet.having(Standing.STAYING)
    if not staying or any(table.settled != fleet.configured for table in staying):
        return []
    commands: list[Command] = []
    for table in fleet.having(Standing.LEAVING):
        stop = Stop("its pool is not configured any more")
        fleet.shown_down.add(
            table.name
        )  # before its workers end, or they would leave clients behind
        commands += [ShowPool(table.name, False), Forget(table.name), *_tell(table, now, stop)]
    return commands


def _show_who_is_down(fleet: Fleet) -> list[Command]:
    """Tell the workers of each pool that can or cannot be counted on, when that has changed."""
    up = {table.name for table in fleet.tables if not table.is_ending and not table.is_down}
    down = {table.name for table in fleet.tables} - up
    commands: list[Command] = [ShowPool(name, False) for name in sorted(down - fleet.shown_down)]
    commands += [ShowPool(name, True) for name in sorted(up & fleet.shown_down)]
    fleet.shown_down = (fleet.shown_down | down) - up
    return commands


_HANDLERS: dict[type[Any], Callable[[Fleet, float, Any], list[Command]]] = {
    Tick: _tick,
    Signalled: _signalled,
    Configured: _configured,
    ConfigRefused: _config_refused,
    Forked: _of_worker,
    ForkFailed: _of_worker,
    Unborn: _of_worker,
    Said: _said,
    Died: _of_worker,
}
