"""The end of a worker, told truly: who sent the signal, and "out of memory" only when the kernel says so."""

import os
import signal
from typing import NamedTuple

# What a worker ends with by itself after ABRT and its dump, instead of a core dump, which could take
# longer than it has.
ABORTED_STATUS = 128 + signal.SIGABRT
OOM_COUNTER = "oom_kill"  # the line of memory.events (v2) and memory.oom_control (v1)


class Sent(NamedTuple):
    """The last signal that the arbiter sent to a worker; ``reason`` completes "because ..."."""

    signal: signal.Signals
    reason: str
    at: float  # time.monotonic() seconds


class Exit(NamedTuple):
    """How a process ended: by itself with ``status``, or by signal ``number``.

    Neither is known when somebody else in this process has waited for it.
    """

    status: int | None = None
    number: int | None = None
    core_dumped: bool = False
    out_of_memory: bool = False

    @classmethod
    def from_wait_status(cls, wait_status: int, out_of_memory: bool = False) -> "Exit":
        """From what ``waitpid`` returned."""
        if os.WIFSIGNALED(wait_status):
            number = os.WTERMSIG(wait_status)
            return cls(None, number, os.WCOREDUMP(wait_status), out_of_memory)
        return cls(os.waitstatus_to_exitcode(wait_status))

    @property
    def is_clean(self) -> bool:
        """Whether the process ended by itself with status 0."""
        return self.status == 0


def describe(exit: Exit, sent: Sent | None) -> str:
    """The cause, as the end of a sentence that begins with the worker: "was ended by SIGKILL, ..."."""
    if exit.number is None and exit.status is None:
        return "has ended, and its exit status was taken by other code in the arbiter's process"
    if exit.status == ABORTED_STATUS and (sent is None or sent.signal != signal.SIGABRT):
        return "was ended by SIGABRT, which this server did not send"
    if exit.number is None:
        cause = f"ended with exit status {exit.status}"
        return f"{cause} after {sent.signal.name}, because {sent.reason}" if sent else cause
    cause = f"was ended by {signal_name(exit.number)}"
    if sent is not None and sent.signal == exit.number:
        cause += f", sent because {sent.reason}"
    elif exit.out_of_memory:
        cause += ": out of memory, says the kernel's oom_kill counter of its cgroup"
    elif exit.number == signal.SIGKILL:
        cause += ", which this server did not send"
    if exit.core_dumped:
        cause += " (core dumped)"
    return cause


def signal_name(number: int) -> str:
    """ "SIGKILL", or "signal 34" where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class OomCounter:
    """How often the kernel has killed a process of our cgroup for want of memory.

    Reads ``memory.events`` of cgroup v2 or ``memory.oom_control`` of v1. Where neither is there, nothing
    ever counts as out of memory.
    """

    def __init__(self, file: str | None) -> None:
        self._file = file
        self._accounted = self._read()

    def take(self) -> bool:
        """Whether there was a kill that nobody has taken yet; takes one."""
        if self._read() <= self._accounted:
            return False
        self._accounted += 1
        return True

    def forget(self) -> None:
        """What has been counted until now concerned none of our workers."""
        self._accounted = self._read()

    def _read(self) -> int:
        if self._file is None:
            return 0
        try:
            lines = _lines(self._file)
        except OSError:  # the cgroup may be remounted or hidden at any time
            return 0
        for line in lines:
            name, _, value = line.partition(" ")
            if name == OOM_COUNTER and value.isdigit():
                return int(value)
        return 0

    def __repr__(self) -> str:
        return f"<OomCounter {self._file} at {self._accounted}>"


def find_oom_file(
    membership: str = "/proc/self/cgroup", mounted: str = "/sys/fs/cgroup"
) -> str | None:
    """The file that holds our cgroup's oom_kill counter, if this machine has one.

    ``membership`` has lines ``hierarchy:controllers:path``; version 2 is hierarchy 0. Inside a container
    the path may be the host's while the container's own group is mounted at the root.
    """
    try:
        lines = _lines(membership)
    except OSError:
        return None
    candidates: list[str] = []
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if "memory" in controllers.split(","):
            root = os.path.join(mounted, "memory")
            candidates += [os.path.join(root, at, "memory.oom_control") for at in (inside, "")]
        elif hierarchy == "0" and not controllers:
            for root in (mounted, os.path.join(mounted, "unified")):
                candidates += [os.path.join(root, at, "memory.events") for at in (inside, "")]
    return next((file for file in candidates if _has_counter(file)), None)


def _has_counter(file: str) -> bool:
    try:
        return any(line.startswith(f"{OOM_COUNTER} ") for line in _lines(file))
    except OSError:
        return False


def _lines(file: str) -> list[str]:
    with open(file, encoding="utf-8") as opened:
        return opened.read().splitlines()
