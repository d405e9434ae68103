"""The wire twice in one process: as installed, and from its Python sources with h11 behind it.

The reference is a second copy of ``greenuni.http`` with classes of its own, so what the two say is
compared as text, in which a ``1`` that should be ``True`` or a bytearray that should be bytes shows.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

import greenuni.http
from greenuni._finders import PACKAGE
from greenuni.http.engine import choose_engine


@dataclass(frozen=True)
class Twin:
    """One way to read and write HTTP."""

    name: str
    http: ModuleType  # a copy of greenuni.http
    engine: str = "h11"

    def connection(self, sizes: dict[str, int]) -> Any:
        """A new connection with these limits."""
        choice = self.http.engine.choose_engine(self.engine)
        return self.http.Connection(self.http.Limits(**sizes), engine=choice)


def load_sources() -> ModuleType:
    """``greenuni.http`` once more, from its Python sources, beside the one in ``sys.modules``."""
    hidden = {name: sys.modules.pop(name) for name in _modules()}
    hooks = sys.path_hooks[:]
    _forget_finders()
    try:
        with patch.dict(os.environ, GREENUNI_PURE="1"):
            return importlib.import_module("greenuni.http")
    finally:
        for name in _modules():
            del sys.modules[name]
        sys.modules.update(hidden)
        sys.path_hooks[:] = hooks
        _forget_finders()


def _modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "greenuni"]


def _forget_finders() -> None:
    for directory in [name for name in sys.path_importer_cache if name.startswith(PACKAGE)]:
        del sys.path_importer_cache[directory]


def has_fast_engine() -> bool:
    """Whether the compiled engine is built, and not passed over."""
    return choose_engine("auto").name == "fast"


REFERENCE = Twin("Python sources, h11", load_sources())
SUBJECTS = [Twin("as installed, h11", greenuni.http)]
if has_fast_engine():
    SUBJECTS.append(Twin("as installed, fast", greenuni.http, "fast"))
