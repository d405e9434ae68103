"""``workers = auto``: affinity, and the CPU quota of both versions of cgroups."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.config import Config
from greenuni.config.processors import Processors, cgroup_quota, usable_processors

Read = Callable[..., Config]


@pytest.mark.parametrize(
    ("affinity", "quota", "workers"),
    [(4, None, 4), (4, 2.0, 2), (4, 1.5, 2), (4, 0.25, 1), (2, 8.0, 2), (1, None, 1)],
)
def test_lesser_of_affinity_and_quota_rounded_up(
    affinity: int, quota: float | None, workers: int
) -> None:
    processors = Processors(affinity, quota)
    assert processors.workers == workers
    assert processors.arithmetic().startswith(f"{workers}, ")


def test_arithmetic_is_a_sentence() -> None:
    assert Processors(1).arithmetic() == "1, as there is no cgroup quota on 1 CPU by affinity"
    assert Processors(8, 1.5).arithmetic() == "2, from 8 CPUs by affinity and a cgroup quota of 1.5"


def system(root: Path, own: str, files: dict[str, str]) -> float | None:
    """The quota on a machine whose /proc/self/cgroup and /sys/fs/cgroup hold this."""
    (root / "cgroup").write_text(own)
    for name, text in files.items():
        (root / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "sys" / name).write_text(text)
    return cgroup_quota(str(root / "cgroup"), str(root / "sys"))


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        # version 2: own group, an ancestor's stricter limit, no limit, a container that sees the root only
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a\n", {"a/cpu.max": "400000 100000\n", "cpu.max": "200000 100000\n"}, 2.0),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, None),
        ("0::/../../host\n", {"cpu.max": "300000 100000\n"}, 3.0),
        # version 1: with and without limit, in the mount of both controllers
        (
            "4:cpu,cpuacct:/a\n0::/x\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "250000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            "1:cpu:/host/path\n",
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"},
            2.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("2:cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "1000", "cpu/cpu.cfs_period_us": "1000"}, None),
        # nothing there, or nothing that makes sense
        ("0::/a\n", {}, None),
        ("0::/a\n", {"a/cpu.max": "garbage\n"}, None),
        ("0::/a\n", {"a/cpu.max": "100000 0\n"}, None),
        ("\n", {}, None),
    ],
)
def test_quota(own: str, files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    assert system(tmp_path, own, files) == quota


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert cgroup_quota(str(tmp_path / "none"), str(tmp_path / "sys")) is None


def test_this_process_is_counted(read: Read) -> None:
    config = read("-w", "auto")
    assert config.workers == usable_processors().workers
    assert 1 <= config.workers <= (os.cpu_count() or 1)
    assert config.workers_arithmetic.startswith(f"{config.workers}, ")
    assert read("-w", "2").workers_arithmetic == ""
