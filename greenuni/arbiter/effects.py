"""Carrying out what `decide` says: the only place where the arbiter changes anything but its table."""

import functools
import logging
import os
import socket
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple

from greenuni.arbiter.children import Children
from greenuni.arbiter.events import (
    CloseListeners,
    Command,
    ConfigRefused,
    Configured,
    Event,
    Finish,
    Forget,
    Forked,
    ForkFailed,
    ForkNobody,
    KeepPlaces,
    Log,
    ReloadConfig,
    ReopenLogs,
    Send,
    Settle,
    ShowPool,
    Spawn,
    of_pool,
)
from greenuni.arbiter.inherited import Inherited
from greenuni.arbiter.links import Link, close_links, open_links, pools_of
from greenuni.arbiter.listeners import Listener, close_all, open_listeners
from greenuni.arbiter.mold import MoldSeat
from greenuni.arbiter.molds import Mold, MoldEnds, Molds, fork_mold
from greenuni.arbiter.orphans import adopt_orphans
from greenuni.arbiter.preload import Preloaded
from greenuni.arbiter.signals import SignalPipe
from greenuni.arbiter.table import Plan
from greenuni.arbiter.title import set_title
from greenuni.config import Address, Config
from greenuni.errors import GreenuniError
from greenuni.observe import Logs
from greenuni.shell import Pools

RESTART_ONLY = ("chdir", "pidfile", "reuse_port")


class BecomeWorker(BaseException):
    """Raised in a forked child: unwind out of the arbiter, then be the worker of ``inherited``."""

    def __init__(self, inherited: Inherited) -> None:
        super().__init__(inherited)
        self.inherited = inherited


class BecomeMold(BaseException):
    """Raised in a forked child: unwind out of the arbiter, then be the mold that has ``seat``."""

    def __init__(self, seat: MoldSeat) -> None:
        super().__init__(seat)
        self.seat = seat


class Setup(NamedTuple):
    """What one generation of workers is given. ``users`` are the pools that may yet be forked from it."""

    config: Config
    listeners: dict[Address, Listener]
    links: dict[str, Link]
    users: set[str]

    @classmethod
    def open(cls, config: Config, others: Iterable["Setup"] = ()) -> "Setup":
        """Open what a configuration needs and ``others`` do not have. Raises `GreenuniError`."""
        listeners = {
            address: found for other in others for address, found in other.listeners.items()
        }
        links = {name: link for other in others for name, link in other.links.items()}
        opened = open_listeners(config, listeners)
        try:
            linked = open_links(config, links)
        except GreenuniError:
            close_all({at: new for at, new in opened.items() if at not in listeners})
            raise
        return cls(config, opened, linked, {pool.pool for pool in config.each_pool})

    def close(self) -> None:
        """Close all of it. Harmless if that has been done."""
        close_all(self.listeners)
        close_links(self.links.values())

    def config_of(self, pool: str) -> Config:
        """What holds for the workers of a pool."""
        return next(config for config in self.config.each_pool if config.pool == pool)

    def listeners_of(self, pool: str) -> list[Listener]:
        """What the workers of a pool accept from."""
        return [self.listeners[at] for at in dict.fromkeys(self.config_of(pool).addresses)]

    def plans(self, preloaded: Container[str]) -> dict[str, Plan]:
        """What the arbiter itself needs of it, by pool."""
        return {
            config.pool: Plan.of(config)._replace(preload=config.pool in preloaded)
            for config in self.config.each_pool
        }


