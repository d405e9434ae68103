"""The ``greenuni`` command: read the configuration, then print it, check it, or hand over to the arbiter.

Exit status: 0 after an orderly end, 1 when the server cannot run (an address is taken ...), 2 for a mistake
in the configuration, 3 when the application cannot be loaded or started.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from greenuni.config import (
    Config,
    asks_for,
    check_applicable,
    check_outputs,
    read_config,
    render_config,
    render_given,
)
from greenuni.config.usage import USAGE
from greenuni.errors import ConfigError, GreenuniError
from greenuni.shell import Application

WINDOWS = (
    "Greenuni forks its workers, which Windows cannot: run it under WSL or in a Linux container"
)

BY_SIGNAL = 128  # and the number of the signal, as shells have it


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command with ``arguments``, else those of the process. Ends the process."""
    command = Command(sys.argv[1:] if arguments is None else arguments)
    try:
        if sys.platform == "win32":
            raise ConfigError(WINDOWS)
        status = command.run()
    except GreenuniError as error:
        complain(error)
        status = error.exit_status
    sys.exit(status)


def show_notes(config: Config) -> None:
    """What the arbiter would log about the sources of the settings."""
    for note in config.notes:
        print(f"greenuni: note: {note}", file=sys.stderr)


def complain(error: GreenuniError) -> None:
    """Show a mistake: what the user's code raised, if it did, then one sentence."""
    details = getattr(error, "details", "")
    if details:
        print(details.rstrip(), file=sys.stderr)
    print(f"greenuni: error: {error}", file=sys.stderr)


def load_here(config: Config) -> Application:
    """Load the application in this process as a worker would in its own. Raises `GreenuniError`."""
    from greenuni.worker.applications import load_application

    app = load_application(config)
    check_applicable(config, *app.interfaces)
    return app


def preload(config: Config) -> Application:
    """Load the application for workers that are forked from this process. Raises `GreenuniError`."""
    from greenuni.worker.preloading import preload_application

    return preload_application(config)


class Command:
    """One run of the command line, started in the current directory."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        self._directory = os.getcwd()

    def __repr__(self) -> str:
        return f"<Command {' '.join(self._arguments)!r} in {self._directory!r}>"

    def run(self) -> int:
        """Do what is asked for; returns the exit status. Raises `GreenuniError`."""
        if asks_for("print_config", self._arguments, os.environ):
            return self._print_config()
        if asks_for("check_config", self._arguments, os.environ):
            return self._check_config()
        # These need a Unix, which reading the settings does not.
        from greenuni.arbiter import run
        from greenuni.worker import run_worker

        return run(self.load_config, run_worker, preload)

    def load_config(self) -> Config:
        """Read the configuration as it is now, at start and again at each HUP. Raises `ConfigError`."""
        config = self._read()
        if config.wsgi_app is None and not config.mounts and not config.pools:
            raise ConfigError("no application: name one, such as main:app", f"usage: {USAGE}")
        return config

    def _read(self) -> Config:
        return read_config(self._arguments, os.environ, self._directory)

    def _print_config(self) -> int:
        config = self._read()
        show_notes(config)
        print(render_config(config))
        return 0

    def _check_config(self) -> int:
        """Load the configuration and each application, and say what would run."""
        config = self.load_config()
        show_notes(config)
        check_outputs(config, self._directory)
        if not config.pools:
            app = load_here(config)
            print(f"configuration:\n{render_given(config)}")
            print(describe_check(config, app))
            return 0
        print(f"configuration:\n{render_given(config)}", flush=True)
        return max(in_a_child(functools.partial(check_pool, pool)) for pool in config.pools)


def describe_check(config: Config, app: Application) -> str:
    """What was found, and what would serve it where."""
    from greenuni.worker.hosting import describe_each

    workers = "1 worker" if config.workers == 1 else f"{config.workers} workers"
    places = ", ".join(map(str, config.addresses))
    found = [f"application: {what} is {kind}" for what, kind in describe_each(app, config)]
    it = "them" if app.mounted else "it"
    return "\n".join([*found, f"{workers} would serve {it} on {places}"])


def check_pool(pool: Config) -> None:
    """Load the application of one of several pools. Raises `GreenuniError`."""
    print(f"pool {pool.pool}:\n{render_given(pool)}", flush=True)
    print(describe_check(pool, load_here(pool)))


def in_a_child(check: Callable[[], None]) -> int:
    """Exit status of ``check`` in a process of its own: what pools import must not meet."""
    pid = os.fork()
    if pid:
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return ended if ended >= 0 else BY_SIGNAL - ended
    status = 0
    try:
        check()
    except GreenuniError as error:
        sys.stdout.flush()
        complain(error)
        status = error.exit_status
    sys.exit(status)
