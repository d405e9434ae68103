"""What the parts of a run have in common: what they stand on, and the steps that they consist of.

A section (speed, latency, memory, fairness) is a list of steps. A step measures one thing and
returns records: plain JSON objects, which is all that a section leaves behind, and all that the
report is rendered from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from environment import Bench
from machine import Cpus
from servers import Server
from workloads import Workload

Record = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What to measure, and for how long."""

    servers: tuple[Server, ...]
    workloads: tuple[Workload, ...]
    rounds: int
    seconds: int  # of one measurement
    connections: int  # of the load generators
    idle_connections: int  # of the memory section

    def chosen(self, names: Sequence[str]) -> list[Server]:
        """Those of ``names`` that take part, in that order."""
        taking_part = {server.name: server for server in self.servers}
        return [taking_part[name] for name in names if name in taking_part]

    def settings(self) -> dict[str, int]:
        """The numbers, for the report."""
        return {
            "rounds": self.rounds,
            "seconds": self.seconds,
            "connections": self.connections,
            "idle_connections": self.idle_connections,
        }


@dataclass(frozen=True)
class Stage:
    """What a section is run with."""

    bench: Bench
    cpus: Cpus
    wrk: str
    openload: str  # empty when it could not be built
    options: Options


@dataclass(frozen=True)
class Step:
    """One measurement. ``measure`` returns its records; ``BenchError`` fails this step alone."""

    label: str
    seconds: float  # a guess, for the time that is left
    measure: Callable[[], list[Record]]


def in_turns(servers: Sequence[Server], round_number: int) -> Sequence[Server]:
    """Every second round goes backwards, so that a drift of the machine hits all alike."""
    return servers[:: -1 if round_number % 2 else 1]
