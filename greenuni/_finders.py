"""Where Python finds this package's modules: in the library of the compiled ones, or in their sources.

Both are path hooks (PEP 302) for the package's directories, and come before the hook of everything else.
"""

from __future__ import annotations

import os.path
import sys
from collections.abc import Callable
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

PACKAGE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = "greenuni._library"
SOURCES = (SourceFileLoader, SOURCE_SUFFIXES)


class Member(ExtensionFileLoader):
    """Loads one of the modules in the library. Its ``path`` is the library's."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        # The function that initialises a module is looked for by the last part of its name, and in one
        # library there can be one ``PyInit_connection`` only: setup.py gives them the whole name.
        unique = f"{spec.parent}.{spec.name.replace('.', '_')}"
        module = super().create_module(ModuleSpec(unique, self, origin=self.path))
        module.__name__ = spec.name
        return module


class LibraryFinder(FileFinder):
    """Finds the modules of the library there, and all others in their sources."""

    def __init__(self, directory: str, library: str, names: frozenset[str]) -> None:
        super().__init__(directory, SOURCES)
        self._library = library
        self._names = names

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname in self._names:
            loader = Member(fullname, self._library)
            return spec_from_file_location(fullname, self._library, loader=loader)
        return super().find_spec(fullname, target)


def source_finder(directory: str) -> FileFinder:
    """A path hook that takes this package's directories and knows no compiled modules."""
    _refuse_others(directory)
    return FileFinder(directory, SOURCES)


def install_sources() -> None:
    """Run from the sources although compiled modules are there."""
    _install(source_finder)


def install_library() -> None:
    """Run the compiled modules, if there are any."""
    # Looked for here and nowhere else: one that belongs to another copy of the sources is not ours.
    spec = FileFinder(PACKAGE, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(LIBRARY)
    if spec is None or spec.loader is None:
        return
    try:
        library = module_from_spec(spec)
    except ImportError:
        return  # it was built for another system
    path, names = str(spec.origin), frozenset(library.NAMES.split())

    def library_finder(directory: str) -> FileFinder:
        _refuse_others(directory)
        return LibraryFinder(directory, path, names)

    _install(library_finder)


def _refuse_others(directory: str) -> None:
    if directory != PACKAGE and not directory.startswith(f"{PACKAGE}/"):
        raise ImportError("not a directory of greenuni", path=directory)


def _install(hook: Callable[[str], FileFinder]) -> None:
    sys.path_hooks.insert(0, hook)
    # This module itself was found by the finder that is now too late.
    sys.path_importer_cache.pop(PACKAGE, None)
