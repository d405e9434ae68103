"""More work than there are slots: who can be served in time is, the others are told at once or wait."""

from __future__ import annotations

import asyncio
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


async def flood(
    server: Server, count: int
) -> tuple[list[tuple[int, float, bytes]], list[float], int]:
    """So many requests at once; their answers, how long probes took meanwhile, the peak of memory."""
    (worker,) = server.workers()
    connecting = asyncio.Semaphore(CONNECTING)
    requests = [asyncio.create_task(ask(server.port, "/", connecting)) for _ in range(count)]
    probes: list[float] = []
    peak = 0
    while not all(request.done() for request in requests):
        status, seconds, _ = await ask(server.port, "/healthz")
        assert status == 200
        probes.append(seconds)
        peak = max(peak, resident_bytes(worker))
        await asyncio.wait(requests, timeout=0.05)
    return [request.result() for request in requests], probes, peak


@pytest.mark.timeout(180)
def test_who_can_be_served_is_and_the_rest_is_told(tmp_path: Path, scale: Scale) -> None:
    """Two rounds fit into the time that a request may wait."""
    slots, count, seconds = scale.overload
    (tmp_path / "slow.py").write_text(APP.replace("SECONDS", str(seconds)))
    arguments = ("--worker-connections", str(slots), "--queue-timeout", str(seconds * 1.5))
    with serve("slow:app", *arguments, "--priority", "/healthz", cwd=tmp_path) as server:
        (worker,) = server.workers()
        before = resident_bytes(worker)
        answers, probes, peak = asyncio.run(flood(server, count))
        statuses = Counter(status for status, _, _ in answers)
        print(
            f"{count} requests of {seconds} s, {slots} slots: {dict(statuses)}; {len(probes)} probes, "
            f"slowest {max(probes) * 1000:.1f} ms; {(peak - before) / 1024:.0f} KiB more memory"
        )
        assert statuses == {200: 2 * slots, 503: count - 2 * slots}
        assert all(b"\r\nretry-after: " in head for status, _, head in answers if status == 503)
        assert max(took for status, took, _ in answers if status == 503) < seconds * 2.5
        assert sorted(probes)[len(probes) // 2] < 0.05
        assert max(probes) < scale.slowest_probe
        assert peak - before < 32 * 1024 * 1024
        # And the flood is over.
        status, took, _ = asyncio.run(ask(server.port, "/"))
        assert status == 200
        assert took < seconds * 1.5
