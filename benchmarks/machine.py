"""The machine: two CPUs, the load generators, and a description for the report."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands import BenchError, apt_install, output
from environment import ROOT, Bench

OPENLOAD_SOURCE = Path(__file__).resolve().parent / "openload.c"

# Packages that decide what a server costs, printed with the result when they are installed.
NOTABLE = (
    "greenuni",
    "bjoern",
    "granian",
    "gunicorn",
    "gunicorn_h1c",
    "uvicorn",
    "hypercorn",
    "waitress",
    "cython",
    "h11",
    "httptools",
    "uvloop",
    "anyio",
    "flask",
    "fastapi",
    "starlette",
)


@dataclass(frozen=True)
class Cpus:
    """The CPU of the servers and the CPU of the load."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """There is only one CPU, so the load's work disturbs the server's."""
        return self.server == self.load


def choose_cpus() -> Cpus:
    """The first two CPUs that this process may run on; the same one twice when there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cpus(server=allowed[0], load=allowed[-1] if len(allowed) < 2 else allowed[1])


@contextmanager
def pinned_to(cpu: int | None) -> Iterator[None]:
    """Processes started inside run on ``cpu`` only (None: on all): affinity is inherited."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def find_wrk() -> str:
    """The path of wrk. Raises ``BenchError`` as ``find_tool``."""
    return find_tool("wrk", "wrk", "the load generator")


def find_tool(program: str, package: str, purpose: str) -> str:
    """A program's path, installed with apt when we are root. Raises ``BenchError`` without it."""
    found = shutil.which(program)
    if found:
        return found
    problem = apt_install(package)
    found = shutil.which(program)
    if found:
        return found
    raise BenchError(f"{program}, {purpose}, is missing (Debian: apt install {package}); {problem}")


def build_openload(directory: Path) -> str:
    """Compile ``openload.c``; return the program's path. Raises ``BenchError``."""
    program = directory / "openload"
    compiler = find_compiler()
    if compiler is None:
        raise BenchError("openload, the client with a fixed rate, needs a C compiler")
    if not program.exists() or program.stat().st_mtime < OPENLOAD_SOURCE.stat().st_mtime:
        output([compiler, "-O2", "-Wall", "-o", str(program), str(OPENLOAD_SOURCE), "-lm"])
    return str(program)


def find_compiler() -> str | None:
    """The path of a C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def describe_machine(bench: Bench, wrk: str, cpus: Cpus) -> dict[str, str]:
    """Label -> value: what a reader must know before comparing with another run."""
    packages = ", ".join(
        f"{name} {bench.versions[name]}" for name in NOTABLE if name in bench.versions
    )
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    pinned = f"servers on CPU {cpus.server}, load on CPU {cpus.load}"
    if cpus.shared:
        pinned = "only one CPU: servers and load share it, so caches are disturbed"
    return {
        "Date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        "CPU": f"{_cpu_model()}, {os.cpu_count()} seen",
        "Kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": bench.python,
        "Greenuni": bench.engine,
        "Packages": packages,
        "Commit": _commit(),
        "Load generator": _wrk_version(wrk),
        "Pinned": pinned,
        "Load average before": load,
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _commit() -> str:
    """The checkout's commit, with a plus when what is measured differs from it."""
    described = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", "greenuni", "setup.py", "pyproject.toml")
    return f"{described or 'unknown'}{'+' if changed else ''}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _wrk_version(wrk: str) -> str:
    """The first words of ``wrk --version``, which exits with 1 although it succeeds."""
    printed = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False)
    return " ".join((printed.stdout + printed.stderr).split()[:2])
