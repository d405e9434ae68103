"""What a WebSocket costs: CPU time a message, and memory a connection that is open and says nothing.

::

    python3 benchmarks/websocket.py                 # prints the tables; about five minutes
    python3 benchmarks/websocket.py --into FILE     # writes them as a page, as make bench-websocket does
    python3 benchmarks/websocket.py --checkout      # greenuni as it was built in place

Server and clients have a CPU each; no compression is offered. The rounds go around the table, and of
each cell the round counts that others disturbed least. A ratio compares rows of one run; the
absolute times are this machine's, on this day.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from clocks import Clocks
from commands import BenchError, say
from crowd import Crowd
from environment import ROOT, Bench, build, pip
from machine import choose_cpus, describe_machine, find_wrk, pinned_to
from processes import Process, running, session_pss_kib
from servers import BY_NAME, Server
from tables import bullets, table
from workloads import BY_NAME as WORKLOADS

TITLE = "# What a WebSocket costs"
GENERATED = "<!-- Rendered by make bench-websocket from its run. Do not edit. -->"
READ = (
    "CPU microseconds of the server: a message there and back (64 clients), and a message heard by one of "
    "1,000 listeners. The ratio is to uvicorn with wsproto. Memory is the proportional set size that "
    "the server gained, divided by the connections, which were open and silent."
)
WEBSOCKETS = "websockets==17.4"
CLIENTS = 64
LISTENERS = 1000
BROADCASTS = 20
MOST = 20_000  # connections that a server must be willing to hold
WORKLOAD = replace(WORKLOADS["hello"], apps={"asgi": "websocket_app:app"})
UVICORN = BY_NAME["uvicorn-httptools"]
REFERENCE = "uvicorn, wsproto"
GRANIAN = BY_NAME["granian-asgi"]

SERVERS = (
    ("greenuni (uvloop)", BY_NAME["greenuni-uvloop"].with_flags(f"--worker-connections {MOST}")),
    ("greenuni (asyncio)", BY_NAME["greenuni-asyncio"].with_flags(f"--worker-connections {MOST}")),
    ("uvicorn, websockets", UVICORN.with_flags("--ws websockets-sansio")),
    (REFERENCE, UVICORN.with_flags("--ws wsproto")),
    ("granian", replace(GRANIAN, command=GRANIAN.command.replace(" --no-ws", ""))),
    ("hypercorn", BY_NAME["hypercorn"]),
    (
        "gunicorn asgi",
        BY_NAME["gunicorn-asgi"].with_flags(f"--worker-connections {MOST} --backlog 2048"),
    ),
)


@dataclass(frozen=True)
class Cost:
    """Of one cell: microseconds or KiB, and the share of the CPU that others had meanwhile."""

    value: float
    others: float


def by_message(process: Process, cpu: int, talk: Callable[[], int]) -> Cost:
    """CPU microseconds for each of the messages that ``talk`` counts."""
    clocks = Clocks(process.pid, cpu)
    messages = talk()
    used, others = clocks.read()
    return Cost(used / messages * 1e6, others / (used + others))


def measure(process: Process, cpu: int, seconds: float, idle: int) -> Iterator[tuple[str, Cost]]:
    """All cells of one row; a column that the server cannot fill is left out."""
    with Crowd(process.port, CLIENTS) as crowd:
        crowd.echo(bytes(64), seconds / 3)
        for size in (64, 4096):
            payload = b"x" * size
            yield (
                f"echo {size} B",
                by_message(process, cpu, lambda p=payload: crowd.echo(p, seconds)),  # type: ignore[misc]
            )
    with Crowd(process.port, LISTENERS, b"/room", b"!") as crowd:
        crowd.broadcast(b"x" * 64, 2)
        yield (
            "broadcast 64 B",
            by_message(process, cpu, lambda: crowd.broadcast(b"x" * 64, BROADCASTS)),
        )
    if idle:
        before = session_pss_kib(process.pid)
        with Crowd(process.port, idle):
            yield "KiB a connection", Cost((session_pss_kib(process.pid) - before) / idle, 0.0)


COLUMNS = ("echo 64 B", "echo 4096 B", "broadcast 64 B", "KiB a connection")
Results = dict[tuple[str, str], list[Cost]]


def run(bench: Bench, rounds: int, seconds: float, idle: int) -> Results:
    """Measure every server ``rounds`` times; memory in the first round only."""
    results: Results = {}
    for number in range(rounds):
        for title, server in SERVERS:
            say(f"round {number + 1} of {rounds}: {title}")
            try:
                measure_row(server, title, bench, results, (seconds, 0 if number else idle))
            except (BenchError, OSError) as error:
                say(f"{title}: {str(error).splitlines()[0]}")
    return results


def measure_row(
    server: Server, title: str, bench: Bench, results: Results, how: tuple[float, int]
) -> None:
    cpus = choose_cpus()
    seconds, idle = how
    with running(server, WORKLOAD, bench, cpus.server) as process, pinned_to(cpus.load):
        for column, cost in measure(process, cpus.server, seconds, idle):
            results.setdefault((title, column), []).append(cost)


def render(results: Results, conditions: list[str]) -> str:
    """The page."""
    best = {cell: min(found, key=lambda cost: cost.others) for cell, found in results.items()}
    lines = [["server", *COLUMNS]]
    for title, _ in SERVERS:
        cells = []
        for column in COLUMNS:
            cost, reference = best.get((title, column)), best.get((REFERENCE, column))
            if cost is None:
                cells.append("failed")
            elif reference is None or column == COLUMNS[-1]:
                cells.append(f"{cost.value:.1f}")
            else:
                cells.append(f"{cost.value:.1f} ({cost.value / reference.value:.2f} x)")
        lines.append([title, *cells])
    return "\n\n".join([TITLE, GENERATED, READ, table(lines), bullets(conditions)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of an echo, a row and round")
    parser.add_argument("--idle", type=int, default=10_000, help="silent connections, 0 for none")
    parser.add_argument("--checkout", action="store_true", help="do not install greenuni")
    parser.add_argument("--into", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * MOST), hard))
    try:
        bench = build(
            Path(ROOT, ".bench"), sys.executable, with_bjoern=False, checkout=options.checkout
        )
        pip(bench.bin / "python", WEBSOCKETS)
        results = run(bench, options.rounds, options.seconds, options.idle)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    cpus = choose_cpus()
    machine = [
        f"{name}: {value}" for name, value in describe_machine(bench, find_wrk(), cpus).items()
    ]
    method = f"{options.rounds} rounds of {options.seconds:g} s, {options.idle} silent connections"
    page = render(results, [*machine, f"method: {method}"])
    print(page)
    if options.into is not None:
        options.into.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
