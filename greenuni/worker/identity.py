"""What makes a forked child a worker: its signals, its environment, its user, its name."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Callable
from types import FrameType

from greenuni.arbiter.identity import UNCHANGED, group_id, user_id
from greenuni.arbiter.title import set_title
from greenuni.config import Config
from greenuni.errors import ConfigError

WORKER_ID = "GREENUNI_WORKER_ID"
POOL = "GREENUNI_POOL"  # set when there are several pools
_ARBITERS_ONLY = (
    signal.SIGHUP,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


def set_boot_signals(reopen_logs: Callable[[], None]) -> None:
    """The handlers before the shell serves; it has its own for TERM, INT, QUIT and USR1.

    TERM and INT have their default action, which the kernel carries out even while an import is stuck
    in C code. QUIT's default would dump core.
    """

    def quit_at_once(number: int, frame: FrameType | None) -> None:
        os._exit(0)

    def reopen(number: int, frame: FrameType | None) -> None:
        reopen_logs()

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, quit_at_once)
    signal.signal(signal.SIGUSR1, reopen)
    for number in _ARBITERS_ONLY:
        # A terminal sends some of these to the whole process group. SIG_IGN would be passed on to
        # the programs that the application starts; a handler is not.
        signal.signal(number, _ignore)
        signal.siginterrupt(number, False)


def set_exit_signals() -> None:
    """After the shell has returned: the end is under way, and the arbiter kills when time is up.

    Handlers would not do: the interpreter takes them down while it finalizes, and QUIT would dump core.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Meant for the arbiter."""


def set_environment(config: Config) -> None:
    """What the application is to find in its environment, before and after the fork."""
    for pair in config.raw_env:
        name, _, value = pair.partition("=")
        os.environ[name] = value
    os.environ.pop(POOL, None)  # a server that a worker started is not in its pool
    if config.pool:
        os.environ[POOL] = config.pool


def become_worker(config: Config, number: int) -> None:
    """Take on number, name, umask and user. Raises ``ConfigError`` if the user cannot be changed."""
    os.environ[WORKER_ID] = str(number)
    set_title("worker", config)  # before the change of user, which may take /proc/self away
    if config.umask:  # 0 is gunicorn's default, and would open the application's files to everybody
        os.umask(config.umask)
    _change_user(config)


def _change_user(config: Config) -> None:
    """Drop to ``user`` and ``group``; a user alone brings its own groups along."""
    uid, gid = user_id(config.user), group_id(config.group)
    account = _account(uid)
    if gid == UNCHANGED and account is not None:
        gid = account.pw_gid
    if os.geteuid() != 0:
        if uid not in (UNCHANGED, os.geteuid()) or gid not in (UNCHANGED, os.getegid()):
            raise ConfigError(
                f"--user and --group need root: this server runs as user {os.geteuid()}"
            )
        return
    if gid != UNCHANGED:
        os.setgid(gid)
    if account is not None:
        os.initgroups(account.pw_name, gid)
    elif uid != UNCHANGED:
        os.setgroups([])
    if uid != UNCHANGED:
        os.setuid(uid)


def _account(uid: int) -> pwd.struct_passwd | None:
    """The entry of a user, if there is one: a container may run under a number that nobody knows."""
    if uid == UNCHANGED:
        return None
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
