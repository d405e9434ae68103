"""Clients on kept-alive connections do not notice what happens to the worker that they came to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import httpx
import pytest

from tests.support.server import Server, serve, wait_until

from .conftest import APPS, Scale

SHORT = "/sleep?seconds=0.005"
LONG = 4.0  # seconds; who waits behind such a request waits for most of it
# Seconds, on the busiest of machines; benchmarks/handoff.py shows what it is on one that is free.
TOO_LONG = LONG / 2


class Regulars:
    """Clients that send one request after the other, each over one connection that it never opens again."""

    def __init__(self, server: Server, count: int, target: str) -> None:
        self._target = target
        self._stop = threading.Event()
        self.seconds: list[float] = []  # that requests have taken
        self.failures: list[str] = []
        self.connections = [
            HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(count)
        ]
        for connection in self.connections:
            connection.connect()
            connection.auto_open = 0
            self._get(connection, "/")
        self.seconds.clear()
        self._threads = [
            threading.Thread(target=self._ask, args=(connection,), daemon=True)
            for connection in self.connections
        ]

    def __enter__(self) -> Regulars:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for connection in self.connections:
            connection.close()

    def _ask(self, connection: HTTPConnection) -> None:
        try:
            while not self._stop.is_set():
                self._get(connection, self._target)
        except Exception as error:  # noqa: BLE001 - any of them is a client that has noticed
            self.failures.append(repr(error))

    def _get(self, connection: HTTPConnection, target: str) -> None:
        began = time.monotonic()
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
        self.seconds.append(time.monotonic() - began)
        assert response.status == 200
        assert response.getheader("Connection") is None


def descriptors(server: Server) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.workers())


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> int:
    """Of each of two workers."""
    count: int = request.param
    return count


@pytest.fixture
def server(threads: int) -> Iterator[Server]:
    flags = ("--workers", "2", "--threads", str(threads))
    with serve("wsgi_app:app", *flags, cwd=APPS) as server:
        answered: set[str] = set()

        def have_answered() -> bool:
            answered.add(httpx.get(server.url + "/pid").text)
            return answered == set(map(str, server.workers())) and len(answered) == 2

        wait_until(have_answered, "both workers serve", 20)
        yield server


def test_nobody_waits_behind_a_busy_sibling(threads: int, server: Server) -> None:
    before = descriptors(server)
    holders = 2 * threads - 1  # so one worker has no thread left, and the other one
    with (
        Regulars(server, 8, SHORT) as regulars,
        Regulars(server, holders, f"/sleep?seconds={LONG}"),
    ):
        time.sleep(LONG)  # this long they are held up: it is the length of the load
    assert regulars.failures == []
    assert len(regulars.seconds) > 50
    assert max(regulars.seconds) < TOO_LONG
    wait_until(lambda: descriptors(server) <= before, "no descriptor is left behind")


@pytest.mark.timeout(300)
def test_clients_do_not_notice_that_workers_are_replaced(server: Server, scale: Scale) -> None:
    with Regulars(server, 8, "/") as regulars:
        for reload in range(1, scale.reloads + 1):
            server.signal(signal.SIGHUP)
            server.wait_for_log("Reloaded: the new generation serves in 2 workers", reload)
    assert regulars.failures == []
    server.wait_for_log("ended with exit status 0 after SIGTERM", 2 * scale.reloads)
