"""Compares the twins on inputs that a coverage-guided fuzzer makes: ``make fuzz SECONDS=600``.

Run by itself this module builds a copy of the package with clang, its coverage counters and
AddressSanitizer, and then itself in that copy, under atheris, Google's libFuzzer for Python. The fuzzer
sees which branches of the compiled modules an input takes, and keeps inputs that take new ones. It
begins with the corpus and the seeds; a crash, a report or a difference ends it, with the blob in
``build/fuzz/found``. What takes new branches is collected in ``build/fuzz/corpus``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tests.corpus import load_corpus
from tests.fuzz.blobs import encode_arrival, judge
from tests.fuzz.building import ROOT, build_copy
from tests.fuzz.twins import SUBJECTS

FLAGS = "-fsanitize=address,fuzzer-no-link -fno-omit-frame-pointer -O1 -g"
SEEDS = Path(__file__).parent / "seeds"
DICTIONARY = Path(__file__).parent / "http.dict"
LARGEST = 4096  # octets of an input


def build(directory: Path) -> None:
    compiler = {
        "CC": "clang",
        "LDSHARED": "clang -shared",
        "CFLAGS": f"{FLAGS} -DCYTHON_USE_FREELISTS=0",
    }
    build_copy(directory / "copy", compiler)
    for name in ("corpus", "found"):
        (directory / name).mkdir(exist_ok=True)
    for case in load_corpus():
        if len(case.raw) < LARGEST:
            (directory / "corpus" / case.name).write_bytes(encode_arrival(case.raw))


def run(directory: Path, seconds: int) -> int:
    """The status of the fuzzer, 0 when nothing was found."""
    import atheris

    arguments = [
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST}",
        f"-dict={DICTIONARY}",
        f"-artifact_prefix={directory / 'found'}/",
        "-timeout=20",
        "-rss_limit_mb=0",
        "-print_final_stats=1",
    ]
    environ = {
        **os.environ,
        "LD_PRELOAD": str(Path(atheris.path()) / "asan_with_fuzzer.so"),
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(directory / "copy"),
        "ASAN_OPTIONS": "detect_leaks=0",
        "GREENUNI_BUILD": "required",
    }
    command = [sys.executable, "-m", "tests.fuzz.guided", "--fuzz", *arguments]
    corpora = [str(directory / "corpus"), str(SEEDS)]
    return subprocess.run(
        [*command, *corpora], cwd=directory / "copy", env=environ, check=False
    ).returncode


def fuzz(arguments: list[str]) -> None:
    """Never returns."""
    import atheris

    subjects = [twin for twin in SUBJECTS if twin.engine == "fast"]
    assert subjects, "the compiled engine is there"
    atheris.Setup([sys.argv[0], *arguments], lambda blob: judge(blob, subjects))
    atheris.Fuzz()


def main() -> None:
    if sys.argv[1:2] == ["--fuzz"]:
        fuzz(sys.argv[2:])
    directory = ROOT / "build/fuzz"
    build(directory)
    status = run(directory, int(sys.argv[1]))
    with contextlib.suppress(OSError):
        (directory / "found").rmdir()
    sys.exit(status)


if __name__ == "__main__":
    main()
