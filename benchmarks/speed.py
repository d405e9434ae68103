"""CPU time per request: start a server, check its answers, load it, read its clocks, stop it.

The cost of a request is the CPU time that the server's processes used while wrk ran, divided by
the requests that wrk saw answered. It hardly depends on how well the machine's scheduler serves
us, other than requests per second, and it is the number that decides how many machines one needs.

A server that shares its CPU with somebody loses its caches and pays more system calls a request, so
how much of that CPU others had, the hypervisor included, is measured as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from answers import ask_once, warm_up
from commands import BenchError
from processes import CLOCK_TICKS, Process, running, session_cpu_seconds
from sections import Options, Record, Stage, Step, in_turns
from servers import Server
from workloads import Workload
from wrk import Load, run_wrk

QUIET = 0.05  # share of the server's CPU that others may have had in a good sample
ATTEMPTS = 3
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
            asdict(_quietest_sample(process, visit.server, workload, stage))
            for workload in visit.workloads
        ]


def _quietest_sample(process: Process, server: Server, workload: Workload, stage: Stage) -> Sample:
    """Measure until nobody disturbs it, or ``ATTEMPTS`` times; the least disturbed sample counts."""
    samples: list[Sample] = []
    warm_up(process.port, workload)
    while len(samples) < ATTEMPTS:
        samples.append(_sample(process, server, workload, stage))
        if samples[-1].disturbance <= QUIET:
            break
    ask_once(process.port, workload)
    return min(samples, key=lambda sample: sample.disturbance)


def _sample(process: Process, server: Server, workload: Workload, stage: Stage) -> Sample:
    options, cpus = stage.options, stage.cpus
    load = Load(stage.wrk, cpus.load, options.seconds, options.connections)
    before = session_cpu_seconds(process.pid), cpu_busy_seconds(cpus.server)
    result = run_wrk(process.port, workload, load)
    after = session_cpu_seconds(process.pid), cpu_busy_seconds(cpus.server)
    used = after[0] - before[0]
    return Sample(
        workload=workload.name,
        server=server.name,
        requests=result["requests"],
        wall_seconds=result["microseconds"] / 1e6,
        cpu_seconds=round(used, 6),
        others_seconds=round(max(0.0, after[1] - before[1] - used), 3),
    )


def cpu_busy_seconds(cpu: int) -> float:
    """Time since boot in which somebody had the CPU, or the hypervisor withheld it.

    Interrupts are left out: whether a process is charged for them depends on the kernel's build.
    """
    with Path("/proc/stat").open() as lines:
        for line in lines:
            name, *ticks = line.split()
            if name == f"cpu{cpu}":
                user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, ticks[:8])
                return (user + nice + system + steal) / CLOCK_TICKS
    raise BenchError(f"/proc/stat does not know CPU {cpu}")
