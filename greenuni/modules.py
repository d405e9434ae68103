"""Whose code a module is."""

from __future__ import annotations

import os

_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep


def is_library(file: str) -> bool:
    """Whether a module's file belongs to Python, to an installed package or to us, not to the user."""
    return "-packages" in file or file.startswith((_STANDARD_LIBRARY, _OWN))
