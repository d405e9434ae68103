"""Slow clients and large bodies: what used to need a proxy in front."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.server import Server, resident_bytes, serve

from .conftest import APPS, Scale

MIB = 1 << 20
GROWTH_LIMIT = 40 * MIB
SLOW_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Padding: " + b"x" * 4000
SLOW_BODY_HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n"


class SlowClients:
    """Connections that send one byte a second each: half of them of a head, half of a body."""

    def __init__(self, server: Server, count: int) -> None:
        self._sockets = [server.connect() for _ in range(count)]
        for client in self._sockets[::2]:
            client.sendall(SLOW_BODY_HEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self._thread.start()

    def _drip(self) -> None:
        sent = 0
        while not self._stop.wait(1):
            for index, client in enumerate(self._sockets):
                byte = b"x" if index % 2 == 0 else SLOW_HEAD[sent : sent + 1]
                try:
                    client.sendall(byte)
                except OSError:
                    continue  # its deadline came; the server hung up
            sent += 1

    def __enter__(self) -> SlowClients:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for client in self._sockets:
            client.close()


def worst_latency(url: str, seconds: float) -> float:
    """The slowest of requests made one after the other for that long, in seconds."""
    worst = 0.0
    deadline = time.monotonic() + seconds
    with httpx.Client() as client:
        client.get(url)
        while time.monotonic() < deadline:
            started = time.monotonic()
            assert client.get(url).text == "Hello, world!"
            worst = max(worst, time.monotonic() - started)
    return worst


def test_slow_clients_do_not_slow_a_healthy_one(target: str, scale: Scale) -> None:
    with serve(target, cwd=APPS) as server, SlowClients(server, scale.slow_clients):
        worst = worst_latency(server.url, 5)
        print(f"worst latency beside {scale.slow_clients} slow clients: {worst * 1000:.1f} ms")
        assert worst < 0.5


def body_of(mib: int) -> Iterator[bytes]:
    block = b"x" * MIB
    for _ in range(mib):
        yield block


class PeakMemory:
    """Samples a process's resident memory while a block runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = resident_bytes(pid)
        self._peak = self._before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self._peak = max(self._peak, resident_bytes(self._pid))

    @property
    def growth(self) -> int:
        return self._peak - self._before

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_large_upload_in_bounded_memory(target: str, scale: Scale, chunked: bool) -> None:
    size = scale.upload_mib * MIB
    headers = {} if chunked else {"Content-Length": str(size)}
    with serve(target, cwd=APPS) as server:
        (worker,) = server.workers()
        assert answers_hello(server)
        with PeakMemory(worker) as memory:
            response = httpx.post(
                f"{server.url}/count",
                content=body_of(scale.upload_mib),
                headers=headers,
                timeout=120,
            )
        assert response.text == str(size)
        print(f"{scale.upload_mib} MiB up: {memory.growth / MIB:.1f} MiB growth")
        assert memory.growth < GROWTH_LIMIT


@pytest.mark.timeout(180)
def test_a_large_download_in_bounded_memory(target: str, scale: Scale) -> None:
    with serve(target, cwd=APPS) as server:
        (worker,) = server.workers()
        assert answers_hello(server)
        received = 0
        with (
            PeakMemory(worker) as memory,
            httpx.stream("GET", f"{server.url}/stream?mib={scale.upload_mib}", timeout=120) as body,
        ):
            for block in body.iter_raw():
                received += len(block)
        assert received == scale.upload_mib * MIB
        print(f"{scale.upload_mib} MiB down: {memory.growth / MIB:.1f} MiB growth")
        assert memory.growth < GROWTH_LIMIT


def test_a_reader_that_stops_does_not_occupy_the_application(target: str) -> None:
    with serve(target, cwd=APPS) as server:
        stalled = [server.connect() for _ in range(5)]
        for client in stalled:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /stream?mib=16 HTTP/1.1\r\nHost: a\r\n\r\n")
        with selectors.DefaultSelector() as readable:
            for client in stalled:
                readable.register(client, selectors.EVENT_READ)
            assert readable.select(10)
        assert worst_latency(server.url, 2) < 1.5
        for client in stalled:
            client.close()


def answers_hello(server: Server) -> bool:
    return httpx.get(server.url).text == "Hello, world!"
