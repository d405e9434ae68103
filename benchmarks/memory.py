"""Memory: of a server that has nothing to do, and of each connection that waits for nothing.

The measure is PSS, the proportional set size of all processes of the server: a page that n
processes share counts 1/n for each. What the kernel keeps for a socket is not in it, and is the
same for all servers.
"""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import workloads
from answers import warm_up
from commands import BenchError
from processes import Process, running, session_pss_kib
from sections import Record, Stage, Step
from servers import Server

HELLO = workloads.BY_NAME["hello"]
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SETTLING_SECONDS = 2.0  # for a server to become idle, and to give back what it keeps for a moment
# A connection's memory is only given back when the server has noticed that it stays idle.
IDLE_SECONDS = 5.0

# More connections than any default, and time enough to count them.
ENOUGH = "--worker-connections 12000 --keep-alive 300"
IDLE_FLAGS = {
    "greenuni-sync": ENOUGH,
    "granian-wsgi": "--backpressure 12000",
    "gunicorn-gthread": ENOUGH,
    "greenuni-uvloop": ENOUGH,
    "granian-asgi": "--backpressure 12000",
    "uvicorn-httptools": "--timeout-keep-alive 300",
}


def steps(stage: Stage) -> Iterator[Step]:
    """The idle server of every row, then the idle connections of those that can hold many."""
    for server in stage.options.servers:
        yield Step(
            label=f"memory of {server.name}",
            seconds=1.2 + SETTLING_SECONDS,
            measure=partial(_idle_server, server, stage),
        )
    for server in stage.options.chosen(tuple(IDLE_FLAGS)):
        yield Step(
            label=f"idle connections of {server.name}",
            seconds=4 + IDLE_SECONDS,
            measure=partial(_idle_connections, server, stage),
        )


def _idle_server(server: Server, stage: Stage) -> list[Record]:
    with running(server, HELLO, stage.bench, stage.cpus.server) as process:
        warm_up(process.port, HELLO)
        time.sleep(SETTLING_SECONDS)
        return [{"kind": "idle", "server": server.name, "kib": session_pss_kib(process.pid)}]


def _idle_connections(server: Server, stage: Stage) -> list[Record]:
    count = stage.options.idle_connections
    _allow_files(count + 200)
    flags = IDLE_FLAGS[server.name]
    with (
        running(server.with_flags(flags), HELLO, stage.bench, stage.cpus.server) as process,
        ExitStack() as held,
    ):
        warm_up(process.port, HELLO)
        time.sleep(SETTLING_SECONDS)
        before = session_pss_kib(process.pid)
        sockets = [held.enter_context(_asked_once(process)) for _ in range(count)]
        time.sleep(IDLE_SECONDS)
        _refuse_closed(sockets)
        after = session_pss_kib(process.pid)
    each = (after - before) / count
    return [
        {"kind": "connection", "server": server.name, "kib": round(each, 3), "connections": count}
    ]


def _asked_once(process: Process) -> socket.socket:
    """A keep-alive connection that has had one answer. Raises ``BenchError`` without one."""
    connection = socket.create_connection(("127.0.0.1", process.port), timeout=10)
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(HELLO.expects):
        received = connection.recv(65536)
        if not received:
            connection.close()
            raise BenchError(f"a connection was closed after {answer[:60]!r}")
        answer += received
    return connection


def _refuse_closed(sockets: list[socket.socket]) -> None:
    """A server that closes what should be idle holds less, and has measured nothing."""
    poller = select.poll()
    for connection in sockets:
        poller.register(connection, select.POLLIN)
    closed = len(poller.poll(0))
    if closed:
        raise BenchError(f"the server closed {closed} of {len(sockets)} idle connections")


def _allow_files(count: int) -> None:
    """Raise the limit of open files as far as we may; the servers inherit it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchError(f"{count} open files are needed, the limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
