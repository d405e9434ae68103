"""Slow clients, clients that leave, too many clients: what they may not do to the others."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.clock import Clock
from tests.support.server import wait_until
from tests.wsgi.harness import (
    GET,
    Client,
    Shell,
    Tracked,
    echo,
    hello,
    no_descriptor_leaks,
    request,
    serving,
)

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

BOTH = pytest.mark.parametrize("threads", [1, 2])
MIB = 1 << 20
LARGE = 32 * MIB


def large(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """``/`` is small; anything else is LARGE, block by block."""
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/":
        return iter([b"small"])
    return iter([b"x" * 65536] * (LARGE // 65536))


def usual_latency(shell: Shell, count: int) -> float:
    """What four in five of ``count`` requests over one connection stay below, in seconds.

    Not the worst of them, which says more of the machine that the test runs on.
    """
    latencies = []
    with shell.connect() as client:
        for _ in range(count):
            started = time.monotonic()
            assert client.get().status == 200
            latencies.append(time.monotonic() - started)
    return sorted(latencies)[count * 4 // 5]


def test_200_slow_writers_do_not_delay_a_healthy_client() -> None:
    head, body = b"GET / HTTP/1.1\r\nHost: a\r\nX: ", request("/", "POST", content_length="9")
    with serving(hello) as shell:
        clients = [shell.connect() for _ in range(200)]
        for turn in range(3):
            for number, client in enumerate(clients):
                data = body if number % 2 else head
                client.send(data[turn : turn + 1] if turn < 2 else data[2:])
            assert usual_latency(shell, 50) < 0.1
        wait_until(lambda: shell.seat.slot.requests == 150, "only the healthy one was served")


@BOTH
def test_slow_readers_do_not_occupy_the_application(threads: int) -> None:
    with serving(large, threads=threads) as shell:
        clients = [shell.connect(receive_buffer=4096) for _ in range(5)]
        for client in clients:
            client.send(request("/large"))
        wait_until(lambda: shell.seat.slot.requests == 5, "the application is done with all")
        assert usual_latency(shell, 20) < 0.1


@BOTH
def test_a_slow_reader_gets_everything(threads: int, tmp_path: Path) -> None:
    settings = {"threads": threads, "spool_memory": 10_000, "tmp_upload_dir": str(tmp_path)}
    with no_descriptor_leaks(), serving(large, **settings) as shell:
        client = shell.connect(receive_buffer=4096)
        client.send(request("/large") + GET)
        wait_until(lambda: shell.seat.slot.requests == 1, "the application is done")
        response = client.response()
        assert response.is_whole
        assert response.body == b"x" * LARGE
        assert client.response().body == b"small"


@BOTH
@pytest.mark.parametrize("stage", ["connected", "head", "body", "spooled body", "response"])
def test_leaving_at_any_stage_leaks_nothing(stage: str, threads: int, tmp_path: Path) -> None:
    bodies: list[Tracked] = []

    def app(environ: Environ, start_response: StartResponse) -> Tracked:
        bodies.append(Tracked(large(environ, start_response)))
        return bodies[-1]

    started = {
        "connected": b"",
        "head": request()[:10],
        "body": request("/", "POST", content_length="10") + b"12345",
        "spooled body": request("/", "POST", content_length="100000") + b"x" * 50_000,
        "response": request("/large"),
    }[stage]
    settings = {"threads": threads, "spool_memory": 1000, "tmp_upload_dir": str(tmp_path)}
    with no_descriptor_leaks(), serving(app, **settings) as shell:
        for how in (0, 1):
            client = shell.connect(receive_buffer=4096)
            client.send(started)
            if stage == "response":
                client._file.read(1000)
            if how:  # reset instead of an orderly end
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
        assert shell.get().body == b"small"  # so the others have been accepted
        wait_until(lambda: not shell.server._connections, "all connections closed")
    assert all(body.closed == 1 for body in bodies)


# Deadlines


def timed_until_closed(client: Client) -> float:
    started = time.monotonic()
    assert client.is_closed()
    return time.monotonic() - started


def test_a_connection_without_a_request_is_closed_silently() -> None:
    with serving(hello, header_timeout=0.5) as shell, shell.connect() as client:
        assert timed_until_closed(client) < 3


def test_a_head_has_one_deadline_however_often_bytes_come() -> None:
    with serving(hello, header_timeout=1) as shell, shell.connect() as client:
        started = time.monotonic()
        data = iter(request(x_long="x" * 100_000))
        client.sock.settimeout(0.05)
        while time.monotonic() < started + 8:
            client.send(bytes([next(data)]))
            try:
                if client.sock.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                pass
        client.sock.settimeout(10)
        assert client.response().status == 408
        assert client.is_closed()
        assert time.monotonic() - started < 5


def test_a_body_that_stalls_is_408() -> None:
    with serving(echo, body_timeout=0.5) as shell, shell.connect() as client:
        client.send(request("/", "POST", content_length="10") + b"12345")
        assert client.response().status == 408
        assert client.is_closed()


def test_bytes_of_a_body_buy_time() -> None:
    settings = {"body_timeout": 1.0, "body_min_rate": 1}
    with serving(echo, **settings) as shell, shell.connect() as client:
        client.send(request("/", "POST", content_length="11"))
        beats = shell.seat.slot.beats
        for number in range(1, 11):
            client.send(b"x")
            wait_until(lambda n=number: shell.seat.slot.beats >= beats + n / 3, "part of a second")
        client.send(b"x")
        assert client.response().body == b"x" * 11


def test_a_fast_start_buys_no_hours_of_silence() -> None:
    settings = {"body_timeout": 0.5, "body_min_rate": 1}
    with serving(echo, **settings) as shell, shell.connect() as client:
        client.send(request("/", "POST", content_length="10001") + b"x" * 10000)
        assert client.response().status == 408


def test_an_idle_connection_is_closed_silently() -> None:
    with serving(hello, keepalive=0.5) as shell, shell.connect() as client:
        client.get()
        assert timed_until_closed(client) < 3


def send_and_read_all(client: Client) -> None:
    client.send(b"x")  # a reset does not pass a closed window by itself
    client._file.read()


def test_a_reader_that_stops_is_reset(tmp_path: Path) -> None:
    settings = {"send_timeout": 0.5, "tmp_upload_dir": str(tmp_path)}
    with no_descriptor_leaks(), serving(large, **settings) as shell:
        client = shell.connect(receive_buffer=4096)
        client.send(request("/large"))
        wait_until(lambda: shell.seat.slot.requests == 1, "the application is done")
        wait_until(lambda: not shell.server._connections, "given up")
        with pytest.raises(ConnectionResetError):
            send_and_read_all(client)


def test_time_inside_the_application_is_not_held_against_clients() -> None:
    entered, go = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            entered.set()
            go.wait(10)
        start_response("200 OK", [])
        return [b"done"]

    with serving(app, header_timeout=0.5, keepalive=0.5) as shell:
        slow, fresh, kept = (shell.connect() for _ in range(3))
        kept.get()
        slow.send(request("/slow"))
        assert entered.wait(10)
        fresh.send(GET)
        kept.send(GET)
        timer = threading.Timer(2, go.set)
        timer.start()
        assert fresh.response().body == b"done"
        assert kept.response().body == b"done"
        timer.join()


# Too many


def test_no_more_connections_than_allowed_and_then_the_next() -> None:
    with serving(hello, worker_connections=2) as shell:
        first, second, third = (shell.connect() for _ in range(3))
        second.get()
        first.get()
        third.send(GET)
        wait_until(lambda: len(shell.server._connections) == 2, "two connections")
        first.close()
        assert third.response().status == 200


def test_idle_connections_make_room() -> None:
    with serving(hello, worker_connections=3) as shell:
        idle = [shell.connect() for _ in range(3)]
        for client in idle:
            client.get()
        assert shell.get().status == 200
        assert idle[0].is_closed()


def test_a_busy_pool_does_not_accept() -> None:
    entered, go = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        entered.set()
        go.wait(10)
        start_response("200 OK", [])
        return []

    with serving(app, threads=2) as shell:
        busy = [shell.connect() for _ in range(2)]
        for client in busy:
            client.send(GET)
        wait_until(lambda: len(shell.seat.in_flight()) == 2, "two requests run")
        third = shell.connect()
        third.send(GET)
        beats = shell.seat.slot.beats
        wait_until(lambda: shell.seat.slot.beats > beats, "the loop turned")
        assert len(shell.server._connections) == 2
        go.set()
        for client in (*busy, third):
            assert client.response().status == 200


EXHAUSTED = """
import logging, resource, socket, threading
logging.basicConfig(format="%(message)s")
from tests.wsgi.harness import *
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
with serving(hello) as shell:
    shell.get()
    spare = [socket.socket() for _ in range(3)]
    held = []
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError:
        pass
    for sock in spare[:2]:
        sock.connect(shell.address)
    wait_until(lambda: any(door.is_exhausted for door in shell.server._admission.doors), "no descriptor left")
    wait_until(lambda: shell.seat.slot.beats >= 4, "some pauses")
    for file in held:
        file.close()
    print(shell.get().status)
    for sock in spare:
        sock.close()
