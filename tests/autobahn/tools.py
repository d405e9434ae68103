"""Autobahn's ``wstest`` in an environment of its own: it exists for CPython 2.7 only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# The last series that makes environments for Python 2.7
VIRTUALENV = "virtualenv<20.22"
WSTEST = "autobahntestsuite==25.10.1"

NOT_FOUND = (
    "Autobahn's test suite runs on CPython 2.7 only, and there is none here. Install one (pyenv install"
    " 2.7.18), or name it: PYTHON27=/path/to/python2.7 make autobahn"
)


class NoPython27(Exception):
    """There is nothing that ``wstest`` could run on."""


def find_python27() -> Path:
    """Raises NoPython27."""
    for candidate in _candidates():
        if candidate.exists() and _version_of(candidate) == (2, 7):
            return candidate
    raise NoPython27(NOT_FOUND)


def _candidates() -> Iterator[Path]:
    """$PYTHON27, what pyenv has built, what is on the path."""
    if named := os.environ.get("PYTHON27"):
        yield Path(named)
    yield from sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"), reverse=True)
    if found := shutil.which("python2.7"):
        yield Path(found)


def _version_of(python: Path) -> tuple[int, ...]:
    script = "import sys; print('%d %d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split()))


def install_wstest(directory: Path) -> Path:
    """The path of ``wstest``, which is installed under ``directory`` if it is not there yet."""
    wstest = directory / "python2.7" / "bin" / "wstest"
    if wstest.exists():
        return wstest
    python = find_python27()
    maker = directory / "virtualenv"
    _run(sys.executable, "-m", "venv", maker)
    _run(maker / "bin" / "pip", "install", "--quiet", VIRTUALENV)
    _run(maker / "bin" / "virtualenv", "--quiet", "--python", python, wstest.parent.parent)
    _run(wstest.parent / "pip", "install", "--quiet", WSTEST)
    return wstest


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)
