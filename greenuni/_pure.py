"""Imports this package's modules from their Python sources, past the compiled ones beside them."""

from __future__ import annotations

import os.path
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader

PACKAGE = os.path.dirname(os.path.abspath(__file__))


def source_finder(directory: str) -> FileFinder:
    """A path hook (PEP 302) that takes this package's directories and knows no extension modules."""
    if directory != PACKAGE and not directory.startswith(f"{PACKAGE}/"):
        raise ImportError("not a directory of greenuni", path=directory)
    return FileFinder(directory, (SourceFileLoader, SOURCE_SUFFIXES))


def install() -> None:
    """Come before the finder of everything else; once."""
    if source_finder not in sys.path_hooks:
        sys.path_hooks.insert(0, source_finder)
        # This module itself was found by the finder that is now too late.
        sys.path_importer_cache.pop(PACKAGE, None)
