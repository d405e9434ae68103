"""More work than there are slots: who can be served in time is, the others are told at once or wait."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.server import Server, resident_bytes, serve

from .conftest import Scale

APP = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] != "/healthz":
        await asyncio.sleep(SECONDS)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


# Connections that are made at a time: more, and the kernel drops some, which are tried again a second later.
CONNECTING = 64


async def ask(
    port: int, path: str, connecting: asyncio.Semaphore | None = None
) -> tuple[int, float, bytes]:
    """Status, seconds and head of one request over a connection of its own."""
    async with connecting or asyncio.Semaphore():
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.read()
    writer.close()
    return int(head[9:12]), time.monotonic() - began, head.lower()


class Probes(threading.Thread):
    """A health check now and then, from a thread of its own: the flood keeps the other one busy."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="probes")
        (self._worker,) = server.workers()
        self._port = server.port
        self._stop_asking = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.most_memory = 0  # bytes that the worker had

    def run(self) -> None:
        while not self._stop_asking.wait(0.05):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", self._port), timeout=30) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                self.statuses[int(client.recv(1000)[9:12])] += 1
            self.seconds.append(time.monotonic() - began)
            self.most_memory = max(self.most_memory, resident_bytes(self._worker))

    def stop(self) -> None:
        self._stop_asking.set()
        self.join()


async def flood(server: Server, count: int) -> list[tuple[int, float, bytes]]:
    """So many requests at once."""
    connecting = asyncio.Semaphore(CONNECTING)
    return await asyncio.gather(*(ask(server.port, "/", connecting) for _ in range(count)))


@pytest.mark.timeout(180)
def test_who_can_be_served_is_and_the_rest_is_told(tmp_path: Path, scale: Scale) -> None:
    """Two rounds fit into the time that a request may wait."""
    slots, count, seconds = scale.overload
    (tmp_path / "slow.py").write_text(APP.replace("SECONDS", str(seconds)))
    arguments = ("--worker-connections", str(slots), "--queue-timeout", str(seconds * 1.5))
    with serve("slow:app", *arguments, "--priority", "/healthz", cwd=tmp_path) as server:
        (worker,) = server.workers()
        before = resident_bytes(worker)
        probes = Probes(server)
        probes.start()
        answers = asyncio.run(flood(server, count))
        probes.stop()
        grown = probes.most_memory - before
        statuses = Counter(status for status, _, _ in answers)
        print(
            f"{count} requests of {seconds} s, {slots} slots: {dict(statuses)}; {len(probes.seconds)} "
            f"probes, slowest {max(probes.seconds) * 1000:.1f} ms; {grown / 1024:.0f} KiB more memory"
        )
        assert statuses == {200: 2 * slots, 503: count - 2 * slots}
        assert all(b"\r\nretry-after: " in head for status, _, head in answers if status == 503)
        assert max(took for status, took, _ in answers if status == 503) < seconds * 2.5
        assert set(probes.statuses) == {200}
        assert sorted(probes.seconds)[len(probes.seconds) // 2] < 0.05
        assert max(probes.seconds) < scale.slowest_probe
        assert grown < 32 * 1024 * 1024
        # And the flood is over.
        status, took, _ = asyncio.run(ask(server.port, "/"))
        assert status == 200
        assert took < seconds * 1.5
