"""CPU time per request: start a server, check its answers, load it, read its clocks, stop it.

The cost of a request is the CPU time that the server's processes used while wrk ran, divided by
the requests that wrk saw answered. It hardly depends on how well the machine's scheduler serves
us, other than requests per second, and it is the number that decides how many machines one needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial

from answers import ask_once, warm_up
from clocks import Clocks, least_disturbed
from processes import Process, running
from sections import Options, Record, Stage, Step, in_turns
from servers import Server
from workloads import Workload
from wrk import Load, run_wrk

START_SECONDS = 1.2  # what starting, warming up and stopping takes, about


@dataclass(frozen=True)
class Sample:
    """What one measurement found."""

    workload: str
    server: str
    requests: int
    wall_seconds: float
    cpu_seconds: float
    others_seconds: float = 0.0  # that other processes and the hypervisor had the server's CPU

    @property
    def microseconds(self) -> float:
        """CPU time of the whole server per request."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def disturbance(self) -> float:
        """The share of the time in which somebody else had the server's CPU, 0 to 1."""
        return self.others_seconds / self.wall_seconds


@dataclass(frozen=True)
class Visit:
    """One life of a server process, with all workloads that its application answers."""

    round_number: int
    server: Server
    workloads: tuple[Workload, ...]


def visits(options: Options) -> Iterator[Visit]:
    """Round by round, application by application, the servers of an interface after each other."""
    for number in range(options.rounds):
        for interface in ("wsgi", "asgi"):
            servers = [server for server in options.servers if server.interface == interface]
            served = [workload for workload in options.workloads if interface in workload.apps]
            for app in dict.fromkeys(workload.apps[interface] for workload in served):
                same = tuple(workload for workload in served if workload.apps[interface] == app)
                for server in in_turns(servers, number):
                    yield Visit(number, server, same)


def steps(stage: Stage) -> Iterator[Step]:
    """A step a visit."""
    for visit in visits(stage.options):
        names = "+".join(workload.name for workload in visit.workloads)
        yield Step(
            label=f"round {visit.round_number + 1} {visit.server.name} {names}",
            seconds=START_SECONDS + stage.options.seconds * len(visit.workloads),
            measure=partial(_measure, visit, stage),
        )


def _measure(visit: Visit, stage: Stage) -> list[Record]:
    first = visit.workloads[0]
    with running(visit.server, first, stage.bench, stage.cpus.server) as process:
        return [
            asdict(_checked_sample(process, visit.server, workload, stage))
            for workload in visit.workloads
        ]


def _checked_sample(process: Process, server: Server, workload: Workload, stage: Stage) -> Sample:
    """The least disturbed sample, with the right answer before and after."""
    warm_up(process.port, workload)
    sample = least_disturbed(
        partial(sample_of, process, server, workload, stage), lambda sample: sample.disturbance
    )
    ask_once(process.port, workload)
    return sample


def sample_of(process: Process, server: Server, workload: Workload, stage: Stage) -> Sample:
    """One run of wrk, and what it cost. Raises ``BenchError`` when an answer was lost."""
    options, cpus = stage.options, stage.cpus
    load = Load(stage.wrk, cpus.load, options.seconds, options.connections)
    clocks = Clocks(process.pid, cpus.server)
    result = run_wrk(process.port, workload, load)
    used, others = clocks.read()
    return Sample(
        workload=workload.name,
        server=server.name,
        requests=result["requests"],
        wall_seconds=result["microseconds"] / 1e6,
        cpu_seconds=round(used, 6),
        others_seconds=round(others, 3),
    )
