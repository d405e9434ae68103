"""Runs the tests of the wire on modules compiled with AddressSanitizer and UBSan: ``make asan``.

Python's own allocator would hide an over-read, as it hands out pieces of large blocks; so every object
gets its memory from malloc, which the sanitizer watches. Cython's free lists are off for the same
reason. First the set-up proves that it can fail, on the module ``damage``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.building import ROOT, build_copy

FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g"
TESTS = ["tests/http", *(f"tests/fuzz/test_{name}.py" for name in ("twins", "corpus", "edges"))]
# These are about the time and the results of code that the others run, too.
SLOW = ["--ignore=tests/http/test_linear.py", "--ignore=tests/http/test_mutations.py"]
DAMAGE = {
    "damage.octet(b'abc', 10)": "heap-buffer-overflow",
    "damage.freed(7)": "heap-use-after-free",
    "damage.sum_with_largest(1)": "signed integer overflow",
}
HARMLESS = "assert (damage.octet(b'abc', 1), damage.sum_with_largest(-7)) == (98, 2**31 - 8)"


class Sanitized:
    """A copy of the package that was built with sanitizers, and how to run things in it."""

    def __init__(self, directory: Path) -> None:
        compiler = {
            "CC": "gcc",
            "CFLAGS": f"{FLAGS} -DCYTHON_USE_FREELISTS=0",
            "LDFLAGS": "-fsanitize=address,undefined",
        }
        build_copy(directory, compiler)
        self._directory = directory
        library = ["gcc", "-print-file-name=libasan.so"]
        self._environ = {
            **os.environ,
            "LD_PRELOAD": subprocess.check_output(library, text=True).strip(),
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(directory),
            "ASAN_OPTIONS": "detect_leaks=0",  # CPython itself leaves memory behind at its end
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }

    def run(self, *arguments: str) -> tuple[int, str]:
        """The status of Python with ``arguments``, and its stderr, where sanitizers report."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self._directory,
            env=self._environ,
            stderr=subprocess.PIPE,
            check=False,
        )
        return done.returncode, done.stderr.decode(errors="replace")


def check_that_it_can_fail(sanitized: Sanitized) -> None:
    """Every kind of damage is reported, and what is none is not."""
    for statement, report in DAMAGE.items():
        status, text = sanitized.run("-c", f"from greenuni import damage; {statement}")
        if status == 0 or report not in text:
            sys.exit(f"{statement}: no {report!r} was reported, but {status} and {text!r}")
    status, text = sanitized.run("-c", f"from greenuni import damage; {HARMLESS}")
    if status != 0 or text:
        sys.exit(f"{HARMLESS}: {status}\n{text}")
    print(f"{len(DAMAGE)} kinds of damage are found where they are done", flush=True)


def main() -> None:
    sanitized = Sanitized(ROOT / "build/asan")
    check_that_it_can_fail(sanitized)
    # --capture=sys leaves stderr itself alone.
    tests = sys.argv[1:] or TESTS + SLOW
    status, text = sanitized.run("-m", "pytest", "-q", "-n2", "--capture=sys", *tests)
    sys.stderr.write(text)
    sys.exit(status or "Sanitizer" in text or "runtime error" in text)


if __name__ == "__main__":
    main()
