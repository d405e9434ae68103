"""What a run stands on: a virtual environment with greenuni, its rivals and the frameworks.

Everything lives in ``.bench/`` at the root of the checkout, which git ignores. Greenuni is
installed there from a copy of the checkout, not editable, as a user would have it, beside its
rivals, so that all of them run on one interpreter and share h11, uvloop, Flask and FastAPI.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands import BenchError, apt_install, output, say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
APPS = HERE / "apps"
REQUIREMENTS = HERE / "requirements.txt"
# Built from source, so they are left out where there is no C compiler.
BJOERN = "bjoern==3.2.2"
GUNICORN_PARSER = "gunicorn_h1c==0.6.9"
INSTALLED_FROM = ("setup.py", "pyproject.toml", "README.md", "greenuni")

# How the interpreter was built decides a third of what Python code costs. Distributions optimise without
# telling configure, and link python3 statically where sysconfig speaks of a shared library.
ASK_PYTHON = """
import json, platform, sysconfig
print(json.dumps({
    "name": f"{platform.python_implementation()} {platform.python_version()}",
    "compiler": platform.python_compiler(),
    "configured": sysconfig.get_config_var("CONFIG_ARGS") or "",
    "is_shared": "/libpython" in open("/proc/self/maps").read(),
}))
"""
OPTIMISATIONS = ("--enable-optimizations", "--with-lto")  # profile-guided and at link time
# With the directories to import from as arguments.
COUNT_COMPILED = """
import sys
sys.path[:0] = sys.argv[1:]
try:
    from greenuni._library import NAMES
except ImportError:
    NAMES = ""
