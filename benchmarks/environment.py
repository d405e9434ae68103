"""What a run stands on: a virtual environment, the wrk load generator, two CPUs, a description.

Everything lives in ``.bench/`` at the root of the checkout, which git ignores. Greenuni is
installed there from a copy of the checkout, not editable, as a user would have it, beside its
rivals, so that all of them run on one interpreter and share h11, uvloop, Flask and FastAPI.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
APPS = HERE / "apps"
REQUIREMENTS = HERE / "requirements.txt"
BJOERN = "bjoern==3.2.2"

# Packages that decide what a server costs, printed with the result when they are installed.
NOTABLE = (
    "greenuni",
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "granian",
    "waitress",
    "bjoern",
    "h11",
    "httptools",
    "uvloop",
    "anyio",
    "flask",
    "fastapi",
    "starlette",
)


class BenchError(Exception):
    """Something that makes a measurement impossible or worthless; shown as it is."""


@dataclass(frozen=True)
class Cpus:
    """The CPU of the servers and the CPU of the load."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """There is only one CPU, so the load's work disturbs the server's."""
        return self.server == self.load


@dataclass(frozen=True)
class Bench:
    """A virtual environment that is ready to serve."""

    bin: Path
    python: str  # implementation, version and compiler
    versions: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)  # distribution -> why it is not there

    def process_environment(self) -> dict[str, str]:
        """The environment variables of every server: a clean one, but for PATH and HOME."""
        return {
            "HOME": os.environ.get("HOME", "/"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(APPS),
        }


def build(directory: Path, interpreter: str, *, with_bjoern: bool) -> Bench:
    """Make or refresh the environment of ``interpreter`` under ``directory``.

    Seconds when it is there, a minute when not. Raises ``BenchError``.
    """
    home = directory / f"venv-{_fingerprint(interpreter)}"
    python = home / "bin" / "python"
    stamp = home / "requirements.stamp"
    if not stamp.exists():  # nothing, or what an interrupted run has left
        _say(f"making a virtual environment in {home}")
        _run([interpreter, "-m", "venv", "--clear", str(home)])
    source = _copy_checkout(directory / "source")
    _install_rivals(python, stamp, source)
    _pip(python, "--no-deps", "--no-build-isolation", "--force-reinstall", str(source))
    skipped = {}
    if with_bjoern:
        reason = _install_bjoern(python)
        if reason:
            skipped["bjoern"] = reason
    return Bench(home / "bin", _python_version(interpreter), _versions(python), skipped)


def _fingerprint(interpreter: str) -> str:
    """Version and a hash of the installation: two builds of one version are two environments."""
    code = "import platform, sys; print(platform.python_version(), sys.base_prefix)"
    version, prefix = _output([interpreter, "-c", code]).split(maxsplit=1)
    return f"{version}-{hashlib.sha256(prefix.encode()).hexdigest()[:6]}"


def _python_version(interpreter: str) -> str:
    code = "import platform as p; print(p.python_implementation(), p.python_version(), p.python_compiler())"
    return _output([interpreter, "-c", code])


def _copy_checkout(source: Path) -> Path:
    """Copy the checkout as it is now, so that installing it leaves no build files behind."""
    shutil.rmtree(source, ignore_errors=True)
    ignored = shutil.ignore_patterns(
        ".*", "build", "dist", "*.egg-info", "__pycache__", "tests", "docs", "benchmarks"
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    return source


def _install_rivals(python: Path, stamp: Path, source: Path) -> None:
    """Install the pinned rivals and greenuni's own dependencies, unless nothing has changed."""
    wanted = REQUIREMENTS.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(wanted).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    _say("installing the rivals")
    _pip(python, "--requirement", str(REQUIREMENTS), "setuptools>=77", str(source))
    stamp.write_text(digest)


def _install_bjoern(python: Path) -> str:
    """Build bjoern; return one sentence that says why not, or nothing."""
    if _has_module(python, "bjoern"):
        return ""
    if not Path("/usr/include/ev.h").exists():
        problem = _apt_install("libev-dev")
        if problem:
            return f"bjoern needs libev's headers (Debian: libev-dev); {problem}"
    try:
        _pip(python, "--no-build-isolation", BJOERN)
    except BenchError as error:
        return f"bjoern does not build here: {str(error).splitlines()[-1]}"
    return ""


def find_wrk() -> str:
    """The path of wrk, installed with apt when we are root. Raises ``BenchError`` if there is none."""
    found = shutil.which("wrk")
    if found:
        return found
    problem = _apt_install("wrk")
    found = shutil.which("wrk")
    if found:
        return found
    raise BenchError(f"wrk, the load generator, is missing (Debian: apt install wrk); {problem}")


def choose_cpus() -> Cpus:
    """The first two CPUs that this process may run on; the same one twice when there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cpus(server=allowed[0], load=allowed[-1] if len(allowed) < 2 else allowed[1])


@contextmanager
def pinned_to(cpu: int) -> Iterator[None]:
    """Processes started inside run on ``cpu`` only: affinity is inherited when a process is made."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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
    """The checkout's commit, with a plus when files differ from it."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _wrk_version(wrk: str) -> str:
    """The first words of ``wrk --version``, which exits with 1 although it succeeds."""
    printed = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False)
    return " ".join((printed.stdout + printed.stderr).split()[:2])


def _versions(python: Path) -> dict[str, str]:
    command = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    return {package["name"].lower(): package["version"] for package in json.loads(_output(command))}


def _has_module(python: Path, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def _pip(python: Path, *arguments: str) -> None:
    """``pip install``, quiet unless it fails. Raises ``BenchError`` with the end of its output."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*command, *arguments])


def _apt_install(package: str) -> str:
    """Install a Debian package when we may; return why it is not there, or nothing."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get here to install it with."
    if os.geteuid() != 0:
        return "run as root to have it installed."
    _say(f"installing {package}")
    try:
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])
    except BenchError as error:
        return f"apt-get failed: {str(error).splitlines()[-1]}"
    return ""


def _run(command: list[str]) -> None:
    _output(command)


def _output(command: list[str]) -> str:
    """What a command prints. Raises ``BenchError`` with the end of its output when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False
        )
    except OSError as error:
        raise BenchError(f"{command[0]}: {error.strerror}") from error
    if finished.returncode != 0:
        tail = "\n".join((finished.stdout + finished.stderr).strip().splitlines()[-15:])
        raise BenchError(f"{' '.join(command)} failed:\n{tail}")
    return finished.stdout.strip()


def _say(sentence: str) -> None:
    print(f"bench: {sentence}", file=sys.stderr, flush=True)
