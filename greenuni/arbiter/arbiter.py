"""The arbiter's life: start, loop, end. What it decides is in `fleet`, what it does in `effects`."""

from __future__ import annotations

import gc
import logging
import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

from greenuni import build
from greenuni.arbiter.children import Children
from greenuni.arbiter.effects import BecomeMold, BecomeWorker, Effects, Setup, announce
from greenuni.arbiter.events import Event, Signalled, Tick, of_pool
from greenuni.arbiter.fleet import Fleet, direct, next_deadline
from greenuni.arbiter.inherited import Inherited
from greenuni.arbiter.mold import MoldSeat, Preload, run_mold
from greenuni.arbiter.orphans import INIT_PID, adopt_orphans
from greenuni.arbiter.preload import Preloaded, preload_pools
from greenuni.arbiter.signals import SignalPipe, StoppedEarly
from greenuni.arbiter.table import counted
from greenuni.arbiter.title import set_title
from greenuni.config import Config
from greenuni.errors import GreenuniError
from greenuni.observe import Logs

LoadConfig = Callable[[], Config]


def run(
    load_config: LoadConfig,
    run_worker: Callable[[Inherited], NoReturn],
    preload: Preload,
) -> int:
    """Supervise until told to stop; returns the exit status of the server.

    ``preload`` loads the application of a pool that says ``preload_app``, in the mold that its workers are
    forked from. In a worker ``run_worker`` is called instead of returning. In both all frames of the
    arbiter are gone.
    Raises ``ConfigError`` when the first configuration or its logs cannot be used: there is no log to
    write that to. Whatever goes wrong later is logged.
    """
    outcome = _supervise(load_config, preload)
    if isinstance(outcome, MoldSeat):
        outcome = run_mold(outcome, preload)
    if isinstance(outcome, Inherited):
        run_worker(outcome)
    return outcome


def _supervise(load_config: LoadConfig, preload: Preload) -> int | Inherited | MoldSeat:
    with ExitStack() as owned:
        try:
            signals = SignalPipe()
            owned.callback(signals.close)
            config = load_config()
            if config.chdir:  # relative paths of logs, pid file and Unix sockets start there
                os.chdir(config.chdir)
            logs = Logs(config)
            return _serve(config, logs, signals, owned, load_config, preload)
        except StoppedEarly as stopped:
            logging.getLogger("greenuni.error").info("Stopped by %s before it served", stopped)
            return 0
        except BecomeWorker as birth:
            owned.pop_all()  # all that belongs to the arbiter, which this process is not any more
            return birth.inherited
        except BecomeMold as birth:
            owned.pop_all()
            return birth.seat


def _serve(
    config: Config,
    logs: Logs,
    signals: SignalPipe,
    owned: ExitStack,
    load_config: LoadConfig,
    preload: Preload,
) -> int:
    """Start and loop; ``owned`` gets what must be undone at the end."""
    _introduce(config, logs)
    try:
        if config.pidfile:
            from greenuni.arbiter.pidfile import PidFile  # takes tempfile, half a megabyte

            pidfile = PidFile(config.pidfile)
            pidfile.write()
            owned.callback(pidfile.remove)
        setup = Setup.open(config)
        owned.callback(setup.close)
        announce(logs.error, setup.listeners.values())
        preloaded = _preload_here(config, preload, logs)
    except GreenuniError as error:
        details = getattr(error, "details", "")
        logs.error.error("%s%s", error, f"\n{details.rstrip()}" if details else "")
        return error.exit_status
    # A preloaded application may have children of its own, and wait for them itself.
    children = Children(adopts=not preloaded or os.getpid() == INIT_PID)
    owned.callback(children.close)
    effects = Effects(setup, logs, signals, load_config, preloaded, children)
    owned.callback(effects.close)
    # Without this the first collection in a worker would write to every object's header, and have a copy
    # of what it shares with the others.
    gc.collect()
    gc.freeze()
    fleet = Fleet(setup.plans(preloaded), config.signal_pool)
    return _loop(fleet, effects, children, signals)


def _preload_here(config: Config, preload: Preload, logs: Logs) -> dict[str, Preloaded]:
    """Where molds cannot be had, the arbiter itself loads what is to be preloaded. Raises `GreenuniError`."""
    if not any(pool.preload_app for pool in config.each_pool) or adopt_orphans():
        return {}
    logs.error.warning("--preload: HUP does not load the application again on this system")
    return preload_pools(config, preload, logs.error)


def _introduce(config: Config, logs: Logs) -> None:
    set_title("arbiter", config)
    logs.error.info("Starting %s", build.summary())
    for note in config.notes:
        logs.error.warning("%s", note)
    for pool in config.pools:
        logs.error.info("%s", of_pool(pool.pool, _intention(pool)))
    # All that are automatic have the same number.
    arithmetic = {pool.workers_arithmetic for pool in config.each_pool} - {""}
    for line in arithmetic:
        logs.error.info("workers=auto: %s", line)


def _intention(pool: Config) -> str:
    """What a pool is to be, for the banner: ``api.main:app at /api, 2 workers``."""
    places = [pool.mount] if pool.mount is not None else list(map(str, pool.addresses))
    return f"{pool.served} at {', '.join(places)}, {counted(pool.workers, 'worker')}"


def _loop(fleet: Fleet, effects: Effects, children: Children, signals: SignalPipe) -> int:
    children.watch(signals.reader)
    signals.begin_loop()
    events: list[Event] = [Tick()]
    while True:
        _act_on(events, fleet, effects)
        if effects.status is not None:
            return effects.status
        due = next_deadline(fleet, time.monotonic())
        events = children.wait(_milliseconds_until(due))
        events += [Signalled(number) for number in signals.take() if number != signal.SIGCHLD]
        events += children.reap()
        if due is not None and time.monotonic() >= due:
            events.append(Tick(children.readings(), due))


def _act_on(events: list[Event], fleet: Fleet, effects: Effects) -> None:
    """Decide on all of them; what comes of a command is decided upon before what happened later."""
    waiting = deque(events)
    while waiting and effects.status is None:
        for command in direct(fleet, time.monotonic(), waiting.popleft()):
            waiting.extendleft(reversed(effects.carry_out(command)))


def _milliseconds_until(due: float | None) -> int | None:
    if due is None:
        return None
    return max(0, math.ceil((due - time.monotonic()) * 1000))
