"""What counts as a change under --reload."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenuni.worker.changes import Changes, module_files
from tests.support.server import wait_until


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of an imported module."""
    path = tmp_path / "watched_module.py"
    path.write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("watched_module")
    yield path
    del sys.modules["watched_module"]


def touch(path: Path) -> None:
    """Save a file a while after it was saved last."""
    later = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later, later))


def test_a_saved_module_is_found_once(module: Path) -> None:
    changes = Changes(print)
    assert changes.find() == []
    touch(module)
    assert changes.find() == [str(module)]
    assert changes.find() == []


def test_a_file_that_is_being_replaced_is_no_change_until_it_is_back(module: Path) -> None:
    changes = Changes(print)
    changes.find()
    before = module.stat().st_mtime_ns
    module.unlink()
    assert changes.find() == []
    module.write_text("new")
    os.utime(module, ns=(before + 1, before + 1))
    assert changes.find() == [str(module)]


def test_extra_files_are_watched(tmp_path: Path) -> None:
    config = tmp_path / "greenuni.conf.py"
    config.write_text("")
    changes = Changes(print, [str(config)])
    changes.find()
    touch(config)
    assert changes.find() == [str(config)]


def test_the_standard_library_is_left_out_and_packages_are_not() -> None:
    files = list(module_files())
    assert os.__file__ not in files
    assert pytest.__file__ in files


def test_modules_without_a_file_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "not_a_module", object())  # type: ignore[misc]
    monkeypatch.setitem(sys.modules, "gone", None)  # type: ignore[misc]
    Changes(print).find()


def test_after_a_failure_the_files_of_the_traceback_are_watched(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("(")
    details = (
        f'Traceback:\n  File "{broken}", line 1\n    (\n  File "<string>", line 1, in <module>'
    )
    changes = Changes(print)
    changes.watch_failure(details)
    touch(broken)
    assert changes.find() == [str(broken)]


def test_after_a_failure_a_new_module_is_a_change(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text("import helper, package")
    changes = Changes(print)
    changes.watch_failure(f'  File "{main}", line 1, in <module>')
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "__pycache__").mkdir()
    assert changes.find() == []
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "package").mkdir()
    assert changes.find() == [str(tmp_path / "helper.py"), str(tmp_path / "package")]
    assert changes.find() == []


def test_changes_are_reported_from_a_thread(module: Path) -> None:
    reported: list[str] = []
    changes = Changes(reported.append)
    changes.check()
    changes.start()
    touch(module)
    wait_until(lambda: reported == [str(module)], "the report", 3)
