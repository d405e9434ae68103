"""How this installation was built: with the compiled modules, or from the Python sources alone."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import ExtensionFileLoader

import greenuni

WHERE_IT_COMPILES = "where a C compiler is (apt-get install gcc python3-dev)"


def compiled() -> bool:
    """Whether the compiled modules are what gets imported.

    All of them are there or none, so one tells; it is looked for and not imported. ``GREENUNI_PURE``
    hides them.
    """
    spec = importlib.util.find_spec("greenuni.clock")
    return spec is not None and isinstance(spec.loader, ExtensionFileLoader)


def summary() -> str:
    """One line for ``--version`` and the log: ``greenuni 0.1.0 (compiled, Python 3.11.7)``."""
    python = ".".join(map(str, sys.version_info[:3]))
    start = f"greenuni {greenuni.__version__}"
    if compiled():
        return f"{start} (compiled, Python {python})"
    return f"{start} (not compiled, Python {python}){_remedy()}"


def _remedy() -> str:
    if os.environ.get("GREENUNI_PURE"):
        return ": GREENUNI_PURE is set"
    if sys.implementation.name != "cpython":
        return ""
    return f": it is faster if it is installed {WHERE_IT_COMPILES}"