print(len(NAMES.split()))
"""


@dataclass(frozen=True)
class Bench:
    """A virtual environment that is ready to serve."""

    bin: Path
    python: str  # implementation, version, compiler and build
    compiled_modules: int  # of greenuni
    versions: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)  # distribution -> why it is not there
    checkout: str = ""  # the directory that greenuni runs from when it is not installed

    @property
    def engine(self) -> str:
        """What of greenuni runs compiled, in words."""
        if self.compiled_modules == 0:
            return "not compiled, runs from Python sources"
        return f"compiled ({self.compiled_modules} modules)"

    def process_environment(self) -> dict[str, str]:
        """The environment variables of every server: a clean one, but for PATH and HOME."""
        return {
            "HOME": os.environ.get("HOME", "/"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(APPS), self.checkout))),
        }


def build(directory: Path, interpreter: str, *, with_bjoern: bool, checkout: bool = False) -> Bench:
    """Make or refresh the environment of ``interpreter`` under ``directory``.

    Seconds when it is there, minutes when greenuni is to be compiled. With ``checkout`` it is not
    installed, but run from the checkout, with what was built in place. Raises ``BenchError``.
    """
    home = directory / f"venv-{_fingerprint(interpreter)}"
    python = home / "bin" / "python"
    if not (home / "requirements.stamp").exists():  # nothing, or what an interrupted run has left
        say(f"making a virtual environment in {home}")
        output([interpreter, "-m", "venv", "--clear", str(home)])
    _install_rivals(python, home / "requirements.stamp")
    if not checkout:
        _install_greenuni(python, home / "greenuni.stamp", directory / "source")
    places = [str(ROOT)] if checkout else []
    skipped = {"gunicorn_h1c": _install_built(python, "gunicorn_h1c", GUNICORN_PARSER)}
    if with_bjoern:
        skipped["bjoern"] = _install_bjoern(python)
    return Bench(
        bin=home / "bin",
        python=describe_python(json.loads(output([interpreter, "-c", ASK_PYTHON]))),
        compiled_modules=int(output([str(python), "-I", "-c", COUNT_COMPILED, *places])),
        versions=_versions(python),
        skipped={name: reason for name, reason in skipped.items() if reason},
        checkout="".join(places),
    )


def describe_python(facts: Mapping[str, Any]) -> str:
    """What ``ASK_PYTHON`` has printed, in words, and no more than it knows."""
    words = [
        f"{'with' if option in facts['configured'] else 'without'} {option}"
        for option in OPTIMISATIONS
    ]
    words.append("shared libpython" if facts["is_shared"] else "libpython linked in")
    return f"{facts['name']} {facts['compiler']} (configured {', '.join(words)})"


def _fingerprint(interpreter: str) -> str:
    """Version and a hash of the installation: two builds of one version are two environments."""
    code = "import platform, sys; print(platform.python_version(), sys.base_prefix)"
    version, prefix = output([interpreter, "-c", code]).split(maxsplit=1)
    return f"{version}-{hashlib.sha256(prefix.encode()).hexdigest()[:6]}"


def _install_rivals(python: Path, stamp: Path) -> None:
    """Install the pinned rivals, unless nothing has changed."""
    digest = _digest([REQUIREMENTS])
    if _is_current(stamp, digest):
        return
    say("installing the rivals")
    pip(python, "--requirement", str(REQUIREMENTS), "setuptools>=77")
    stamp.write_text(digest)


def _install_greenuni(python: Path, stamp: Path, source: Path) -> None:
    """Build and install the checkout as it is now, unless it was installed before."""
    files = [path for name in INSTALLED_FROM for path in _sources(ROOT / name)]
    digest = _digest(files)
    if _is_current(stamp, digest):
        return
    say("installing greenuni")
    stamp.unlink(missing_ok=True)
    refresh({path.relative_to(ROOT): path.read_bytes() for path in files}, source)
    pip(python, str(source), "--no-build-isolation", "--force-reinstall", "--no-deps")
    pip(python, str(source), "--no-build-isolation")  # and what it depends on
    stamp.write_text(digest)


def _sources(path: Path) -> list[Path]:
    """A file, or the files of a package without what was built in place."""
    if path.is_file():
        return [path]
    made = {".so", ".c", ".pyc"}
    return sorted(
        found for found in path.rglob("*") if found.is_file() and found.suffix not in made
    )


def refresh(files: Mapping[Path, bytes], source: Path) -> None:
    """Make ``source`` hold these files, and of a build there only the library of compiled modules.

    What has not changed is not written, so that the next build compiles what has changed only.
    """
    for name, content in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in [found for found in source.rglob("*") if found.is_file()]:
        name = path.relative_to(source)
        if name.parts[0] != "build":
            stale = name not in files
        elif name.parts[1].startswith("lib"):
            stale = not path.match("greenuni/_library.*.so")
        else:  # what the compiler is fed with; the build knows what of it is current
            stale = False
        if stale:
            path.unlink()


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _is_current(stamp: Path, digest: str) -> bool:
    return stamp.exists() and stamp.read_text() == digest


def _install_bjoern(python: Path) -> str:
    """Build bjoern; return one sentence that says why not, or nothing."""
    if not _has_module(python, "bjoern") and not Path("/usr/include/ev.h").exists():
        problem = apt_install("libev-dev")
        if problem:
            return f"bjoern needs libev's headers (Debian: libev-dev); {problem}"
    return _install_built(python, "bjoern", BJOERN)


def _install_built(python: Path, module: str, requirement: str) -> str:
    """Build one package; return one sentence that says why not, or nothing."""
    if _has_module(python, module):
        return ""
    try:
        pip(python, "--no-build-isolation", requirement)
    except BenchError as error:
        return f"{module} does not build here: {str(error).splitlines()[-1]}"
    return ""


def _has_module(python: Path, module: str) -> bool:
    command = [str(python), "-I", "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _versions(python: Path) -> dict[str, str]:
    command = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    return {package["name"].lower(): package["version"] for package in json.loads(output(command))}


def pip(python: Path, *arguments: str) -> None:
    """``pip install``, quiet unless it fails. Raises ``BenchError`` with the end of its output."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    output([*command, *arguments])
