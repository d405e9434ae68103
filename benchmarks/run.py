"""Compare greenuni with its rivals on this machine: ``python3 benchmarks/run.py``.

Prints a report in Markdown and writes it, with every sample as JSON, to the output directory.
The exit status is 0 when everything that was asked for was measured, 1 when a measurement failed,
2 when none was possible. A claim that falls short is a result, not an error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import servers
import workloads
from environment import (
    ROOT,
    Bench,
    BenchError,
    Cpus,
    build,
    choose_cpus,
    describe_machine,
    find_wrk,
)
from measure import Load, measure
from report import Report
from servers import Server
from workloads import Workload

BENCH_DIRECTORY = ROOT / ".bench"


@dataclass(frozen=True)
class Plan:
    """What to measure, in which order."""

    servers: tuple[Server, ...]
    workloads: tuple[Workload, ...]
    rounds: int

    def __iter__(self) -> Iterator[tuple[int, Workload, Server]]:
        """Round by round, workload by workload; odd rounds go through the servers backwards."""
        for number in range(self.rounds):
            for workload in self.workloads:
                for server in self.servers[:: -1 if number % 2 else 1]:
                    if server.interface in workload.apps:
                        yield number, workload, server

    def __len__(self) -> int:
        return sum(1 for _ in self)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    options = _parse(arguments)
    try:
        wrk = find_wrk()
        bench = build(BENCH_DIRECTORY, options.python, with_bjoern="bjoern" in options.servers)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    cpus = choose_cpus()
    if cpus.shared:
        print("bench: there is only one CPU; server and load share it", file=sys.stderr)
    plan = _plan(options, bench)
    report = Report(
        machine=describe_machine(bench, wrk, cpus),
        settings={
            "rounds": options.rounds,
            "seconds": options.seconds,
            "connections": options.connections,
        },
        servers=plan.servers,
        workloads=plan.workloads,
        skipped={name: bench.skipped[name] for name in options.servers if name in bench.skipped},
    )
    _measure_all(plan, report, bench, cpus, Load(wrk, options.seconds, options.connections))
    print(report.to_markdown())
    _write(report, options.output)
    return 1 if report.errors else 0


def _plan(options: argparse.Namespace, bench: Bench) -> Plan:
    chosen = [servers.BY_NAME[name] for name in options.servers]
    return Plan(
        servers=tuple(server for server in chosen if server.distribution not in bench.skipped),
        workloads=tuple(workloads.BY_NAME[name] for name in options.workloads),
        rounds=options.rounds,
    )


def _measure_all(plan: Plan, report: Report, bench: Bench, cpus: Cpus, load: Load) -> None:
    """Fill the report. One failure does not end the run, it becomes an error of the report."""
    total = len(plan)
    started = time.monotonic()
    for index, (number, workload, server) in enumerate(plan, start=1):
        try:
            sample = measure(server, workload, bench, cpus, load)
        except (BenchError, OSError) as error:
            report.errors.append(f"{workload.name}, {server.name}, round {number + 1}: {error}")
            outcome = "failed"
        else:
            report.samples.append(sample)
            outcome = f"{sample.microseconds:.1f} us"
        left = (time.monotonic() - started) / index * (total - index)
        print(
            f"[{index}/{total}] round {number + 1} {workload.name:8} {server.name:18}"
            f" {outcome:>10}   {left / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )


def _write(report: Report, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    (directory / f"{stem}.md").write_text(report.to_markdown())
    (directory / f"{stem}.json").write_text(json.dumps(report.to_json(), indent=1) + "\n")
    print(f"bench: written to {directory / stem}.md and .json", file=sys.stderr)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare greenuni with its rivals.")
    parser.add_argument(
        "--servers",
        nargs="+",
        choices=servers.BY_NAME,
        metavar="NAME",
        help=f"which servers, default all: {' '.join(servers.BY_NAME)}",
    )
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=workloads.BY_NAME,
        metavar="NAME",
        help=f"which workloads, default all: {' '.join(workloads.BY_NAME)}",
    )
    parser.add_argument("--rounds", type=int, help="measurements of each pair (3)")
    parser.add_argument("--seconds", type=int, help="length of one measurement (3)")
    parser.add_argument("--connections", type=int, default=64, help="wrk's connections (64)")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter that runs all servers (this one)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smoke test: two servers, hello, one round of one second",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=BENCH_DIRECTORY / "results",
        metavar="DIRECTORY",
        help="where the report goes (.bench/results, which git ignores)",
    )
    options = parser.parse_args(arguments)
    _fill_defaults(options)
    return options


def _fill_defaults(options: argparse.Namespace) -> None:
    """What was not given: everything for a whole run, the least for a quick one."""
    quick = options.quick
    options.servers = options.servers or (servers.QUICK if quick else tuple(servers.BY_NAME))
    options.workloads = options.workloads or (("hello",) if quick else tuple(workloads.BY_NAME))
    options.rounds = options.rounds or (1 if quick else 3)
    options.seconds = options.seconds or (1 if quick else 3)


if __name__ == "__main__":
    sys.exit(main())
