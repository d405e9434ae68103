"""How a process calls itself in ``ps``."""

from __future__ import annotations

import importlib

from greenuni.config import Config

try:
    setproctitle = importlib.import_module("setproctitle").setproctitle
except ImportError:  # the extra "title" is not installed
    setproctitle = None

COMM_FILE = "/proc/self/comm"
COMM_LENGTH = 15  # bytes; the kernel keeps no more


def set_title(role: str, config: Config) -> None:
    """Name this process ``greenuni: role [name]``, a worker of one of several pools after that as well.

    Without setproctitle only the short name of Linux can be set, which ``ps -o comm`` and ``top`` show.
    """
    pools = ", ".join(pool.pool for pool in config.pools)
    name = config.proc_name or config.served or pools
    role = f"{role} {config.pool}".rstrip()
    title = f"greenuni: {role} [{name}]" if name else f"greenuni: {role}"
    if setproctitle is not None:
        setproctitle(title)
        return
    try:
        with open(COMM_FILE, "wb", buffering=0) as comm:
            comm.write(title.encode("utf-8", "replace")[:COMM_LENGTH])
    except OSError:  # not Linux, or /proc is hidden: a title is a courtesy
        return
