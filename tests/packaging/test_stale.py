"""The check that the compiled modules are those of the sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.compiled import SUFFIX, maybe_complaint

FILES = {
    "plain.py": "",
    "engine.py": "",
    "engine.pxd": "from greenuni.room.base cimport Base\n",
    "room/base.py": "",
    "room/base.pxd": "cimport greenuni.room.types\n",
    "room/types.pxd": "",
    "room/scanner.pyx": "from libc.string cimport memchr\n",
    f"engine{SUFFIX}": "",
    f"room/base{SUFFIX}": "",
    f"room/scanner{SUFFIX}": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose binaries are younger than all sources."""
    package = tmp_path / "greenuni"
    for name, text in FILES.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        set_age(path, 10 if name.endswith(SUFFIX) else 20)
    return package


def set_age(path: Path, seconds: float) -> None:
    os.utime(path, (1_000_000 - seconds, 1_000_000 - seconds))


def test_current_binaries_are_fine(package: Path) -> None:
    assert maybe_complaint(package) is None


def test_no_binaries_are_fine(package: Path) -> None:
    for path in package.rglob(f"*{SUFFIX}"):
        path.unlink()
    assert maybe_complaint(package) is None


@pytest.mark.parametrize(
    ("edited", "binary"),
    [
        ("engine.py", "engine"),
        ("engine.pxd", "engine"),
        ("room/base.pxd", "engine"),
        ("room/types.pxd", "engine"),
        ("room/base.py", "base"),
        ("room/scanner.pyx", "scanner"),
    ],
)
def test_edited_source_is_named(package: Path, edited: str, binary: str) -> None:
    set_age(package / edited, 0)
    complaint = maybe_complaint(package)
    assert complaint is not None
    assert complaint.startswith(f"greenuni/{edited} is newer than {binary}{SUFFIX}: run make build")


def test_what_is_not_compiled_may_be_edited(package: Path) -> None:
    set_age(package / "plain.py", 0)
    assert maybe_complaint(package) is None


def test_missing_binary_is_named(package: Path) -> None:
    (package / f"engine{SUFFIX}").unlink()
    complaint = maybe_complaint(package)
    assert complaint is not None
    assert complaint.startswith("greenuni/engine.py is not compiled and others are: run make build")


def test_left_over_binary_is_named(package: Path) -> None:
    (package / "engine.pxd").unlink()
    assert maybe_complaint(package) == f"greenuni/engine{SUFFIX} has no source any more: delete it"
