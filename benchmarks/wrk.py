"""The closed-loop load generator: wrk keeps all its connections busy, whatever the server can take."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from commands import BenchError
from environment import HERE
from machine import pinned_to
from workloads import Workload


@dataclass(frozen=True)
class Load:
    """How hard wrk works, and where."""

    wrk: str
    cpu: int | None
    seconds: int
    connections: int


def run_wrk(port: int, workload: Workload, load: Load) -> dict[str, int]:
    """Load the server; return what ``load.lua`` printed. Raises ``BenchError`` on any error."""
    with pinned_to(load.cpu):
        finished = subprocess.run(
            wrk_command(port, workload, load), capture_output=True, text=True, check=False
        )
    for line in finished.stdout.splitlines():
        if line.startswith("LOAD "):
            result: dict[str, int] = json.loads(line.removeprefix("LOAD "))
            refuse_errors(result, workload)
            return result
    raise BenchError(f"wrk failed:\n{finished.stdout}{finished.stderr}")


def wrk_command(port: int, workload: Workload, load: Load) -> list[str]:
    """The command line that sends ``workload``."""
    headers = [f"--header={name}: {value}" for name, value in workload.headers.items()]
    return [
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
