"""Where the time of a request goes: ``python3 benchmarks/profiling.py [WORKLOAD ...]``.

Writes ``profiles/WORKLOAD.md`` for each workload (all of them): system calls per request beside the
rivals (strace), CPU time by shared object and by function (perf), and time under each Python function
(py-spy). Needs root or ptrace rights; a tool that is missing or not allowed leaves its table out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import workloads
from answers import warm_up
from commands import BenchError, output, say
from environment import HERE, ROOT, Bench, build, pip
from machine import Cpus, choose_cpus, describe_machine, find_tool, find_wrk, pinned_to
from processes import Process, running, session_cpu_seconds, session_members
from profile_page import Profile, parse_perf, parse_stacks, parse_strace, render_page
from servers import BY_NAME, Server
from workloads import Workload
from wrk import Load, run_wrk, wrk_command

PY_SPY = "py-spy==0.4.3"
OURS = ("greenuni-sync", "greenuni-uvloop")
RIVALS = ("bjoern", "granian-wsgi", "granian-asgi", "uvicorn-httptools")
CONNECTIONS = 64
PERF_SECONDS = 2
PERF_HERTZ = 1999
SPY_SECONDS = 2
SPY_HERTZ = 500
TRACER_PATIENCE = 5.0  # seconds that strace may take to attach


class Profiler:
    """Runs servers under the tools."""

    def __init__(self, bench: Bench, wrk: str, cpus: Cpus) -> None:
        self._bench = bench
        self._wrk = wrk
        self._cpus = cpus
        self.missing: dict[str, str] = {}  # tool -> why its table is left out

    def page(self, workload: Workload) -> str:
        """The page of one workload."""
        profiles = [self.profile(server, workload) for server in _ours(workload)]
        rivals = {
            server.title: self._rival_calls(server, workload)
            for server in _serving(RIVALS, workload)
            if server.distribution not in self._bench.skipped
        }
        machine = describe_machine(self._bench, self._wrk, self._cpus)
        return render_page(workload, machine, profiles, rivals, self.missing)

    def profile(self, server: Server, workload: Workload) -> Profile:
        """One server of ours under all tools, one after the other."""
        say(f"{workload.name}, {server.name}")
        profile = Profile(server.title)
        with self._warm(server, workload) as process:
            profile.microseconds = self._cost(process, workload)
            with self._optional("strace"):
                profile.calls = self._system_calls(process, workload)
            with self._optional("perf"):
                profile.objects, profile.functions = self._perf(process, workload)
            with self._optional("py-spy"):
                profile.stacks = self._python_functions(process, workload)
        return profile

    def _rival_calls(self, server: Server, workload: Workload) -> dict[str, float]:
        profile = Profile(server.title)
        with self._optional("strace"), self._warm(server, workload) as process:
            profile.calls = self._system_calls(process, workload)
        return profile.calls

    @contextmanager
    def _warm(self, server: Server, workload: Workload) -> Iterator[Process]:
        with running(server, workload, self._bench, self._cpus.server) as process:
            warm_up(process.port, workload)
            yield process

    @contextmanager
    def _optional(self, tool: str) -> Iterator[None]:
        """One tool that fails costs its own table, and the page says why."""
        try:
            yield
        except BenchError as error:
            self.missing[tool] = str(error).splitlines()[-1]

    def _load(self, seconds: int) -> Load:
        return Load(self._wrk, self._cpus.load, seconds, CONNECTIONS)

    def _cost(self, process: Process, workload: Workload) -> float:
        """CPU microseconds per request, without any tool."""
        before = session_cpu_seconds(process.pid)
        result = run_wrk(process.port, workload, self._load(1))
        return (session_cpu_seconds(process.pid) - before) / result["requests"] * 1e6

    def _system_calls(self, process: Process, workload: Workload) -> dict[str, float]:
        """System call -> how often per request, of all threads of the server."""
        strace = find_tool("strace", "strace", "the tracer of system calls")
        members = session_members(process.pid)
        targets = [word for pid in members for word in ("-p", str(pid))]
        with tempfile.NamedTemporaryFile("r") as written:
            command = [strace, "-c", "-f", "-U", "calls,name", "-o", written.name, *targets]
            tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            try:
                _wait_until(lambda: all(_is_traced(pid) for pid in members), tracer)
                result = run_wrk(process.port, workload, self._load(1))
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.communicate()
            calls = parse_strace(written.read())
        return {name: count / result["requests"] for name, count in calls.items()}

    def _perf(
        self, process: Process, workload: Workload
    ) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
        """Share of the CPU time by shared object, and by function and object."""
        perf = find_tool("perf", "linux-perf", "the sampling profiler")
        targets = ",".join(map(str, session_members(process.pid)))
        with tempfile.TemporaryDirectory() as directory:
            data = str(Path(directory) / "perf.data")
            record = [perf, "record", "-q", "-e", "cpu-clock", "-F", str(PERF_HERTZ)]
            with self._loaded(process, workload, PERF_SECONDS + 1):
                seconds = str(PERF_SECONDS)
                output([*record, "-p", targets, "-o", data, "--", "sleep", seconds])
            report = [perf, "report", "--stdio", "-q", "-i", data, "-t", ";", "--sort"]
            objects = parse_perf(output([*report, "dso"]), columns=1)
            functions = parse_perf(output([*report, "symbol,dso"]), columns=2)
        return objects, functions

    def _python_functions(
        self, process: Process, workload: Workload
    ) -> dict[tuple[str, ...], float]:
        """Stack -> share, Python and compiled functions alike."""
        spy = str(self._bench.bin / "py-spy")
        if not os.path.exists(spy):
            raise BenchError("py-spy cannot be installed")
        worker = session_members(process.pid)[-1]
        with tempfile.NamedTemporaryFile("r") as written:
            command = [spy, "record", "--native", "--format", "raw", "--output", written.name]
            sampling = ["--rate", str(SPY_HERTZ), "--duration", str(SPY_SECONDS)]
            with self._loaded(process, workload, SPY_SECONDS + 2):
                output([*command, *sampling, "--pid", str(worker)])
            return parse_stacks(written.read())

    @contextmanager
    def _loaded(self, process: Process, workload: Workload, seconds: int) -> Iterator[None]:
        """Inside, wrk is working."""
        command = wrk_command(process.port, workload, self._load(seconds))
        with pinned_to(self._cpus.load):
            wrk = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            wrk.terminate()
            wrk.wait()

    def __repr__(self) -> str:
        return f"<Profiler with {self._bench.python}>"


def _ours(workload: Workload) -> list[Server]:
    """The variants of greenuni on a page; threads differ in how a request reaches them only."""
    names = (*OURS, "greenuni-threads") if workload.name == "hello" else OURS
    return _serving(names, workload)


def _serving(names: tuple[str, ...], workload: Workload) -> list[Server]:
    return [BY_NAME[name] for name in names if BY_NAME[name].interface in workload.apps]


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    return "TracerPid:\t0\n" not in status


def _wait_until(condition: Callable[[], bool], tracer: subprocess.Popen[str]) -> None:
    """Raises ``BenchError`` when the tracer ends before it has attached."""
    deadline = time.monotonic() + TRACER_PATIENCE
    while not condition():
        if tracer.poll() is not None or time.monotonic() > deadline:
            assert tracer.stderr is not None
            raise BenchError(f"cannot attach: {tracer.stderr.readline().strip() or 'no reason'}")
        time.sleep(0.02)


def main() -> int:
    """Write the pages that were asked for; return the exit status."""
    names = sys.argv[1:] or list(workloads.BY_NAME)
    unknown = [name for name in names if name not in workloads.BY_NAME]
    if unknown:
        say(f"no such workload: {' '.join(unknown)}; there are {' '.join(workloads.BY_NAME)}")
        return 2
    try:
        wrk = find_wrk()
        bench = build(ROOT / ".bench", sys.executable, with_bjoern=True)
        if not (bench.bin / "py-spy").exists():
            pip(bench.bin / "python", PY_SPY)
        profiler = Profiler(bench, wrk, choose_cpus())
        for name in names:
            page = HERE / "profiles" / f"{name}.md"
            page.parent.mkdir(exist_ok=True)
            page.write_text(profiler.page(workloads.BY_NAME[name]))
    except BenchError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
