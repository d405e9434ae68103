"""Whether the compiled modules beside the sources were made from them."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from tests.support.cimports import cimports_of

ROOT = Path(__file__).parent.parent.parent
SUFFIX = EXTENSION_SUFFIXES[0]  # other versions of Python have theirs beside it
REMEDY = "run make build, or python setup.py build_ext --inplace"


def maybe_complaint(package: Path = ROOT / "greenuni") -> str | None:
    """One sentence if a compiled module is older than what it is made from, missing or left over."""
    binaries = {binary_of(path): path for path in sources_in(package)}
    there = set(package.rglob(f"*{SUFFIX}"))
    for binary in sorted(there):
        if binary not in binaries:
            return f"{_shown(binary, package)} has no source any more: delete it"
    for binary, source in sorted(binaries.items()):
        if there and binary not in there:
            return f"{_shown(source, package)} is not compiled and others are: {REMEDY}"
        for part in inputs_of(source, package) if there else ():
            if part.stat().st_mtime > binary.stat().st_mtime:
                return f"{_shown(part, package)} is newer than {binary.name}: {REMEDY}"
    return None


def sources_in(package: Path) -> list[Path]:
    """What setup.py compiles."""
    found = {path.with_suffix(".py") for path in package.rglob("*.pxd")}
    in_cython = set(package.rglob("*.pyx"))
    found = {path for path in found if path.exists() and path.with_suffix(".pyx") not in in_cython}
    return sorted(found | in_cython)


def binary_of(source: Path) -> Path:
    return source.with_name(source.stem + SUFFIX)


def inputs_of(source: Path, package: Path) -> set[Path]:
    """The source, its declarations, and the declarations that these cimport."""
    inputs: set[Path] = set()
    waiting = [source, source.with_suffix(".pxd")]
    while waiting:
        path = waiting.pop()
        if path in inputs or not path.exists():
            continue
        inputs.add(path)
        if path.suffix != ".py":
            parts = (module.split(".") for _, module in cimports_of(path))
            waiting += [
                package.parent.joinpath(*part).with_suffix(".pxd")
                for part in parts
                if part[0] == package.name
            ]
    return inputs


def _shown(path: Path, package: Path) -> Path:
    return path.relative_to(package.parent)
