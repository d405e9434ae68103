"""How many workers ``auto`` is: what the scheduler and the cgroup really let this process use."""

import math
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

CGROUP_ROOT = "/sys/fs/cgroup"
OWN_CGROUPS = "/proc/self/cgroup"
CPU_CONTROLLERS = ("cpu,cpuacct", "cpu")  # the names under which version 1 is mounted


class Processors(NamedTuple):
    """``affinity`` is the number of CPUs we may run on, ``quota`` the CPU time a second, if limited."""

    affinity: int
    quota: float | None = None

    @property
    def workers(self) -> int:
        """One worker for each CPU that can really be used; a part of a CPU counts as one."""
        if self.quota is None:
            return max(1, self.affinity)
        return max(1, min(self.affinity, math.ceil(self.quota)))

    def arithmetic(self) -> str:
        """How the number comes about, for the banner."""
        usable = "1 CPU" if self.affinity == 1 else f"{self.affinity} CPUs"
        if self.quota is None:
            return f"{self.workers}, as there is no cgroup quota on {usable} by affinity"
        return f"{self.workers}, from {usable} by affinity and a cgroup quota of {self.quota:g}"


def usable_processors() -> Processors:
    """What this process may use now."""
    return Processors(_affinity(), cgroup_quota(OWN_CGROUPS, CGROUP_ROOT))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(own_cgroups: str, root: str) -> float | None:
    """The strictest CPU quota on the way from our cgroup to the root, in CPUs; None without one.

    ``own_cgroups`` is ``/proc/self/cgroup``: lines of ``number:controllers:path``, where version 2
    has the number 0 and no controllers. In a container the path may be the host's, of which only
    the root is visible; so every directory on the way is tried.
    """
    quotas = list(_quotas(own_cgroups, root))
    return min(quotas) if quotas else None


def _quotas(own_cgroups: str, root: str) -> Iterator[float]:
    for line in _lines(own_cgroups):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for mount in (root, os.path.join(root, "unified")):
                yield from _each_level(mount, path, _quota_of_version_2)
        elif "cpu" in controllers.split(","):
            for name in CPU_CONTROLLERS:
                yield from _each_level(os.path.join(root, name), path, _quota_of_version_1)


def _each_level(mount: str, path: str, read: Callable[[str], float | None]) -> Iterator[float]:
    """The quota of a cgroup and of each of its ancestors, where there is one."""
    names = [name for name in path.split("/") if name not in ("", "..")]
    for depth in range(len(names), -1, -1):
        quota = read(os.path.join(mount, *names[:depth]))
        if quota is not None:
            yield quota


def _quota_of_version_1(directory: str) -> float | None:
    """``cpu.cfs_quota_us`` is -1 without a limit."""
    quota = _lines(os.path.join(directory, "cpu.cfs_quota_us"))
    period = _lines(os.path.join(directory, "cpu.cfs_period_us"))
    return _ratio(quota[0], period[0]) if quota and period else None


def _quota_of_version_2(directory: str) -> float | None:
    """``cpu.max`` holds ``quota period`` in microseconds, or ``max period`` without a limit."""
    words = " ".join(_lines(os.path.join(directory, "cpu.max"))).split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _ratio(quota: str, period: str) -> float | None:
    try:
        microseconds, window = int(quota), int(period)
    except ValueError:  # "max"
        return None
    return microseconds / window if microseconds > 0 and window > 0 else None


def _lines(path: str) -> list[str]:
    """The lines of a file of the kernel's, none if it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []
