"""Whether the compiled modules beside the sources were made from them."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SUFFIX = EXTENSION_SUFFIXES[0]  # other versions of Python have theirs beside it
CLEANING = "find greenuni -name '*.so' -delete, and then make build"
REMEDY = "run make build, or python setup.py build_ext --inplace"


def maybe_complaint(package: Path = ROOT / "greenuni") -> str | None:
    """One sentence if the library of compiled modules was made from something else, or before it."""
    library = package / f"_library{SUFFIX}"
    for binary in sorted(package.rglob(f"*{SUFFIX}")):
        if binary != library:
            return f"{_shown(binary, package)} is a left-over: {CLEANING}"
    if library.exists():
        made = library.stat().st_mtime
        for part in sorted(inputs_in(package)):
            if part.stat().st_mtime > made:
                return f"{_shown(part, package)} is newer than {library.name}: {REMEDY}"
        if names_in(package).encode() not in library.read_bytes():
            return f"{library.name} has other modules than are compiled now: {REMEDY}"
    return None


def sources_in(package: Path) -> list[Path]:
    """What setup.py compiles."""
    found = {path.with_suffix(".py") for path in package.rglob("*.pxd")}
    in_cython = set(package.rglob("*.pyx"))
    found = {path for path in found if path.exists() and path.with_suffix(".pyx") not in in_cython}
    return sorted(found | in_cython)


def names_in(package: Path) -> str:
    """The modules, as the library lists them: on a line of their own."""
    paths = (path.relative_to(package.parent).with_suffix("") for path in sources_in(package))
    return "\n" + " ".join(".".join(path.parts) for path in paths) + "\n"


def inputs_in(package: Path) -> set[Path]:
    """The sources and all declarations."""
    return {*sources_in(package), *package.rglob("*.pxd")}


def _shown(path: Path, package: Path) -> Path:
    return path.relative_to(package.parent)
