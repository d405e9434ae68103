"""Carrying out what `decide` says: the only place where the arbiter changes anything but its table."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from greenuni.arbiter.children import Children
from greenuni.arbiter.events import (
    CloseListeners,
    Command,
    ConfigRefused,
    Configured,
    Event,
    Finish,
    Forked,
    ForkFailed,
    KeepPlaces,
    Log,
    ReloadConfig,
    ReopenLogs,
    Send,
    Settle,
    Spawn,
)
from greenuni.arbiter.inherited import Inherited
from greenuni.arbiter.listeners import Listener, open_listeners
from greenuni.arbiter.signals import SignalPipe
from greenuni.arbiter.table import Plan
from greenuni.arbiter.title import set_title
from greenuni.config import Address, Config
from greenuni.errors import GreenuniError
from greenuni.observe import Logs
from greenuni.shell import Application

RESTART_ONLY = ("chdir", "pidfile", "preload_app", "reuse_port")


class BecomeWorker(BaseException):
    """Raised in a forked child: unwind out of the arbiter, then be the worker of ``inherited``."""

    def __init__(self, inherited: Inherited) -> None:
        super().__init__(inherited)
        self.inherited = inherited


@dataclass(frozen=True)
class Setup:
    """What one generation of workers is given."""

    config: Config
    listeners: dict[Address, Listener]


class Effects:
    """Holds what the commands act upon. ``status`` is None until the server has ended."""

    def __init__(
        self,
        setup: Setup,
        logs: Logs,
        signals: SignalPipe,
        load_config: Callable[[], Config],
        application: Application | None,
        children: Children,
    ) -> None:
        self.status: int | None = None
        self._setups = {0: setup}
        self._logs = logs
        self._first_config = setup.config
        self._logged = setup.config  # whose log settings are in force
        self._signals = signals
        self._load_config = load_config
        self._application = application
        self._children = children
        self._pid = os.getpid()

    def carry_out(self, command: Command) -> list[Event]:
        """Do it; returns what came of it. In a forked child it raises `BecomeWorker`."""
        events: list[Event] = _ACTIONS[type(command)](self, command)
        return events

    def _spawn(self, command: Spawn) -> list[Event]:
        setup = self._setups[command.generation]
        try:
            listeners = [
                listener.for_place(command.number) for listener in setup.listeners.values()
            ]
            with self._signals.held():
                birth = self._children.fork(command.serial)
                if not isinstance(birth, int):
                    self._signals.leave_to_child()
        except (OSError, GreenuniError) as error:
            return [ForkFailed(command.serial, str(error))]
        if isinstance(birth, int):
            return [Forked(command.serial, birth)]
        for listener in self._all_listeners():
            listener.leave_to_child(keep=listeners)
        raise BecomeWorker(
            Inherited(
                number=command.number,
                generation=command.generation,
                config=setup.config,
                listeners=tuple(listeners),
                application=self._application,
                logs=self._logs,
                slot=birth.slot,
                siblings=birth.siblings,
                channel=birth.channel,
                lifeline=birth.lifeline,
                arbiter_pid=self._pid,
            )
        )

    def _send(self, command: Send) -> list[Event]:
        self._children.send(command.serial, command.signal)
        return []

    def _log(self, command: Log) -> list[Event]:
        text = f"{command.text}\n{command.details.rstrip()}" if command.details else command.text
        self._logs.error.log(command.level, "%s", text)
        return []

    def _reload_config(self, command: ReloadConfig) -> list[Event]:
        """Nothing of the running server changes unless all of the new configuration can be used."""
        current = {
            address: listener
            for setup in self._setups.values()
            for address, listener in setup.listeners.items()
        }
        try:
            config = self._load_config()
            listeners = open_listeners(config, current)
        except GreenuniError as error:
            return [_refused(error)]
        fresh = [listener for address, listener in listeners.items() if address not in current]
        try:
            self._use_logs_of(config)
        except GreenuniError as error:
            for listener in fresh:
                listener.close()
            self._go_back_to_logs_of(self._logged)
            return [_refused(error)]
        announce(self._logs.error, fresh)
        self._warn_of_what_stays(config)
        set_title("arbiter", config)
        self._setups[command.generation] = Setup(config, listeners)
        plan = dataclasses.replace(Plan.of(config), preload=self._application is not None)
        return [Configured(command.generation, plan)]

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

    def _reopen_logs(self, command: ReopenLogs) -> list[Event]:
        self._logs.reopen()
        return []

    def _settle(self, command: Settle) -> list[Event]:
        keep = self._setups[command.generation]
        for listener in self._all_listeners():
            if listener not in keep.listeners.values():
                listener.close()
        self._setups = {command.generation: keep}
        if self._logged is not keep.config:
            self._go_back_to_logs_of(keep.config)
        return []

    def _keep_places(self, command: KeepPlaces) -> list[Event]:
        for listener in self._all_listeners():
            listener.keep_places(command.count)
        return []

    def _close_listeners(self, command: CloseListeners) -> list[Event]:
        self.close_listeners()
        return []

    def close_listeners(self) -> None:
        """Stop listening. May be called again."""
        for listener in self._all_listeners():
            listener.close()

    def _finish(self, command: Finish) -> list[Event]:
        self.status = command.status
        return []

    def _all_listeners(self) -> list[Listener]:
        """Each once, though generations share them."""
        found = {
            id(listener): listener
            for setup in self._setups.values()
            for listener in setup.listeners.values()
        }
        return list(found.values())

    def __repr__(self) -> str:
        return f"<Effects generations={sorted(self._setups)} status={self.status}>"


_ACTIONS: dict[type[Any], Callable[[Effects, Any], list[Event]]] = {
    Spawn: Effects._spawn,
    Send: Effects._send,
    Log: Effects._log,
    ReloadConfig: Effects._reload_config,
    ReopenLogs: Effects._reopen_logs,
    Settle: Effects._settle,
    KeepPlaces: Effects._keep_places,
    CloseListeners: Effects._close_listeners,
    Finish: Effects._finish,
}


def _refused(error: GreenuniError) -> ConfigRefused:
    return ConfigRefused(
        f"the configuration cannot be used: {error}", getattr(error, "details", "")
    )


def announce(log: logging.Logger, listeners: Iterable[Listener]) -> None:
    """Say where we listen; the port is the real one where 0 was asked for."""
    for listener in listeners:
        log.info("Listening at: %s (%d)", listener.url, os.getpid())
