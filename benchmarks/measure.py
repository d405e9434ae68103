"""One measurement: start a server, check its answer, load it, read its CPU time, stop it.

The cost of a request is the CPU time that the server's processes used while wrk ran, divided by
the requests that wrk saw answered. It hardly depends on how well the machine's scheduler serves
us, other than requests per second, and it is the number that decides how many machines one needs.

A server is started in a session of its own, so that "the server's processes" are those of the
session, whatever they forked; what a reaped process used is in its parent's ``cutime`` and
``cstime``. The kernel counts in clock ticks (10 ms), so measure for seconds.

A server that shares its CPU with somebody loses its caches and pays more system calls a request, so
how much of that CPU others had, the hypervisor included, is measured as well.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from environment import APPS, HERE, Bench, BenchError, Cpus, pinned_to
from servers import Server
from workloads import Workload

START_BUDGET = 20.0  # seconds a server may take until it answers
STOP_BUDGET = 5.0  # seconds a server may take after TERM
WARM_UP_REQUESTS = 200  # enough for the interpreter to specialise its bytecode
QUIET = 0.05  # share of the server's CPU that others may have had in a good sample
ATTEMPTS = 3
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """How hard wrk works."""

    wrk: str
    seconds: int
    connections: int


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
    def requests_per_second(self) -> float:
        """Throughput on one CPU, which wrk and the kernel limit, too."""
        return self.requests / self.wall_seconds

    @property
    def disturbance(self) -> float:
        """The share of the time in which somebody else had the server's CPU, 0 to 1."""
        return self.others_seconds / self.wall_seconds


def measure(server: Server, workload: Workload, bench: Bench, cpus: Cpus, load: Load) -> Sample:
    """Measure until nobody disturbs it, or ``ATTEMPTS`` times; the least disturbed sample counts.

    Raises ``BenchError`` when an answer is wrong or lost.
    """
    samples: list[Sample] = []
    with running(server, workload, bench, cpus) as process:
        warm_up(process.port, workload)
        while len(samples) < ATTEMPTS:
            samples.append(_sample(process, server, workload, cpus, load))
            if samples[-1].disturbance <= QUIET:
                break
        check_answer(process.port, workload)
    return min(samples, key=lambda sample: sample.disturbance)


def _sample(process: Process, server: Server, workload: Workload, cpus: Cpus, load: Load) -> Sample:
    before = _clocks(process.pid, cpus)
    result = run_wrk(process.port, workload, cpus, load)
    after = _clocks(process.pid, cpus)
    refuse_errors(result, workload)
    used = after.server - before.server
    return Sample(
        workload=workload.name,
        server=server.name,
        requests=result["requests"],
        wall_seconds=result["microseconds"] / 1e6,
        cpu_seconds=used,
        others_seconds=max(0.0, after.cpu - before.cpu - used),
    )


@dataclass(frozen=True)
class Clocks:
    """CPU seconds at one moment: of the server, and of everything on the server's CPU."""

    server: float
    cpu: float


def _clocks(session: int, cpus: Cpus) -> Clocks:
    return Clocks(session_cpu_seconds(session), cpu_busy_seconds(cpus.server))


@dataclass(frozen=True)
class Process:
    """A server that answers."""

    pid: int
    port: int


