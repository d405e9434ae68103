"""What an adapter from WSGI to ASGI costs: CPU time a request, beside a2wsgi and asgiref.

::

    python3 benchmarks/bridge.py                    # prints a table; about two minutes
    python3 benchmarks/bridge.py --into FILE        # writes it as a page, as make bench-bridge does
    python3 benchmarks/bridge.py --checkout         # greenuni as it was built in place

The same "hello" through each adapter in the same server, 64 kept-alive connections, server and load on
a CPU each. The rounds go around the table, and of each row the round that others disturbed least counts;
what they did then is printed beside it. A ratio compares rows of one run; the absolute times are this
machine's, on this day.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clocks import Clocks
from commands import BenchError, say
from environment import ROOT, Bench, build, pip
from machine import choose_cpus, describe_machine, find_wrk
from processes import running
from servers import BY_NAME, Server
from tables import bullets, table
from workloads import BY_NAME as WORKLOADS
from wrk import Load, run_wrk

TITLE = "# What an adapter from WSGI to ASGI costs"
GENERATED = "<!-- Rendered by make bench-bridge from its run. Do not edit. -->"
READ = (
    "The same hello through each adapter, server and load on a CPU each. Of each row the round counts that "
    "others disturbed least; what they had of the server's CPU then is in the last column."
)
A2WSGI = "a2wsgi==1.10.10"
WARM_UP = 1  # seconds
TARGET = 0.60  # of uvicorn --interface wsgi, for a WSGI application in an asgi worker
GREENUNI = BY_NAME["greenuni-uvloop"]
UVICORN = BY_NAME["uvicorn-httptools"]
ROWS = (
    ("greenuni", "no adapter: an ASGI application", GREENUNI, "bridge_app:plain"),
    ("greenuni", "greenuni.bridge.WSGIToASGI", GREENUNI, "bridge_app:ours"),
    (
        "greenuni",
        "--worker-class asgi, the same adapter",
        GREENUNI.with_flags("--interface wsgi --worker-class asgi"),
        "wsgi_app:hello",
    ),
    ("greenuni", "a2wsgi.WSGIMiddleware", GREENUNI, "bridge_app:a2wsgi"),
    ("greenuni", "asgiref.wsgi.WsgiToAsgi", GREENUNI, "bridge_app:asgiref"),
    ("uvicorn", "no adapter: an ASGI application", UVICORN, "bridge_app:plain"),
    ("uvicorn", "greenuni.bridge.WSGIToASGI", UVICORN, "bridge_app:ours"),
    ("uvicorn", "a2wsgi.WSGIMiddleware", UVICORN, "bridge_app:a2wsgi"),
    (
        "uvicorn",
        "--interface wsgi (a2wsgi, 10 threads)",
        UVICORN.with_flags("--interface wsgi"),
        "wsgi_app:hello",
    ),
)


def measure(server: Server, app: str, bench: Bench, load: Load, cpu: int) -> tuple[float, float]:
    """CPU microseconds a request, and the share of the server's CPU that others had."""
    workload = replace(WORKLOADS["hello"], apps={"asgi": app})
    with running(server, workload, bench, cpu) as process:
        run_wrk(process.port, workload, replace(load, seconds=WARM_UP))
        clocks = Clocks(process.pid, cpu)
        requests = run_wrk(process.port, workload, load)["requests"]
        used, others = clocks.read()
    return used / requests * 1e6, others / (used + others)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of load, a row and round")
    parser.add_argument("--checkout", action="store_true", help="do not install greenuni")
    parser.add_argument("--into", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    try:
        bench = build(
            Path(ROOT, ".bench"), sys.executable, with_bjoern=False, checkout=options.checkout
        )
        pip(bench.bin / "python", A2WSGI)
        page = report(bench, options.rounds, options.seconds)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(page)
    if options.into is not None:
        options.into.write_text(page)
    return 0


def report(bench: Bench, rounds: int, seconds: int) -> str:
    """Measure, and say what was found as a page of Markdown."""
    cpus = choose_cpus()
    wrk = find_wrk()
    load = Load(wrk, cpus.load, seconds, connections=64)
    results: dict[int, list[tuple[float, float]]] = {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for row, (_, title, server, app) in enumerate(ROWS):
            try:
                result = measure(server, app, bench, load, cpus.server)
            except BenchError as error:
                say(f"{title}: {str(error).splitlines()[0]}")
            else:
                results.setdefault(row, []).append(result)
    best = {row: min(found, key=lambda result: result[1]) for row, found in results.items()}
    machine = [f"{name}: {value}" for name, value in describe_machine(bench, wrk, cpus).items()]
    method = f"{rounds} rounds of {seconds} s a row, 64 connections, one CPU for the server"
    return render(best, [*machine, f"method: {method}"])


def render(best: dict[int, tuple[float, float]], conditions: Sequence[str]) -> str:
    """The page: what was reached, the table, the conditions."""
    reference = best.get(len(ROWS) - 1, (0.0, 0.0))[0]
    lines = [["server", "adapter", "CPU us a request", "of uvicorn --interface wsgi", "others"]]
    verdict = "not measured"
    for row, (server_title, title, _, app) in enumerate(ROWS):
        if row not in best:
            lines.append([server_title, title, "failed", "", ""])
            continue
        cost, others = best[row]
        ratio = cost / reference if reference else 0.0
        lines.append([server_title, title, f"{cost:.1f}", f"{ratio:.2f} x", f"{others:.0%}"])
        if server_title == "greenuni" and app == "wsgi_app:hello" and reference:
            verdict = f"{ratio:.2f} x, {'met' if ratio <= TARGET else 'missed'}"
    target = (
        f"Target, a WSGI hello in an asgi worker: {TARGET:.2f} x uvicorn --interface wsgi or less. "
        f"Measured: {verdict}."
    )
    return (
        "\n\n".join(
            [TITLE, GENERATED, target, table(lines, text_columns=2), READ, bullets(conditions)]
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
