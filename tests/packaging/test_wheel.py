"""What an installation contains and says, with a C compiler and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.compiled import ROOT, SUFFIX, names_in

COPIED = ("greenuni", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
MODULES = set(names_in(ROOT / "greenuni").split())
TOO_SLOW = 400  # seconds; a compilation may share its processor with other tests

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as a clean clone has them. Tests build there, and what is translated stays."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name,
                checkout / name,
                ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__"),
            )
        else:
            shutil.copy(ROOT / name, checkout)
    return checkout


def run(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python program with the libraries of this one, none of the files and not this checkout."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GREENUNI_", "PYTHONPATH", "COV_"))
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


def build_wheel(checkout: Path, to: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(
        *("-m", "pip", "--disable-pip-version-check", "wheel", "--verbose"),
        *("--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", to, checkout),
        cwd=to,
        **environment,
    )


def contents(wheel_directory: Path) -> set[str]:
    (wheel,) = wheel_directory.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def version_of(wheel_directory: Path) -> str:
    """What the installed wheel says of itself."""
    (wheel,) = wheel_directory.glob("*.whl")
    site = wheel_directory / "site"
    installed = run(
        *("-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index"),
        *("--quiet", "--target", site, wheel),
        cwd=wheel_directory,
    )
    assert installed.returncode == 0, installed.stderr
    asked = run("-m", "greenuni", "--version", cwd=wheel_directory, PYTHONPATH=str(site))
    assert asked.stderr == ""
    return asked.stdout


def compiled_in(names: set[str]) -> set[str]:
    return {name for name in names if name.endswith(".so")}


def loaded_from_the_library(site: Path) -> set[str]:
    """The modules that an installation imports compiled, of those that it has sources of."""
    script = (
        "import importlib.util, sys, greenuni;"
        "print(*[name for name in sys.argv[1:]"
        " if '_library' in importlib.util.find_spec(name).origin"
        " and importlib.import_module(name).__name__ == name])"
    )
    done = run("-c", script, *sorted(MODULES), cwd=site, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.timeout(TOO_SLOW)
def test_without_a_compiler_it_installs_and_says_so(checkout: Path, tmp_path: Path) -> None:
    done = build_wheel(checkout, tmp_path, CC="false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "greenuni: not compiled, runs from Python sources" in done.stdout + done.stderr
    assert not compiled_in(contents(tmp_path))
    said = version_of(tmp_path)
    assert "(not compiled, Python" in said
    assert "it is faster if it is installed where a C compiler is" in said


@needs_compiler
@pytest.mark.timeout(TOO_SLOW)
def test_with_a_compiler_every_module_is_compiled(checkout: Path, tmp_path: Path) -> None:
    # How fast the result is plays no part here, and this compiles in a quarter of the time.
    done = build_wheel(checkout, tmp_path, CFLAGS="-O0 -g0")
    assert done.returncode == 0, done.stdout + done.stderr
    names = contents(tmp_path)
    assert compiled_in(names) == {f"greenuni/_library{SUFFIX}"}
    assert not [name for name in names if name.endswith((".c", ".pxd", ".pyx"))]
    assert {"greenuni/py.typed", "greenuni/clock.py"} <= names  # the sources serve GREENUNI_PURE
    assert "(compiled, Python" in version_of(tmp_path)
    assert loaded_from_the_library(tmp_path / "site") == MODULES


def test_a_compilation_that_is_required_fails_loudly(checkout: Path, tmp_path: Path) -> None:
    (checkout / "greenuni" / "clock.py").touch()
    done = build_wheel(checkout, tmp_path, CC="false", GREENUNI_BUILD="required")
    assert done.returncode != 0
    assert "error: Command '['false'" in done.stdout + done.stderr


def test_the_compiler_can_be_left_alone(checkout: Path, tmp_path: Path) -> None:
    done = build_wheel(checkout, tmp_path, CC="false", GREENUNI_PURE="1", GREENUNI_BUILD="required")
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not compiled_in(contents(tmp_path))


def test_nothing_in_the_build_is_deprecated(checkout: Path, tmp_path: Path) -> None:
    done = build_wheel(checkout, tmp_path, GREENUNI_PURE="1")
    assert "Deprecat" not in done.stdout + done.stderr


def test_source_distribution_has_what_compiles(checkout: Path, tmp_path: Path) -> None:
    script = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    done = run("-c", script, cwd=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    sources = ROOT.joinpath("greenuni").rglob("*.p[yx]*")
    wanted = {path.relative_to(ROOT).as_posix() for path in sources if path.suffix != ".pyc"}
    assert wanted | {"setup.py", "pyproject.toml", "LICENSE", "README.md"} <= names
    assert not [name for name in names if name.endswith((".c", ".so"))]
