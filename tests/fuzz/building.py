"""Builds the package a second time, with other compiler flags, beside a copy of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ["setup.py", "pyproject.toml", "README.md", "LICENSE", "greenuni", "tests"]
IGNORED = shutil.ignore_patterns("*.so", "*.c", "__pycache__")


def build_copy(directory: Path, compiler: dict[str, str]) -> None:
    """Make ``directory`` a copy of this project, the wire compiled in place; run things there.

    Other rooms run from their Python sources, as compiling them would take longer than the tests.
    ``compiler`` are variables of the environment such as CFLAGS. The package has one module more,
    ``greenuni.damage``. Raises CalledProcessError when it cannot be built.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=IGNORED)
        else:
            shutil.copy2(ROOT / name, directory)
    package = directory / "greenuni"
    for path in [*package.rglob("*.pxd"), *package.rglob("*.pyx")]:
        if path.parent.name != "http":
            path.unlink()
    shutil.copy2(ROOT / "tests/fuzz/damage.pyx", package)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=directory,
        env={**os.environ, **compiler, "GREENUNI_BUILD": "required"},
        check=True,
    )
