"""Leaving: drains, quick stops, and the signals that ask for them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.shell import WorkerState
from tests.support.server import wait_until
from tests.wsgi.harness import (
    GET,
    Client,
    Shell,
    echo,
    hello,
    no_descriptor_leaks,
    request,
    serving,
)

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

BOTH = pytest.mark.parametrize("threads", [1, 2])
ROOT = Path(__file__).parent.parent.parent


class Gate:
    """An application that waits at ``/wait`` until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._go = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.entered.set()
            self._go.wait(10)
        start_response("200 OK", [])
        return [b"done"]

    def open(self) -> None:
        self._go.set()


def begin_drain(shell: Shell) -> None:
    shell.drain()
    wait_until(lambda: shell.seat.slot.state is WorkerState.DRAINING, "draining")


def test_a_shell_without_connections_returns_at_once() -> None:
    with no_descriptor_leaks(), serving(hello) as shell:
        started = time.monotonic()
        shell.drain()
        shell.join()
        assert time.monotonic() - started < 1
        assert shell.seat.slot.state is WorkerState.DRAINING


@BOTH
def test_a_request_in_flight_is_answered_and_the_connection_closed(threads: int) -> None:
    gate = Gate()
    with no_descriptor_leaks(), serving(gate, threads=threads) as shell:
        client = shell.connect()
        client.send(request("/wait"))
        assert gate.entered.wait(10)
        shell.drain()
        gate.open()
        response = client.response()
        assert (response.body, response["Connection"]) == (b"done", "close")
        assert client.is_closed()
        shell.join()


def test_nobody_new_is_accepted() -> None:
    with serving(hello) as shell:
        idle = shell.connect()
        idle.get()
        begin_drain(shell)
        late = shell.connect()  # into the queue of the kernel, which is the siblings' too
        late.send(GET)
        shell.join()
        assert shell.seat.slot.requests == 1


@BOTH
def test_connections_are_accepted_while_load_balancers_look_away(threads: int) -> None:
    with serving(hello, threads=threads, drain_delay=0.6) as shell:
        kept = shell.connect()
        assert "Connection" not in kept.get()
        began = time.monotonic()
        begin_drain(shell)
        late = shell.connect()
        assert late.get()["Connection"] == "close"
        assert late.is_closed()
        assert kept.get()["Connection"] == "close"
        shell.join()
        assert time.monotonic() - began > 0.5


def test_an_idle_client_may_send_one_last_request() -> None:
    with serving(hello) as shell:
        client = shell.connect()
        assert "Connection" not in client.get()
        begin_drain(shell)
        assert client.get()["Connection"] == "close"
        assert client.is_closed()
        shell.join()


def test_idle_clients_are_not_waited_for_long() -> None:
    with serving(hello) as shell:
        client, fresh = shell.connect(), shell.connect()
        client.get()
        wait_until(lambda: len(shell.server._connections) == 2, "both accepted")
        started = time.monotonic()
        shell.drain()
        assert client.is_closed()
        assert fresh.is_closed()
        shell.join()
        assert 1.9 < time.monotonic() - started < 4


def test_a_body_on_its_way_is_waited_for() -> None:
    with serving(echo) as shell:
        client = shell.connect()
        client.send(request("/", "POST", content_length="4") + b"12")
        wait_until(lambda: shell.server._connections, "accepted")
        begin_drain(shell)
        client.send(b"34")
        response = client.response()
        assert (response.body, response["Connection"]) == (b"1234", "close")
        shell.join()


def test_a_slow_reader_is_waited_for() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * 20_000_000]

    with serving(app) as shell:
        client = shell.connect(receive_buffer=4096)
        client.send(GET)
        wait_until(lambda: shell.seat.slot.requests == 1, "the application is done")
        begin_drain(shell)
        assert len(client.response().body) == 20_000_000
        shell.join()


def test_the_budget_ends_a_drain(caplog: pytest.LogCaptureFixture) -> None:
    with serving(echo, graceful_timeout=0.3) as shell:
        client = shell.connect()
        client.send(request("/", "POST", content_length="4") + b"12")
        wait_until(lambda: shell.server._connections, "accepted")
        shell.drain()
        shell.join()
        assert client.is_closed()
    assert "The time to drain is over: 1 connections are closed" in caplog.text


