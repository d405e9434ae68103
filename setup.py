"""Compiles the hot modules where there is a C compiler; everything else is in pyproject.toml.

Every ``.py`` with a ``.pxd`` beside it is compiled from that same source, and every ``.pyx``. They refer
to each other's C types, so it is all of them or none: where one cannot be compiled (no compiler, no
headers of Python), none is installed, and Greenuni runs from its Python sources.

GREENUNI_PURE=1 in the environment skips the compiler.
GREENUNI_BUILD=required fails the installation instead of going on without.
CFLAGS, if set, replaces the flags below.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # annotations are mypy's; C types stand in the .pxd files
    "binding": False,  # methods as those of built-in types, which are cheaper to look up and to call
    "auto_pickle": False,
}
# Portable code, and no debug information: nobody steps through the generated C.
FLAGS = ["-O3", "-g0"]


def sources() -> list[Path]:
    """What is compiled, relative to this file."""
    package = ROOT / "greenuni"
    found = {path.with_suffix(".py") for path in package.rglob("*.pxd")}
    in_cython = set(package.rglob("*.pyx"))
    found = {path for path in found if path.exists() and path.with_suffix(".pyx") not in in_cython}
    return sorted(path.relative_to(ROOT) for path in found | in_cython)


def extensions() -> list[Extension]:
    if os.environ.get("GREENUNI_PURE") or sys.implementation.name != "cpython":
        return []
    flags = [] if os.environ.get("CFLAGS") else FLAGS
    return [
        Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=flags)
        for path in sources()
    ]


class BuildAllOrNone(build_ext):
    """Compiles in parallel; forgets all modules when one fails."""

    def run(self) -> None:
        if not self.extensions:
            return
        if missing := [
            each for each in self.extensions if not Path(self.get_ext_fullpath(each.name)).exists()
        ]:
            print(f"greenuni: compiling {len(missing)} modules, which takes a minute", flush=True)
        try:
            self._translate()
            self.parallel = self.parallel or os.cpu_count() or 1
            super().run()
        except Exception as error:  # whatever a compiler does wrong
            if os.environ.get("GREENUNI_BUILD") == "required":
                raise
            self._forget()
            print(f"greenuni: not compiled, runs from Python sources: {error}", file=sys.stderr)

    def _translate(self) -> None:
        from Cython.Build import cythonize

        # Named after this file, so that C code made with other directives is not taken for current.
        version = zlib.crc32(Path(__file__).read_bytes())
        self.extensions[:] = cythonize(
            self.extensions,
            compiler_directives=DIRECTIVES,
            build_dir=str(Path(self.build_temp) / f"c-{version:08x}"),
            nthreads=os.cpu_count() or 1,
            quiet=True,
        )
        self.swig_opts = []
        for extension in self.extensions:
            extension._needs_stub = False

    def _forget(self) -> None:
        for extension in self.extensions:
            for path in (
                Path(self.get_ext_fullpath(extension.name)),
                Path(self.build_lib) / self.get_ext_filename(extension.name),
            ):
                path.unlink(missing_ok=True)
        # Not emptied: that is the distribution's list, by which the wheel has decided its layout.
        self.extensions = []


if __name__ == "__main__":  # the translators' processes may import this file
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