class Effects:
    """Holds what the commands act upon. ``status`` is None until the server has ended."""

    def __init__(
        self,
        setup: Setup,
        logs: Logs,
        signals: SignalPipe,
        load_config: Callable[[], Config],
        preloaded: Mapping[str, Preloaded],
        children: Children,
    ) -> None:
        """``preloaded`` is by pool."""
        self.status: int | None = None
        self._setups = {0: setup}
        self._logs = logs
        self._first_config = setup.config
        self._logged = setup.config  # whose log settings are in force
        self._signals = signals
        self._load_config = load_config
        self._preloaded = preloaded
        self._children = children
        self._pid = os.getpid()
        self._adopts_orphans: bool | None = None  # not tried yet
        self._molds = Molds(
            children, lambda: self._logs.error, self._make_mold, self._listeners_for
        )

    def carry_out(self, command: Command) -> list[Event]:
        """Do it; returns what came of it. In a forked child it raises `BecomeWorker` or `BecomeMold`."""
        events: list[Event] = _ACTIONS[type(command)](self, command)
        return events

    def _spawn(self, command: Spawn) -> list[Event]:
        config = self._setups[command.generation].config_of(command.pool)
        try:
            if self._uses_mold(config):
                return self._molds.spawn(command)
            return self._fork(command, config)
        except (OSError, GreenuniError) as error:
            return [ForkFailed(command.serial, str(error))]

    def _fork(self, command: Spawn, config: Config) -> list[Event]:
        listeners = self._listeners_for(command)
        with self._signals.held():
            birth = self._children.fork(command.serial, _crowd_of(config))
            if not isinstance(birth, int):
                self._signals.leave_to_child()
        if isinstance(birth, int):
            return [Forked(command.serial, birth)]
        inherit = self._inheritance(command.generation, command.pool)
        preloaded = self._preloaded.get(command.pool)
        inherited = inherit(
            number=command.number,
            listeners=tuple(listeners),
            application=preloaded.take() if preloaded else None,
            slot=birth.slot,
            siblings=birth.siblings,
            channel=birth.channel,
        )
        self._leave_to_child(listeners, inherited.pools)
        raise BecomeWorker(inherited)

    def _listeners_for(self, command: Spawn) -> list[socket.socket]:
        setup = self._setups[command.generation]
        return [listener.for_place(command.number) for listener in setup.listeners_of(command.pool)]

    def _inheritance(self, generation: int, pool: str) -> functools.partial[Inherited]:
        """The record of a worker, but for what each has of its own."""
        setup = self._setups[generation]
        return functools.partial(
            Inherited,
            generation=generation,
            config=setup.config_of(pool),
            pools=pools_of(setup.config, setup.links, pool),
            logs=self._logs,
            lifeline=self._children.lifeline,
            arbiter_pid=self._pid,
        )

    def _leave_to_child(self, listeners: list[socket.socket], pools: Pools) -> None:
        """Close in a child what is not for it."""
        for listener in self._all_listeners():
            listener.leave_to_child(keep=listeners)
        for link in self._all_links():
            link.leave_to_child(pools)
        self._molds.leave_to_child()

    # Preloading

    def _uses_mold(self, config: Config) -> bool:
        """Whether a mold forks the pool's workers; where there can be none, the arbiter preloads."""
        if not config.preload_app or config.pool in self._preloaded:
            return False
        if self._adopts_orphans is None:
            self._adopts_orphans = adopt_orphans()
        return self._adopts_orphans

    def _make_mold(self, generation: int, pool: str) -> Mold:
        config = self._setups[generation].config_of(pool)
        board, crowd = self._children.board, _crowd_of(config)
        board.siblings(0, crowd)  # what it is in must be shared before the fork
        with self._signals.held():
            made = fork_mold(generation, pool, os.fork)
            if isinstance(made, MoldEnds):
                self._signals.leave_to_child()
        if isinstance(made, Mold):
            return made
        inherit = self._inheritance(generation, pool)
        self._children.leave_to_child()
        self._leave_to_child([], inherit.keywords["pools"])
        raise BecomeMold(
            MoldSeat(config, self._logs, board, crowd, made.casts, made.channel, self._pid, inherit)
        )

    # The rest

    def _send(self, command: Send) -> list[Event]:
        events = self._molds.send(command.serial, command.signal)
        if events is None:
            self._children.send(command.serial, command.signal)
        return events or []

    def _log(self, command: Log) -> list[Event]:
        text = f"{command.text}\n{command.details.rstrip()}" if command.details else command.text
        self._logs.error.log(command.level, "%s", text)
        return []

    def _reload_config(self, command: ReloadConfig) -> list[Event]:
        """Nothing of the running server changes unless all of the new configuration can be used."""
        known = self._all_listeners()
        try:
            setup = Setup.open(self._load_config(), self._setups.values())
        except GreenuniError as error:
            return [_refused(error)]
        self._setups[command.generation] = setup
        try:
            self._use_logs_of(setup.config)
        except GreenuniError as error:
            setup.users.clear()
            self._close_unused()
            self._go_back_to_logs_of(self._logged)
            return [_refused(error)]
        announce(self._logs.error, [new for new in self._all_listeners() if new not in known])
        self._warn_of_what_stays(setup.config)
        set_title("arbiter", setup.config)
        plans = setup.plans(self._preloaded)
        return [Configured(command.generation, plans, setup.config.signal_pool)]

    def _use_logs_of(self, config: Config) -> None:
        """Open the logs anew: the files behind the same settings may have changed as well."""
        self._logs = Logs(config)
        self._logged = config

    def _go_back_to_logs_of(self, config: Config) -> None:
        """Log as before. Without any log of ours Python itself writes to standard error."""
        try:
            self._use_logs_of(config)
        except GreenuniError as error:
            self._logs.error.error("The logs cannot be opened again: %s", error)

    def _warn_of_what_stays(self, config: Config) -> None:
        for name in RESTART_ONLY:
            if getattr(config, name) != getattr(self._first_config, name):
                self._logs.error.warning("A new value of %s needs a restart", name)
        for pool in config.each_pool:
            if pool.preload_app is not (pool.pool in self._preloaded or self._uses_mold(pool)):
                text = of_pool(pool.pool, "A new value of preload_app needs a restart")
                self._logs.error.warning("%s", text)

    def _reopen_logs(self, command: ReopenLogs) -> list[Event]:
        self._logs.reopen()
        self._molds.reopen_logs()
        return []

    def _settle(self, command: Settle) -> list[Event]:
        for generation, setup in self._setups.items():
            if generation != command.generation:
                setup.users.discard(command.pool)
        self._close_unused()
        return []

    def _forget(self, command: Forget) -> list[Event]:
        for setup in self._setups.values():
            setup.users.discard(command.pool)
        self._close_unused()
        return []

    def _close_unused(self) -> None:
        """Drop the setups that nobody is forked from any more, and close what was only theirs."""
        listeners, links = self._all_listeners(), self._all_links()
        self._setups = {at: setup for at, setup in self._setups.items() if setup.users}
        setups = self._setups.values()
        used = [
            found for setup in setups for pool in setup.users for found in setup.listeners_of(pool)
        ]
        for listener in listeners:
            if listener not in used:
                listener.close()
        close_links(set(links) - set(self._all_links()))
        self._molds.keep(self._may_fork)
        if self._setups and all(setup.config is not self._logged for setup in setups):
            self._go_back_to_logs_of(self._setups[max(self._setups)].config)

    def _may_fork(self, generation: int, pool: str) -> bool:
        """Whether a worker of that pool and generation can still be wanted."""
        return generation in self._setups and pool in self._setups[generation].users

    def _show_pool(self, command: ShowPool) -> list[Event]:
        for setup in self._setups.values():
            if command.pool in setup.links:
                setup.links[command.pool].show(command.is_up)
        return []

    def _keep_places(self, command: KeepPlaces) -> list[Event]:
        for listener in self._all_listeners():
            listener.keep_places(command.places)
        return []

    def _fork_nobody(self, command: ForkNobody) -> list[Event]:
        for link in self._all_links():
            link.show(False)
        self._molds.close()
        return []

    def _close_listeners(self, command: CloseListeners) -> list[Event]:
        for listener in self._all_listeners():
            listener.close()
        return []

    def close(self) -> None:
        """Give everything up that is held for workers. May be called again."""
        self._molds.close()
        for setup in self._setups.values():
            setup.close()

    def _finish(self, command: Finish) -> list[Event]:
        self.status = command.status
        return []

    def _all_listeners(self) -> list[Listener]:
        """Each once, though generations share them."""
        setups = self._setups.values()
        return list(
            {id(found): found for setup in setups for found in setup.listeners.values()}.values()
        )

    def _all_links(self) -> list[Link]:
        """Each once, though generations share them."""
        return list({link for setup in self._setups.values() for link in setup.links.values()})

    def __repr__(self) -> str:
        return f"<Effects generations={sorted(self._setups)} status={self.status}>"


_ACTIONS: dict[type[Any], Callable[[Effects, Any], list[Event]]] = {
    Spawn: Effects._spawn,
    Send: Effects._send,
    Log: Effects._log,
    ReloadConfig: Effects._reload_config,
    ReopenLogs: Effects._reopen_logs,
    Settle: Effects._settle,
    Forget: Effects._forget,
    ShowPool: Effects._show_pool,
    KeepPlaces: Effects._keep_places,
    ForkNobody: Effects._fork_nobody,
    CloseListeners: Effects._close_listeners,
    Finish: Effects._finish,
}


def _crowd_of(config: Config) -> str:
    """The name of those who accept from the same listeners; see `Children.fork`."""
    return config.pool if config.mount is None else ""


def _refused(error: GreenuniError) -> ConfigRefused:
    return ConfigRefused(
        f"the configuration cannot be used: {error}", getattr(error, "details", "")
    )


def announce(log: logging.Logger, listeners: Iterable[Listener]) -> None:
    """Say where we listen; the port is the real one where 0 was asked for."""
    for listener in listeners:
        text = of_pool(listener.pool, f"Listening at: {listener.url} ({os.getpid()})")
        log.info("%s", text)
