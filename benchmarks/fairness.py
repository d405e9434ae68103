"""How evenly the workers of a server share connections that stay.

Four workers, and wrk opens 64 keep-alive connections at once. Who accepts one keeps it, so a worker
with twice its share has twice the work for as long as the clients stay. The connections are counted
in the kernel's tables: whose descriptors are the server's ends of them. Workers and load share all
CPUs here, as they do on a machine that has more than one worker.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial

import workloads
from answers import warm_up
from commands import BenchError
from processes import connections_held, running
from sections import Record, Stage, Step
from servers import Server
from wrk import Load, wrk_command

HELLO = workloads.BY_NAME["hello"]
WORKERS = 4
OPENINGS = 4  # times that wrk opens its connections anew
LOAD_SECONDS = 1
SETTLING_SECONDS = 1.5  # for the other workers, when the first one answers
ENOUGH_OF_THEM = 0.97  # of the connections, before they are counted: some may be about to close

SERVERS = (
    "greenuni-sync",
    "greenuni-threads",
    "granian-wsgi",
    "gunicorn-gthread",
    "greenuni-uvloop",
    "greenuni-asyncio",
    "granian-asgi",
    "uvicorn-httptools",
    "gunicorn-asgi",
)


def steps(stage: Stage) -> Iterator[Step]:
    """A step a server, which is started once and loaded ``OPENINGS`` times."""
    for server in stage.options.chosen(SERVERS):
        yield Step(
            label=f"fair accept of {server.name}",
            seconds=2 + SETTLING_SECONDS + OPENINGS * LOAD_SECONDS,
            measure=partial(_openings, server, stage),
        )


def _openings(server: Server, stage: Stage) -> list[Record]:
    with running(server.with_flags(f"--workers {WORKERS}"), HELLO, stage.bench, None) as process:
        warm_up(process.port, HELLO)
        time.sleep(SETTLING_SECONDS)
        return [
            {"server": server.name, "held": _opening(process.pid, process.port, stage)}
            for _ in range(OPENINGS)
        ]


def _opening(session: int, port: int, stage: Stage) -> list[int]:
    """Connections of each worker when all are open in one run of wrk, the fullest first."""
    load = Load(stage.wrk, None, LOAD_SECONDS, stage.options.connections)
    wrk = subprocess.Popen(wrk_command(port, HELLO, load), stdout=subprocess.DEVNULL)
    enough = ENOUGH_OF_THEM * load.connections
    counts: list[int] = []
    try:
        # Not after a fixed time: with many old connections in the kernel's tables, opening takes longer.
        while sum(counts) < enough and wrk.poll() is None:
            time.sleep(LOAD_SECONDS / 10)
            counts = sorted(connections_held(session, port).values(), reverse=True)
    finally:
        wrk.wait()
    if sum(counts) < enough:
        raise BenchError(f"only {sum(counts)} of {load.connections} connections were accepted")
    return counts[:WORKERS]
