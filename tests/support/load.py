"""Load from outside: wrk, parsed."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class LoadResult:
    """What wrk counted. ``read_errors`` are connections reset or closed under a request."""

    requests: int
    connect_errors: int
    read_errors: int
    write_errors: int
    timeouts: int
    not_2xx: int

    @property
    def failures(self) -> int:
        return (
            self.connect_errors
            + self.read_errors
            + self.write_errors
            + self.timeouts
            + self.not_2xx
        )


class Load:
    """wrk running beside the test: one thread, ``connections`` keep-alive connections."""

    def __init__(self, url: str, seconds: float, connections: int = 32) -> None:
        if shutil.which("wrk") is None:
            pytest.skip("wrk is not installed (Debian package wrk)")
        self._process = subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s", url],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._seconds = seconds

    def running(self) -> bool:
        return self._process.poll() is None

    def result(self) -> LoadResult:
        """Wait for the end and read the report."""
        output, _ = self._process.communicate(timeout=self._seconds + 30)
        print(output)
        return parse(output)


def parse(output: str) -> LoadResult:
    """Read wrk's report; the error lines are only there when there were errors."""
    requests = re.search(r"(\d+) requests in", output)
    assert requests, output
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    connect, read, write, timeout = map(int, errors.groups()) if errors else (0, 0, 0, 0)
    not_2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return LoadResult(
        int(requests[1]), connect, read, write, timeout, int(not_2xx[1]) if not_2xx else 0
    )
