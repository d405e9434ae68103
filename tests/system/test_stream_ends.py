"""Streams of events across reloads, killed workers and recycling: who is not killed ends whole."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.server import Server, serve, wait_until

from .conftest import Scale

HUPS = 10
APP = """
import asyncio, os

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] != "/events":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    control = scope["extensions"]["greenuni"]
    headers = [(b"content-type", b"text/event-stream"), (b"x-worker", b"%d" % os.getpid())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    loop = asyncio.get_running_loop()
    until = loop.time() + SECONDS
    while loop.time() < until and not control.disconnected:
        await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
        if control.shutting_down:
            break  # the client comes back, to another worker
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"data: bye\\n\\n"})
"""


@dataclass
class Streams:
    """Clients that follow a stream, and come back when it ends."""

    port: int
    ends: Counter[str] = field(default_factory=Counter)
    of_worker: dict[int, Counter[str]] = field(default_factory=dict)
    is_over: bool = False

    async def follow(self) -> None:
        while not self.is_over:
            worker, end = await self._one()
            self.ends[end] += 1
            self.of_worker.setdefault(worker, Counter())[end] += 1

    async def _one(self) -> tuple[int, str]:
        """The worker that answered, 0 if none did, and how the stream ended."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        worker = 0
        try:
            writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            worker = int(head.lower().split(b"x-worker: ")[1].split(b"\r\n")[0])
            return worker, await _read_stream(reader)
        except ConnectionResetError:
            return worker, "reset"
        except asyncio.IncompleteReadError:
            return worker, "not answered"
        finally:
            writer.close()


async def _read_stream(reader: asyncio.StreamReader) -> str:
    tail = b""
    while not tail.endswith(b"data: bye\n\n\r\n0\r\n\r\n"):
        data = await reader.read(65536)
        if not data:
            return "not whole"
        tail = (tail + data)[-64:]
    return "whole"


async def disturb(server: Server, pause: float) -> set[int]:
    """Ten HUPs, two killed workers, and requests until one is recycled; who was killed."""
    killed: set[int] = set()
    for number in range(HUPS):
        before = set(server.workers())
        server.signal(signal.SIGHUP)
        await asyncio.to_thread(
            wait_until, lambda b=before: set(server.workers()) - b, "a new one", 30
        )
        await asyncio.sleep(pause)
        if number in (3, 6):
            await asyncio.to_thread(wait_until, lambda: len(server.workers()) == 2, "the roll", 60)
            victim = server.workers()[-1]
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
            wanted = len(killed)
            await asyncio.to_thread(server.wait_for_log, "SIGKILL", wanted, 30)
    recycled = server.log.count("max-requests")
    while server.log.count("max-requests") == recycled:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        writer.close()
        await asyncio.sleep(0.005)
    await asyncio.sleep(pause)
    return killed


async def run(server: Server, scale: Scale) -> tuple[Streams, set[int]]:
    streams = Streams(server.port)
    following = [asyncio.create_task(streams.follow()) for _ in range(scale.streams)]
    await asyncio.sleep(scale.stream_seconds / 4)
    killed = await disturb(server, scale.stream_seconds / 8)
    streams.is_over = True
    await asyncio.gather(*following)
    return streams, killed


@pytest.mark.timeout(900)
def test_every_stream_of_a_worker_that_was_not_killed_ends_whole(
    tmp_path: Path, scale: Scale
) -> None:
    (tmp_path / "events.py").write_text(APP.replace("SECONDS", str(scale.stream_seconds)))
    arguments = ("--workers", "2", "--max-requests", "1000", "--graceful-timeout", "30")
    with serve("events:app", *arguments, cwd=tmp_path) as server:
        wait_until(lambda: len(server.workers()) == 2, "both workers")
        streams, killed = asyncio.run(run(server, scale))
        print(f"{scale.streams} clients, {HUPS} HUPs, 2 kills: {dict(streams.ends)}")
        assert len(killed) == 2
        assert streams.ends["whole"] > scale.streams
        assert killed & streams.of_worker.keys(), "those that were killed had streams"
        for worker, ends in streams.of_worker.items():
            # A stream that was not answered (worker 0) was in the hands of one that was killed.
            if worker not in killed and worker:
                assert set(ends) == {"whole"}, (worker, ends)
        lost = sum(streams.ends.values()) - streams.ends["whole"]
        assert lost <= 2 * scale.streams
