"""Asking a server as a plain client does, and refusing an answer that is not the right one."""

from __future__ import annotations

import http.client

from commands import BenchError
from workloads import Workload

PATIENCE = 20.0  # seconds that an answer may take
WARM_UP_REQUESTS = 200  # enough for the interpreter to specialise its bytecode


def ask_once(port: int, workload: Workload) -> None:
    """Ask once. Raises ``OSError`` when nobody answers, ``BenchError`` when the answer is wrong."""
    _ask_times(port, workload, 1)


def warm_up(port: int, workload: Workload) -> None:
    """Ask often enough that measuring starts with a server in its stride. Raises as ``ask_once``."""
    _ask_times(port, workload, WARM_UP_REQUESTS)


def _ask_times(port: int, workload: Workload, times: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        for _ in range(times):
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
