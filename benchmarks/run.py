"""Compare greenuni with its rivals on this machine: ``python3 benchmarks/run.py``.

Measures what was asked for, section by section, merges it into ``results/latest.json`` of the output
directory and renders the report there. The exit status is 0 when everything that was asked for was
measured, 1 when a measurement failed, 2 when none was possible. A target that is missed is a result,
not an error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fairness
import latency
import memory
import results
import servers
import smoke
import speed
import workloads
from commands import BenchError, say
from environment import ROOT, Bench, build
from machine import Cpus, build_openload, choose_cpus, describe_machine, find_wrk
from render import write_report
from results import SECTION_NAMES, Section
from sections import Options, Stage, Step

BENCH_DIRECTORY = ROOT / ".bench"
STEPS = {
    "speed": speed.steps,
    "latency": latency.steps,
    "memory": memory.steps,
    "fairness": fairness.steps,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    options = _parse(arguments)
    try:
        if options.smoke:
            return smoke.main(BENCH_DIRECTORY, options.python)
        wrk = find_wrk()
        bench = build(BENCH_DIRECTORY, options.python, with_bjoern="bjoern" in options.servers)
    except BenchError as error:
        say(str(error))
        return 2
    stage, skipped = _set_up(options, bench, wrk, choose_cpus())
    failures = 0
    for name, section in _measure(options.only, stage, skipped):
        merged = results.merge(options.into / "results" / "latest.json", {name: section})
        write_report(merged, options.into)
        failures += len(section.errors)
    say(f"{failures} measurements failed; the report is {options.into / 'README.md'}")
    return 1 if failures else 0


def _set_up(
    options: argparse.Namespace, bench: Bench, wrk: str, cpus: Cpus
) -> tuple[Stage, dict[str, str]]:
    """The stage of this run, and what will not be measured, with the reason."""
    skipped = dict(bench.skipped)
    openload = ""
    try:
        if cpus.shared:
            raise BenchError("a client that never sleeps needs a CPU of its own")
        openload = build_openload(BENCH_DIRECTORY)
    except BenchError as error:
        skipped["latency"] = str(error)
    chosen = [servers.BY_NAME[name] for name in options.servers]
    asked = Options(
        servers=tuple(server for server in chosen if server.distribution not in bench.skipped),
        workloads=tuple(workloads.BY_NAME[name] for name in options.workloads),
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        idle_connections=options.idle_connections,
    )
    return Stage(bench, cpus, wrk, openload, asked), skipped


def _measure(
    names: list[str], stage: Stage, skipped: dict[str, str]
) -> Iterator[tuple[str, Section]]:
    """Run the sections after each other. One failure does not end the run, it is reported."""
    for name, reason in skipped.items():
        say(f"{name} is left out: {reason}")
    plan = {name: list(STEPS[name](stage)) for name in names if name not in skipped}
    progress = Progress(step for steps in plan.values() for step in steps)
    for name, steps in plan.items():
        section = Section(
            describe_machine(stage.bench, stage.wrk, stage.cpus),
            stage.options.settings(),
            skipped=skipped,
        )
        for step in steps:
            _run_step(step, section, progress)
        yield name, section


def _run_step(step: Step, section: Section, progress: Progress) -> None:
    try:
        records = step.measure()
    except (BenchError, OSError) as error:
        section.errors.append(f"{step.label}: {error}")
        progress.done(step, f"failed: {str(error).splitlines()[0]}")
    else:
        section.records += records
        progress.done(step, "")


class Progress:
    """Says after each step how much time is left, by the guesses so far and how they turned out."""

    def __init__(self, steps: Iterator[Step]) -> None:
        guesses = [step.seconds for step in steps]
        self._total = len(guesses)
        self._guessed_left = sum(guesses)
        self._guessed_done = 0.0
        self._count = 0
        self._started = time.monotonic()

    def done(self, step: Step, outcome: str) -> None:
        self._count += 1
        self._guessed_done += step.seconds
        self._guessed_left -= step.seconds
        pace = (time.monotonic() - self._started) / self._guessed_done
        left = max(0.0, self._guessed_left) * pace / 60
        line = f"[{self._count}/{self._total}] {step.label}  {left:.0f} min left  {outcome}"
        print(line.rstrip(), file=sys.stderr, flush=True)

    def __repr__(self) -> str:
        return f"<Progress {self._count} of {self._total} steps>"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare greenuni with its rivals.")
    _add_choice(parser, "--only", SECTION_NAMES, "which sections")
    _add_choice(parser, "--servers", tuple(servers.BY_NAME), "which servers")
    _add_choice(parser, "--workloads", tuple(workloads.BY_NAME), "which workloads")
    parser.add_argument("--rounds", type=int, help="measurements of each pair (3)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one measurement (1)")
    parser.add_argument("--connections", type=int, default=64, help="wrk's connections (64)")
    parser.add_argument("--idle-connections", type=int, help="for the memory section (10000)")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter that runs all servers (this one)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="four servers, hello, one round, 1000 idle connections, unless asked for more",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="print a few ratios, fail on errors only; for CI"
    )
    parser.add_argument(
        "--into",
        type=Path,
        default=BENCH_DIRECTORY / "report",
        metavar="DIRECTORY",
        help="where results and report go (.bench/report, which git ignores)",
    )
    options = parser.parse_args(arguments)
    _fill_defaults(options)
    return options


def _add_choice(
    parser: argparse.ArgumentParser, flag: str, names: tuple[str, ...], words: str
) -> None:
    parser.add_argument(
        flag,
        nargs="+",
        choices=names,
        metavar="NAME",
        help=f"{words}, default all: {' '.join(names)}",
    )


def _fill_defaults(options: argparse.Namespace) -> None:
    """What was not given: everything for a whole run, the least for a quick one."""
    quick = options.quick
    options.only = options.only or list(SECTION_NAMES)
    options.servers = options.servers or (servers.QUICK if quick else tuple(servers.BY_NAME))
    options.workloads = options.workloads or (("hello",) if quick else tuple(workloads.BY_NAME))
    options.rounds = options.rounds or (1 if quick else 3)
    options.idle_connections = options.idle_connections or (1000 if quick else 10_000)


if __name__ == "__main__":
    sys.exit(main())
