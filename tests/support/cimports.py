"""What Cython's files take from each other: read by the test of the architecture and by the build check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_FROM = re.compile(r"\s*from\s+([\w.]+)\s+c?import\s+(.+)")
_IMPORT = re.compile(r"\s*c?import\s+(.+)")


def cimports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a .pxd or a .pyx imports or cimports, absolute, with its line.

    A statement is one line. Where names come from a module, so does the module.
    """
    for number, text in enumerate(path.read_text().splitlines(), 1):
        line = text.partition("#")[0]
        if found := _FROM.match(line):
            yield number, found[1]
            for name in _names(found[2]):
                yield number, f"{found[1]}.{name}"
        elif found := _IMPORT.match(line):
            for name in _names(found[1]):
                yield number, name


def _names(text: str) -> Iterator[str]:
    for name in text.strip("() ").split(","):
        if name.strip():
            yield name.split(" as ")[0].strip()
