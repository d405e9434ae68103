"""Configuration files: which one is read, and how Python and TOML become settings.

Without ``-c`` one file of the current directory is read. greenuni.conf.py, greenuni.toml and a pyproject.toml
with a table ``[tool.greenuni]`` are ours, and two of them at once are an error: nobody could say which one
counts. gunicorn.conf.py is read when none of ours is there; beside one of ours it is passed over with a note,
so that a project can try Greenuni before it leaves gunicorn.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from greenuni.config.python_names import given_by_python
from greenuni.config.sources import GUNICORN_FILE, OWN_FILES, PROJECT_FILE, Layer
from greenuni.config.tables import given_by_table
from greenuni.errors import ConfigError, user_traceback
from greenuni.modules import is_library

PROJECT_TABLE = "[tool.greenuni]"
MODULE_NAME = "__config__"  # as gunicorn calls it


def read_file(location: str | None, start: str) -> Layer:
    """The settings of the file at ``location``, else of the one found in the directory ``start``, if any.

    Raises `ConfigError`, with the user's traceback when a Python file raised.
    """
    directory = Path(start)
    if location is None:
        return _read_found(directory)
    if location.startswith("python:"):
        module = location.removeprefix("python:")
        return given_by_python(_imported(module, directory), location)
    path = directory / location.removeprefix("file:")
    if not path.is_file():
        raise ConfigError(f"--config: there is no file {path.name!r} in {str(path.parent)!r}")
    return _read_path(path, location.removeprefix("file:"))


def _read_found(directory: Path) -> Layer:
    own = [name for name in OWN_FILES if (directory / name).is_file()]
    if _project_table(directory / PROJECT_FILE) is not None:
        own.append(PROJECT_FILE)
    if len(own) > 1:
        raise ConfigError(f"both {own[0]} and {own[1]} hold settings: keep one, or choose with -c")
    has_gunicorn_file = (directory / GUNICORN_FILE).is_file()
    if not own:
        return (
            _read_path(directory / GUNICORN_FILE, GUNICORN_FILE) if has_gunicorn_file else Layer()
        )
    layer = _read_path(directory / own[0], own[0])
    if has_gunicorn_file:
        layer.note(f"{own[0]} is read, {GUNICORN_FILE} beside it is not")
    return layer


def _read_path(path: Path, shown: str) -> Layer:
    if path.suffix != ".toml":
        layer = given_by_python(_executed(path, shown), shown)
    elif path.name == PROJECT_FILE:
        layer = given_by_table(_project_table(path) or {}, f"{shown} {PROJECT_TABLE}")
    else:
        layer = given_by_table(_parsed(path), shown)
    layer.file = str(path.resolve())
    return layer


def _parsed(path: Path) -> dict[str, Any]:
    # Half a megabyte, which a server that is configured otherwise does without.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}") from None
    return table


def _project_table(path: Path) -> dict[str, Any] | None:
    """``[tool.greenuni]``, None without one. A pyproject.toml that does not name us is not parsed."""
    try:
        if b"greenuni" not in path.read_bytes():
            return None
    except OSError:
        return None
    table: object = _parsed(path).get("tool", {}).get("greenuni")
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path.name}: tool.greenuni is not a table")
    return table


def _executed(path: Path, shown: str) -> Mapping[str, object]:
    """The variables that a Python file leaves behind."""
    module = ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    with _user_code(path.parent, shown):
        sys.modules[MODULE_NAME] = module
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    return vars(module)


def _imported(name: str, directory: Path) -> Mapping[str, object]:
    """The variables of a module that can be imported from ``directory``."""
    with _user_code(directory, f"python:{name}"):
        return dict(vars(importlib.import_module(name)))


@contextmanager
def _user_code(directory: Path, shown: str) -> Iterator[None]:
    """Run a user's Python: it may import its neighbours, and its errors are shown as its own.

    The neighbours are forgotten afterwards. The arbiter has no use for them, and workers that are
    forked after HUP must import what is on the disk then.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(directory))
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's file may raise anything
        summary = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ConfigError(f"{shown} raised {summary}", user_traceback(error)) from None
    finally:
        if str(directory) in sys.path:  # the file may have seen to it
            sys.path.remove(str(directory))
        for name in set(sys.modules) - before:
            if name == MODULE_NAME or _is_neighbour(sys.modules[name], directory):
                del sys.modules[name]


def _is_neighbour(module: ModuleType, directory: Path) -> bool:
    """Whether a module belongs to the project, not to Python, to a library or to us."""
    file = getattr(module, "__file__", None) or ""
    return Path(file).is_relative_to(directory) and not is_library(file)
