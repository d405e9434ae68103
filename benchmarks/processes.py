"""Servers as processes: start one, wait until it answers, stop it, and what the kernel knows of it.

A server is started in a session of its own, so that "the server's processes" are those of the
session, whatever they forked.
"""

from __future__ import annotations

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

from answers import ask_once
from commands import BenchError
from environment import APPS, Bench
from machine import pinned_to
from servers import Server
from workloads import Workload

START_BUDGET = 20.0  # seconds a server may take until it answers
STOP_BUDGET = 3.0  # seconds a server may take after TERM
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
ESTABLISHED = "01"  # a connection's state in /proc/net/tcp


@dataclass(frozen=True)
class Process:
    """A server that answers. Its pid is also the id of its session."""

    pid: int
    port: int


@contextmanager
def running(server: Server, workload: Workload, bench: Bench, cpu: int | None) -> Iterator[Process]:
    """A server process that serves the workload's application, on one CPU or (None) on all.

    Raises ``BenchError`` when it does not answer, with the end of its log.
    """
    port = _free_port()
    command = server.argv(workload.apps[server.interface], port)
    with tempfile.TemporaryFile("w+") as log:
        with pinned_to(cpu):
            process = subprocess.Popen(
                # Popen looks for a program on our PATH, not on that of env, so name it whole.
                [str(bench.bin / command[0]), *command[1:]],
                cwd=APPS,
                env={**bench.process_environment(), **server.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_it_answers(process, port, workload, log)
            yield Process(process.pid, port)
        finally:
            _stop(process)


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
            ask_once(port, workload)
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
    for pid in session_members(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def session_cpu_seconds(session: int) -> float:
    """User and system time of all processes of a session, and of those they have reaped.

    The living count to the nanosecond, the reaped in clock ticks of 10 ms.
    """
    return sum(_cpu_seconds(pid) + _reaped_seconds(pid) for pid in session_members(session))


def _cpu_seconds(pid: int) -> float:
    # The clock of another process, as clock_getcpuclockid(3) makes its id: the pid's complement
    # above three bits, of which 2 asks for the scheduler's count.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it has ended meanwhile
        return 0.0


def _reaped_seconds(pid: int) -> float:
    fields = _stat_fields(pid)
    return (int(fields[13]) + int(fields[14])) / CLOCK_TICKS if fields else 0.0


def session_members(session: int) -> list[int]:
    """The ids of the processes of a session, in ascending order."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat_fields(int(entry.name))
            if fields and int(fields[3]) == session:
                members.append(int(entry.name))
    return sorted(members)


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


def session_pss_kib(session: int) -> int:
    """Proportional set size of a session's processes: a page shared by n processes counts 1/n."""
    return sum(_pss_kib(pid) for pid in session_members(session))


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def connections_held(session: int, port: int) -> dict[int, int]:
    """Process id -> accepted TCP connections on ``port``, of all processes of a session."""
    inodes = _established(Path("/proc/net/tcp").read_text(), port)
    return {pid: len(inodes & _socket_inodes(pid)) for pid in session_members(session)}


def _established(table: str, port: int) -> set[str]:
    """Inodes of the accepted connections on a local port, from the text of ``/proc/net/tcp``."""
    rows = [line.split() for line in table.splitlines()[1:]]
    local = f":{port:04X}"
    return {row[9] for row in rows if row[1].endswith(local) and row[3] == ESTABLISHED}


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except FileNotFoundError:  # closed while we looked
                continue
            if link.startswith("socket:["):
                found.add(link[len("socket:[") : -1])
    except FileNotFoundError:  # the process has ended
        pass
    return found