def test_the_budget_ends_a_drain_with_a_thread_in_the_application() -> None:
    gate = Gate()
    with no_descriptor_leaks(), serving(gate, threads=2, graceful_timeout=0.3) as shell:
        client = shell.connect()
        client.send(request("/wait"))
        assert gate.entered.wait(10)
        shell.drain()
        shell.join()
        gate.open()  # and the thread lets go of the connection by itself
        assert client.response().body == b"done"


def test_beating_goes_on_while_draining() -> None:
    with serving(echo, graceful_timeout=5) as shell:
        client = shell.connect()
        client.send(request("/", "POST", content_length="4"))
        wait_until(lambda: shell.server._connections, "accepted")
        begin_drain(shell)
        beats = shell.seat.slot.beats
        wait_until(lambda: shell.seat.slot.beats > beats + 3, "beats while draining")


@BOTH
def test_a_stop_does_not_wait(threads: int) -> None:
    with no_descriptor_leaks(), serving(echo, threads=threads) as shell:
        client = shell.connect()
        client.send(request("/", "POST", content_length="4") + b"12")
        wait_until(lambda: shell.server._connections, "accepted")
        started = time.monotonic()
        shell.stop()
        assert time.monotonic() - started < 1
        assert client.is_closed()


def test_orders_after_the_end_are_harmless() -> None:
    with serving(hello) as shell:
        shell.stop()
        shell.drain()
        shell.stop()


# Signals, in a process of its own

SCRIPT = """
import logging, sys, time
logging.basicConfig(format="%(message)s", level="INFO")
from greenuni.shell import Interface
from greenuni.testing import fake_seat
from greenuni.wsgi import serve
from tests.wsgi.harness import listen

def app(environ, start_response):
    print("in", environ["PATH_INFO"], flush=True)
    if environ["PATH_INFO"] == "/sleep":
        try:
            time.sleep(60)
        except SystemExit:
            print("interrupted", flush=True)
            raise
    if environ["PATH_INFO"] == "/second":
        time.sleep(1)
    start_response("200 OK", [])
    return [b"done"]

listener = listen()
seat = fake_seat(app, Interface.WSGI, [listener], threads=int(sys.argv[1]), graceful_timeout=5)
seat.reopen_logs = lambda: print("reopened", flush=True)
seat.ready = lambda: print(listener.getsockname()[1], flush=True)
serve(seat)
listener.close()
print("served", seat.slot.state.name, "anyio" in sys.modules, "asyncio" in sys.modules, flush=True)
"""


class Process:
    """A shell in the main thread of a process, with handlers for signals."""

    def __init__(self, threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, str(threads)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._port = int(self.line())

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self._port)))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def end(self) -> tuple[list[str], float]:
        """The lines that it still prints, and how long it takes to end."""
        started = time.monotonic()
        output, errors = self._process.communicate(timeout=10)
        assert (self._process.returncode, errors) == (0, "")
        return output.splitlines(), time.monotonic() - started

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(params=[1, 2])
def process(request: pytest.FixtureRequest) -> Iterator[Process]:
    process = Process(request.param)
    yield process
    process.kill()


SERVED = "served {} False False"


def test_term_drains(process: Process) -> None:
    with process.connect() as client:
        client.send(request("/second"))
        assert process.line() == "in /second"
        process.signal(signal.SIGTERM)
        assert client.response().body == b"done"
    lines, seconds = process.end()
    assert lines == [SERVED.format("DRAINING")]
    assert seconds < 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_do_not_wait_for_the_application(
    process: Process, number: signal.Signals
) -> None:
    with process.connect() as client, process.connect() as idle:
        client.send(request("/sleep"))
        assert process.line() == "in /sleep"
        process.signal(number)
        lines, seconds = process.end()
        assert lines in ([SERVED.format("BOOTING")], ["interrupted", SERVED.format("BOOTING")])
        assert seconds < 1.5
        assert idle.is_closed()
        assert client.is_closed()


def test_usr1_reopens_the_logs(process: Process) -> None:
    process.signal(signal.SIGUSR1)
    assert process.line() == "reopened"
    process.signal(signal.SIGTERM)
    assert process.end()[0] == [SERVED.format("DRAINING")]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    with serving(hello):
        pass  # not in the main thread: nothing is touched
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before
