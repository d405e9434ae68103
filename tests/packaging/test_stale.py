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
    f"_library{SUFFIX}": "\ngreenuni.engine greenuni.room.base greenuni.room.scanner\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose library is younger than all sources."""
    package = tmp_path / "greenuni"
    for name, text in FILES.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        set_age(path, 10 if name.endswith(SUFFIX) else 20)
    return package


def set_age(path: Path, seconds: float) -> None:
    os.utime(path, (1_000_000 - seconds, 1_000_000 - seconds))


def test_current_library_is_fine(package: Path) -> None:
    assert maybe_complaint(package) is None


def test_no_library_is_fine(package: Path) -> None:
    (package / f"_library{SUFFIX}").unlink()
    assert maybe_complaint(package) is None


@pytest.mark.parametrize(
    "edited",
    [
        "engine.py",
        "engine.pxd",
        "room/base.pxd",
        "room/types.pxd",
        "room/base.py",
        "room/scanner.pyx",
    ],
)
def test_edited_source_is_named(package: Path, edited: str) -> None:
    set_age(package / edited, 0)
    complaint = maybe_complaint(package)
    assert complaint is not None
    assert complaint.startswith(f"greenuni/{edited} is newer than _library{SUFFIX}: run make build")


def test_what_is_not_compiled_may_be_edited(package: Path) -> None:
    set_age(package / "plain.py", 0)
    assert maybe_complaint(package) is None


def test_a_module_that_is_no_longer_compiled_is_noticed(package: Path) -> None:
    (package / "engine.pxd").unlink()
    complaint = maybe_complaint(package)
    assert complaint is not None
    assert complaint.startswith(f"_library{SUFFIX} has other modules than are compiled now: run")


def test_left_over_binary_is_named(package: Path) -> None:
    (package / f"engine{SUFFIX}").touch()
    complaint = maybe_complaint(package)
    assert complaint is not None
    assert complaint.startswith(f"greenuni/engine{SUFFIX} is a left-over: find greenuni -name")
