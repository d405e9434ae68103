"""How connections spread over workers: one by one, and in a burst."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from pathlib import Path

import pytest

from tests.support.server import Server, serve, wait_until

WORKERS = 4
CONNECTIONS = 64
# On a quiet machine a worker is off its share by 4 at most. Tests run on busy ones, where who wakes up
# first is not ours to say; a worker that takes what comes has most of a burst, up to 48 of 64.
LEAST, MOST = 4, 32
APPLICATION = """
import os

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"%d" % os.getpid()]

async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""


def worker_of(client: socket.socket) -> bytes:
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return client.recv(4096).rpartition(b"\r\n\r\n")[2]


def answering(server: Server) -> set[bytes]:
    """The workers that a few connections, open at once, come to."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(4 * WORKERS)]
        return {worker_of(client) for client in clients}


def check(held: Counter[bytes]) -> None:
    assert len(held) == WORKERS, held
    assert all(LEAST <= count <= MOST for count in held.values()), held


@pytest.mark.parametrize("name", ["wsgi", "asgi"])
def test_workers_share_connections(name: str, tmp_path: Path) -> None:
    (tmp_path / "fair.py").write_text(APPLICATION)
    with (
        serve(f"fair:{name}", "--workers", str(WORKERS), cwd=tmp_path) as server,
        contextlib.ExitStack() as stack,
    ):
        wait_until(lambda: len(answering(server)) == WORKERS, "all workers listen")
        held: Counter[bytes] = Counter()
        for _ in range(CONNECTIONS):
            held[worker_of(stack.enter_context(server.connect()))] += 1
        check(held)
        burst = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
        held.clear()
        for client in burst:
            held[worker_of(client)] += 1
        check(held)