@contextmanager
def running(server: Server, workload: Workload, bench: Bench, cpus: Cpus) -> Iterator[Process]:
    """A server process that serves the workload's application, pinned to its CPU."""
    port = _free_port()
    command = server.argv(workload.apps[server.interface], port)
    with tempfile.TemporaryFile("w+") as log:
        with pinned_to(cpus.server):
            process = subprocess.Popen(
                [_script(bench, command[0]), *command[1:]],
                cwd=APPS,
                env=bench.process_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_it_answers(process, port, workload, log)
            yield Process(process.pid, port)
        finally:
            _stop(process)


def _script(bench: Bench, name: str) -> str:
    """``Popen`` looks for a program on our PATH, not on that of ``env``, so name it whole."""
    return str(bench.bin / name)


def _free_port() -> int:
    """A port that was free a moment ago; not every rival can report the one it was given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], port: int, workload: Workload, log: IO[str]
) -> None:
    deadline = time.monotonic() + START_BUDGET
    while True:
        try:
            check_answer(port, workload)
            return
        except OSError as error:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            log.seek(0)
            ended = f"ended with status {process.returncode}" if process.returncode else "is silent"
            raise BenchError(f"the server {ended} ({error}):\n{log.read()[-2000:]}") from None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """TERM, then KILL for whatever is left of the session."""
    process.terminate()
    try:
        process.wait(STOP_BUDGET)
    except subprocess.TimeoutExpired:
        pass
    for pid in _session_members(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def check_answer(port: int, workload: Workload) -> None:
    """Ask once. Raises ``OSError`` when nobody answers, ``BenchError`` when the answer is wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_BUDGET)
    try:
        _ask(connection, workload)
    finally:
        connection.close()


def warm_up(port: int, workload: Workload) -> None:
    """Ask often enough that measuring starts with a server in its stride."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_BUDGET)
    try:
        for _ in range(WARM_UP_REQUESTS):
            _ask(connection, workload)
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, workload: Workload) -> None:
    connection.request(
        workload.method, "/", body=workload.body or None, headers=dict(workload.headers)
    )
    response = connection.getresponse()
    body = response.read()
    if response.status != 200 or body != workload.expects:
        raise BenchError(
            f"wrong answer: status {response.status}, {len(body)} bytes {body[:60]!r},"
            f" expected 200 and {len(workload.expects)} bytes {workload.expects[:60]!r}"
        )


def run_wrk(port: int, workload: Workload, cpus: Cpus, load: Load) -> dict[str, int]:
    """Load the server; return what ``load.lua`` printed."""
    headers = [f"--header={name}: {value}" for name, value in workload.headers.items()]
    command = [
        load.wrk,
        "--threads=1",
        f"--connections={load.connections}",
        f"--duration={load.seconds}s",
        f"--script={HERE / 'load.lua'}",
        *headers,
        f"http://127.0.0.1:{port}/",
        "--",
        workload.method,
        str(workload.sends_bytes),
    ]
    with pinned_to(cpus.load):
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in finished.stdout.splitlines():
        if line.startswith("LOAD "):
            result: dict[str, int] = json.loads(line.removeprefix("LOAD "))
            return result
    raise BenchError(f"wrk failed:\n{finished.stdout}{finished.stderr}")


def refuse_errors(result: dict[str, int], workload: Workload) -> None:
    """A measurement with lost or wrong answers is not one. Raises ``BenchError``."""
    kinds = ("connect", "read", "write", "status", "timeout")
    lost = {kind: result[kind] for kind in kinds if result[kind]}
    if lost:
        counted = ", ".join(f"{count} {kind}" for kind, count in lost.items())
        raise BenchError(f"wrk counted errors in {result['requests']} requests: {counted}")
    if result["requests"] == 0:
        raise BenchError("wrk saw no request answered")
    if result["received"] < result["requests"] * len(workload.expects):
        raise BenchError(f"{result['received']} bytes are too few for {result['requests']} answers")


def session_cpu_seconds(session: int) -> float:
    """User and system time of all processes of a session, and of those they have reaped."""
    ticks = 0
    for pid in _session_members(session):
        fields = _stat_fields(pid)
        if fields:
            utime, stime, cutime, cstime = fields[11:15]
            ticks += int(utime) + int(stime) + int(cutime) + int(cstime)
    return ticks / CLOCK_TICKS


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


def _session_members(session: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat_fields(int(entry.name))
            if fields and int(fields[3]) == session:
                members.append(int(entry.name))
    return members


def _stat_fields(pid: int) -> list[str]:
    """``/proc/PID/stat`` from the third field on (the state), empty when the process is gone.

    The second field is the program's name in parentheses, which may contain spaces and more
    parentheses, hence the cut at the last one.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
