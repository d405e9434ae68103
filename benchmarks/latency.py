"""How long a request takes at a rate that the server can bear, as its clients feel it.

First wrk finds each server's saturation, the requests per second of one CPU at 64 connections.
Then ``openload`` asks at two fixed rates: half of the server's own saturation, which is how a busy
server should run, and one rate for all, half of the slowest server's saturation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import workloads
from answers import warm_up
from clocks import Clocks, least_disturbed
from commands import output
from machine import pinned_to
from processes import Process, running
from sections import Record, Stage, Step, in_turns
from servers import Server
from speed import START_SECONDS, sample_of

# Not gunicorn's sync worker, which closes every connection; not hypercorn, whose saturation would
# make the common rate a trickle; not gunicorn with uvicorn's worker, which is uvicorn.
SERVERS = (
    "greenuni-sync",
    "greenuni-threads",
    "bjoern",
    "granian-wsgi",
    "gunicorn-gthread",
    "waitress",
    "greenuni-uvloop",
    "greenuni-asyncio",
    "granian-asgi",
    "uvicorn-httptools",
    "uvicorn-h11",
    "gunicorn-asgi",
)
RATE_SECONDS = 1.5
HELLO = workloads.BY_NAME["hello"]


@dataclass
class Rates:
    """Requests per second, found on the way."""

    saturation: dict[str, float] = field(default_factory=dict)  # by the server's name

    def common(self) -> float:
        """Half of what the slowest server can do."""
        return min(self.saturation.values()) / 2


def steps(stage: Stage) -> Iterator[Step]:
    """The saturation of each, then rounds of both rates for each."""
    rates = Rates()
    servers = stage.options.chosen(SERVERS)
    for server in servers:
        yield Step(
            label=f"saturation of {server.name}",
            seconds=START_SECONDS + stage.options.seconds,
            measure=partial(_saturation, server, rates, stage),
        )
    for number in range(stage.options.rounds):
        for server in in_turns(servers, number):
            yield Step(
                label=f"round {number + 1} latency of {server.name}",
                seconds=START_SECONDS + 2 * RATE_SECONDS,
                measure=partial(_latencies, server, rates, stage),
            )


def _saturation(server: Server, rates: Rates, stage: Stage) -> list[Record]:
    with running(server, HELLO, stage.bench, stage.cpus.server) as process:
        warm_up(process.port, HELLO)
        sample = least_disturbed(
            partial(sample_of, process, server, HELLO, stage), lambda sample: sample.disturbance
        )
    rates.saturation[server.name] = sample.requests / sample.wall_seconds
    return []


def _latencies(server: Server, rates: Rates, stage: Stage) -> list[Record]:
    """Two records: ``own`` and ``common``. A server without a saturation has none."""
    if server.name not in rates.saturation:
        return []
    saturation = rates.saturation[server.name]
    records = []
    with running(server, HELLO, stage.bench, stage.cpus.server) as process:
        warm_up(process.port, HELLO)
        for kind, rate in (("own", saturation / 2), ("common", rates.common())):
            found = least_disturbed(partial(_open_loop, process, rate, stage), _disturbance)
            asked = {"kind": kind, "rate": round(rate), "saturation": round(saturation)}
            records.append({"server": server.name, **asked, **found})
    return records


def _open_loop(process: Process, rate: float, stage: Stage) -> dict[str, float]:
    """Quantiles in microseconds. Raises ``BenchError`` when an answer is wrong or missing.

    The disturbance is the share of the time in which somebody else had the server's CPU, or in which
    the client, which never sleeps, did not run: the larger of the two.
    """
    connections = str(stage.options.connections)
    command = [stage.openload, str(process.port), f"{rate:.0f}", str(RATE_SECONDS), connections]
    clocks = Clocks(process.pid, stage.cpus.server)
    with pinned_to(stage.cpus.load):
        printed: dict[str, float] = json.loads(output(command))
    _used, others = clocks.read()
    away = printed.pop("away")
    return {**printed, "disturbance": round(max(others / RATE_SECONDS, away), 3)}


def _disturbance(found: dict[str, float]) -> float:
    return found["disturbance"]