"""


def test_no_descriptor_left_is_said_once_and_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXHAUSTED], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "200\n", done.stderr
    assert done.stderr.count("Cannot accept a connection") == 1, done.stderr
    assert "raise the limit of open files" in done.stderr


def test_idle_connections_cost_little() -> None:
    """A few KiB each, kernel memory aside."""
    script = """
import resource, socket
from tests.support.server import resident_bytes
from tests.wsgi.harness import *
resource.setrlimit(resource.RLIMIT_NOFILE, (3000, 3000))
with serving(hello, worker_connections=2000) as shell:
    def idle():
        client = socket.create_connection(shell.address)
        client.sendall(GET)
        client.recv(1000)
        return client.detach()
    warm = [idle() for _ in range(50)]
    before = resident_bytes(os.getpid())
    many = [idle() for _ in range(1000)]
    beats = shell.seat.slot.beats
    wait_until(lambda: shell.seat.slot.beats >= beats + 2, "parked")
    print((resident_bytes(os.getpid()) - before) // 1000)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3000


class FaultyClock(Clock):
    """A clock that is out of order; a refusal asks it, and what a failed application is answered."""

    def date(self) -> bytes:
        raise RuntimeError("a bug")


def test_a_fault_in_the_server_harms_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    with no_descriptor_leaks(), serving(hello) as shell, shell.connect() as healthy:
        healthy.get()
        gateway = shell.server._services.gateway
        clock, gateway.clock = gateway.clock, FaultyClock()
        with shell.connect() as client:
            client.send(b"GET / HTTP/3.0\r\n\r\n")
            assert client.is_closed()
        gateway.clock = clock
        assert healthy.get().status == 200
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "Fault in the server" in record.getMessage()


@BOTH
def test_a_fault_around_the_application_harms_one_connection(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    with no_descriptor_leaks(), serving(hello, threads=threads) as shell:
        gateway = shell.server._services.gateway
        clock, gateway.clock = gateway.clock, FaultyClock()
        for _ in range(threads + 1):
            client = shell.connect()
            client.send(GET)
            assert client.is_closed()
        gateway.clock = clock
        assert shell.get().status == 200
        wait_until(lambda: not shell.seat.in_flight(), "nothing in flight")
        assert shell.seat.slot.in_flight == 0
    assert caplog.text.count("Fault in the server") == threads + 1
