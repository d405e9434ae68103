"""Compiles the hot modules where there is a C compiler; everything else is in pyproject.toml.

Every ``.py`` with a ``.pxd`` beside it is compiled from that same source, and every ``.pyx``. They refer
to each other's C types, so it is all of them or none: where one cannot be compiled (no compiler, no
headers of Python), none is installed, and Greenuni runs from its Python sources.

All of them are linked into one library, ``greenuni._library``, where ``greenuni/_finders.py`` finds them:
as files of their own each would have its own table of Python's functions, its own copies of them to
write to and its own half-empty pages, 1 MiB of memory for a worker.

GREENUNI_PURE=1 in the environment skips the compiler.
GREENUNI_BUILD=required fails the installation instead of going on without.
CFLAGS, if set, replaces the flags below.
"""

from __future__ import annotations

import os
import sys
import textwrap
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

ROOT = Path(__file__).parent
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # annotations are mypy's; C types stand in the .pxd files
    "binding": False,  # methods as those of built-in types, which are cheaper to look up and to call
    "auto_pickle": False,
}
LIBRARY = "greenuni._library"
# Portable code, and no debug information: nobody steps through the generated C.
PORTABLE = ["-g0"]
if sys.platform == "linux":
    # Python's functions are called where the table of them says, and not by way of a jump to there.
    PORTABLE.append("-fno-plt")
# What is not named below runs less than once a request, and is as small as it can be.
SMALL = ["-Os"]
# Most of a request's way is not worth the copies that -O3 makes of code,
HOT = ["-O2", "-falign-functions=1", "-falign-jumps=1", "-falign-loops=1"]
# but in these modules they save a tenth of their instructions.
HOTTEST = ["-O3"]
LEVELS = {
    "arbiter.fastslot": HOT,
    "asgi.aio": HOT,
    "asgi.call": HOTTEST,
    "asgi.connection": HOT,
    "asgi.control": HOT,
    "asgi.dialogue": HOT,
    "asgi.eager": HOT,
    "asgi.inbox": HOT,
    "asgi.input": HOT,
    "asgi.lending": HOT,
    "asgi.output": HOT,
    "asgi.reply": HOTTEST,
    "asgi.scope": HOT,
    "asgi.service": HOT,
    "asgi.transport": HOT,
    "clock": HOTTEST,
    "http.connection": HOT,
    "http.fast": HOTTEST,
    "http.fields": HOT,
    "http.proxy": HOT,
    "http.request": HOT,
    "http.responder": HOTTEST,
    "http.states": HOT,
    "transfer": HOT,
    "wsgi.application": HOTTEST,
    "wsgi.connection": HOTTEST,
    "wsgi.control": HOT,
    "wsgi.environ": HOT,
    "wsgi.isolation": HOT,
    "wsgi.loop": HOT,
    "wsgi.output": HOT,
    "wsgi.runner": HOTTEST,
}
# The module that Python finds in the library's file; those inside are initialised by their own functions.
MAIN = """\
#include <Python.h>

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_library", NULL, -1, NULL};

PyMODINIT_FUNC PyInit__library(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddStringConstant(module, "NAMES", "\\n%s\\n") < 0)
        Py_CLEAR(module);
    return module;
}
"""


def sources() -> list[Path]:
    """What is compiled, relative to this file."""
    package = ROOT / "greenuni"
    found = {path.with_suffix(".py") for path in package.rglob("*.pxd")}
    in_cython = set(package.rglob("*.pyx"))
    found = {path for path in found if path.exists() and path.with_suffix(".pyx") not in in_cython}
    return sorted(path.relative_to(ROOT) for path in found | in_cython)


def module_name(source: Path) -> str:
    return ".".join(source.with_suffix("").parts)


def extensions() -> list[Extension]:
    if os.environ.get("GREENUNI_PURE") or sys.implementation.name != "cpython":
        return []
    return [Extension(LIBRARY, [str(path) for path in sources()])]


def flags(name: str) -> list[str]:
    """What the compiler is told about one module."""
    # ``http/connection`` and ``wsgi/connection`` are in one library: see ``_finders.Member``.
    last, unique = name.rpartition(".")[2], name.replace(".", "_")
    define = [f"-DPyInit_{last}=PyInit_{unique}"]
    if os.environ.get("CFLAGS"):
        return define
    return [*define, *PORTABLE, *LEVELS.get(name.removeprefix("greenuni."), SMALL)]


class BuildAllOrNone(build_ext):
    """Compiles in parallel what has changed; forgets all modules when one fails."""

    def run(self) -> None:
        if not self.extensions:
            return
        if not Path(self.get_ext_fullpath(LIBRARY)).exists():
            print(f"greenuni: compiling {len(sources())} modules, which takes a minute", flush=True)
        for extension in self.extensions:
            extension._needs_stub = False
        try:
            super().run()
        except Exception as error:  # whatever a compiler does wrong
            if os.environ.get("GREENUNI_BUILD") == "required":
                raise
            self._forget()
            # It may quote the compiler's whole command.
            reason = textwrap.shorten(str(error), 160, placeholder=" ...")
            print(f"greenuni: not compiled, runs from Python sources: {reason}", file=sys.stderr)

    def build_extension(self, extension: Extension) -> None:
        # First, for where there is no compiler, or no Python.h, it ends here.
        main = self._compile(self._write_main(), [])
        translated = self._translate()
        with ThreadPoolExecutor(self.parallel or os.cpu_count()) as pool:
            objects = list(pool.map(self._compile, translated.values(), map(flags, translated)))
        objects.append(main)
        target = self.get_ext_fullpath(extension.name)
        if newer_group(objects, target):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self.compiler.link_shared_object(
                objects, target, library_dirs=self.library_dirs, build_temp=self.build_temp
            )

    def _translate(self) -> dict[str, str]:
        """The C files, by the names of their modules; made anew where something has changed."""
        from Cython.Build import cythonize

        made = cythonize(
            [Extension(module_name(path), [str(path)]) for path in sources()],
            compiler_directives=DIRECTIVES,
            build_dir=str(self._directory()),
            nthreads=os.cpu_count() or 1,
            quiet=True,
        )
        return {each.name: each.sources[0] for each in made}

    def _directory(self) -> Path:
        """Where the C files are. Named after what decides how they are made and compiled."""
        chosen = [os.environ.get(name, "") for name in ("CC", "CFLAGS", "CPPFLAGS")]
        version = zlib.crc32(Path(__file__).read_bytes() + repr(chosen).encode())
        return Path(self.build_temp) / f"c-{version:08x}"

    def _write_main(self) -> str:
        path = self._directory() / "_library.c"
        text = MAIN % " ".join(map(module_name, sources()))
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(path)

    def _compile(self, source: str, options: list[str]) -> str:
        """The object file, compiled unless it is younger than its source."""
        (made,) = self.compiler.object_filenames([source], output_dir=self.build_temp)
        if newer_group([source], made):
            self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=self.include_dirs,
                extra_postargs=options,
            )
        return made

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
