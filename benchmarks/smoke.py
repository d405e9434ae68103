"""A comparison of seconds, for CI: does every server answer under load, and is the engine built?

It prints ratios and never fails on one; a shared CI machine proves no target. It fails when a
server fails, or when there is a C compiler and the compiled modules are missing in the checkout, from
which greenuni runs here, so that CI compiles once (``make build``).
"""

from __future__ import annotations

from pathlib import Path

import servers
import speed
import workloads
from commands import BenchError, say
from environment import build
from machine import choose_cpus, find_compiler, find_wrk
from sections import Options, Stage

SERVERS = ("greenuni-sync", "gunicorn-sync", "greenuni-uvloop", "uvicorn-httptools")
PAIRS = (("greenuni-sync", "gunicorn-sync"), ("greenuni-uvloop", "uvicorn-httptools"))


def main(directory: Path, interpreter: str) -> int:
    """Measure and print; return the exit status. Raises ``BenchError`` when nothing can be measured."""
    wrk = find_wrk()
    bench = build(directory, interpreter, with_bjoern=False, checkout=True)
    options = Options(
        servers=tuple(servers.BY_NAME[name] for name in SERVERS),
        workloads=(workloads.BY_NAME["hello"],),
        rounds=1,
        seconds=1,
        connections=64,
        idle_connections=0,
    )
    times, errors = _measure(Stage(bench, choose_cpus(), wrk, "", options))
    say(f"greenuni is {bench.engine}")
    for ours, rival in PAIRS:
        if ours in times and rival in times:
            ratio = times[ours] / times[rival]
            print(f"{ours} {times[ours]:.1f} us, {rival} {times[rival]:.1f} us, ratio {ratio:.2f}")
    if find_compiler() and bench.compiled_modules == 0:
        errors.append("there is a C compiler, but no compiled module: make build")
    for error in errors:
        say(f"failed: {error}")
    return 1 if errors else 0


def _measure(stage: Stage) -> tuple[dict[str, float], list[str]]:
    """Microseconds per request by server, and what went wrong."""
    times: dict[str, float] = {}
    errors: list[str] = []
    for step in speed.steps(stage):
        try:
            for record in step.measure():
                sample = speed.Sample(**record)
                times[sample.server] = sample.microseconds
        except (BenchError, OSError) as error:
            errors.append(f"{step.label}: {error}")
    return times, errors
