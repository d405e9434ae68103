"""Imports this package's modules from their Python sources, past the compiled ones beside them."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

_SOURCES = (SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES)


class SourceFinder:
    """A meta path finder for ``greenuni.*`` that knows no extension modules."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not name.startswith("greenuni."):
            return None
        for directory in path:
            spec = FileFinder(directory, _SOURCES).find_spec(name)
            if spec is not None:
                return spec
        return None


def install() -> None:
    """Come before the finder of everything else; once."""
    if SourceFinder not in sys.meta_path:
        sys.meta_path.insert(0, SourceFinder)  # type: ignore[arg-type]
