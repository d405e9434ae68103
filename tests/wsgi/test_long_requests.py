"""Calls that take too long, clients that do not wait for theirs, and what an application is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.shell import WorkerState
from tests.support.server import serve, wait_until
from tests.wsgi.harness import GET, Client, Shell, Tracked, no_descriptor_leaks, request, serving

StartResponse = Callable[..., Any]
Environ = dict[str, Any]


class Stuck:
    """An application that does not return from ``/wait`` until it is let go."""

    def __init__(self, *, streams: bool = False) -> None:
        self._streams = streams
        self._go = threading.Event()
        self.entered = threading.Event()
        self.results: list[Tracked] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        if environ["PATH_INFO"] != "/wait":
            start_response("200 OK", [])
            return [b"quick"]
        if not self._streams:
            self.entered.set()
            self._go.wait(10)
        start_response("200 OK", [])
        self.results.append(Tracked(self._chunks()))
        return self.results[-1]

    def _chunks(self) -> Iterator[bytes]:
        yield b"x"
        self.entered.set()
        if self._streams:
            self._go.wait(10)
        yield b"y"

    def let_go(self) -> None:
        self._go.set()


def beat_for(shell: Shell) -> threading.Event:
    """What the watcher of a worker does while its only thread is in the application."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.02):
            if shell.seat.pulse.in_app:
                shell.seat.pulse.on_beat()

    threading.Thread(target=beat, daemon=True).start()
    return stop


@pytest.fixture(params=[1, 2], ids=["inline", "threads"])
def threads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_a_call_that_takes_too_long_is_504_and_its_worker_retires(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Stuck()
    with no_descriptor_leaks(), serving(app, threads=threads, request_timeout=0.3) as shell:
        stop = beat_for(shell)
        client = shell.connect()
        client.send(request("/wait"))
        response = client.response()
        assert (response.status, response["Connection"]) == (504, "close")
        assert client.is_closed()
        wait_until(lambda: shell.seat.retire == ["request-timeout"], "it retires")
        app.let_go()
        wait_until(lambda: shell.seat.slot.requests == 1, "the call is over")
        assert shell.get().body == b"quick"
        stop.set()
    assert "(request-timeout): GET /wait, 0." in caplog.text
    assert [result.closed for result in app.results] == [1]


def test_a_response_that_takes_too_long_is_broken_off(threads: int) -> None:
    app = Stuck(streams=True)
    with no_descriptor_leaks(), serving(app, threads=threads, request_timeout=0.3) as shell:
        stop = beat_for(shell)
        client = shell.connect()
        client.send(request("/wait"))
        response = client.response()
        assert (response.status, response.body, response.is_whole) == (200, b"x", False)
        app.let_go()
        wait_until(lambda: shell.seat.slot.requests == 1, "the call is over")
        stop.set()
    assert [result.closed for result in app.results] == [1]


def test_a_stream_that_falls_silent_is_broken_off(threads: int) -> None:
    app = Stuck(streams=True)
    with serving(app, threads=threads, stream_idle_timeout=0.3) as shell:
        stop = beat_for(shell)
        client = shell.connect()
        client.send(request("/wait"))
        assert not client.response().is_whole
        wait_until(lambda: shell.seat.retire == ["stream-idle-timeout"], "it retires")
        app.let_go()
        stop.set()


def test_a_call_extends_its_own_deadline(threads: int) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        environ["greenuni.request"].extend_deadline(30)
        threading.Event().wait(0.6)
        start_response("200 OK", [])
        return [b"in time"]

    with serving(app, threads=threads, request_timeout=0.2) as shell:
        stop = beat_for(shell)
        assert shell.get().body == b"in time"
        stop.set()


def test_a_quick_call_is_nobodys_business(threads: int) -> None:
    app = Stuck()
    with serving(app, threads=threads, request_timeout=5) as shell, shell.connect() as client:
        stop = beat_for(shell)
        for _ in range(20):
            assert client.get().body == b"quick"
        stop.set()
        assert not shell.seat.retire


# When the client goes


class Watching:
    """An application that streams and asks after its client."""

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks
        self.entered = threading.Event()
        self.seen = threading.Event()
        self.result = Tracked(iter(()))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Tracked:
        start_response("200 OK", [])
        self.result = Tracked(self._chunks(environ["greenuni.request"]))
        return self.result

    def _chunks(self, control: Any) -> Iterator[bytes]:
        assert not control.disconnected
        yield b"x"
        self.entered.set()
        while self._asks and not control.disconnected:
            time.sleep(0.01)
        self.seen.set()
        while True:
            yield b"y"
            time.sleep(0.01)


@pytest.mark.parametrize("asks", [True, False], ids=["asks", "yields"])
def test_an_iterable_is_closed_when_its_client_has_gone(threads: int, asks: bool) -> None:
    app = Watching(asks=asks)
    with no_descriptor_leaks(), serving(app, threads=threads) as shell:
        client = shell.connect()
        client.send(GET)
        assert app.entered.wait(10)
        client.close()
        assert app.seen.wait(10)
        wait_until(lambda: app.result.closed == 1, "the iterable is closed")
        if asks:
            assert app.result.given == 2  # one more than what the client got: not written


def test_the_tick_looks_after_the_clients_of_long_calls(threads: int) -> None:
    app = Stuck(streams=True)
    with serving(app, threads=threads) as shell:
        stop = beat_for(shell)
        client = shell.connect()
        client.send(request("/wait"))
        assert app.entered.wait(10)
        client.close()
        wait_until(lambda: shell.server._overseer.disconnects == 1, "the client is missed")
        app.let_go()
        wait_until(lambda: app.results[0].closed == 1, "the iterable is closed")
        stop.set()
    assert app.results[0].given == 2


def test_a_client_that_closed_its_half_is_answered_if_it_need_not_wait(threads: int) -> None:
    app = Stuck()
    with serving(app, threads=threads) as shell, shell.connect() as client:
        client.send(GET)
        client.sock.shutdown(1)
        assert client.response().body == b"quick"


def test_a_request_that_nobody_waits_for_is_not_run() -> None:
    calls: list[str] = []
    go = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/wait":
            go.wait(10)
        start_response("200 OK", [])
        return [b"x"]

    with no_descriptor_leaks(), serving(app, threads=2) as shell:
        kept = [shell.connect() for _ in range(3)]
        for client in kept:
            client.get("/first")
        for client in kept[:2]:
            client.send(request("/wait"))
        wait_until(lambda: calls.count("/wait") == 2, "no thread is free")
        kept[2].send(request("/never"))
        wait_until(lambda: shell.seat.slot.in_flight == 3, "a third request is there")
        kept[2].close()
        wait_until(lambda: shell.server._overseer.disconnects == 1, "its client is missed")
        go.set()
        assert [client.response().status for client in kept[:2]] == [200, 200]
        wait_until(lambda: len(shell.server._connections) == 2, "it is gone")
    assert "/never" not in calls


def test_who_waits_for_a_thread_for_too_long_is_503() -> None:
    app = Stuck()
    with no_descriptor_leaks(), serving(app, threads=2, queue_timeout=0.3) as shell:
        busy = [shell.connect() for _ in range(2)]
        for client in busy:
            client.send(request("/wait"))
        wait_until(lambda: shell.seat.slot.in_flight == 2, "no thread is free")
        late = shell.connect()
        response = late.get()
        assert (response.status, response["Connection"]) == (503, "close")
        assert int(response["Retry-After"]) >= 1
        assert not shell.seat.retire
        app.let_go()
        assert [client.response().status for client in busy] == [200, 200]
        assert busy[0].get().body == b"quick"


# What an application can ask


def test_an_application_sees_that_the_worker_leaves(threads: int) -> None:
    entered = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        control = environ["greenuni.request"]
        assert not control.shutting_down
        entered.set()
        while not control.shutting_down:
            time.sleep(0.01)
        start_response("200 OK", [])
        return [b"saved"]

    with serving(app, threads=threads) as shell:
        client = shell.connect()
        client.send(GET)
        assert entered.wait(10)
        shell.drain()
        assert client.response().body == b"saved"
        shell.join()
        assert shell.seat.slot.state is WorkerState.DRAINING


def test_what_is_kept_of_a_request_that_is_over_asks_nobody() -> None:
    controls: list[Any] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        controls.append(environ["greenuni.request"])
        start_response("200 OK", [])
        return [b"x"]

    with serving(app) as shell, shell.connect() as client:
        client.get()
        client.get()
        assert controls[0].disconnected
        assert controls[0] is not controls[1]


SCRIPT = """
import threading

def app(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        start_response("200 OK", [])
        wait_for_ever()
    start_response("200 OK", [])
    return [b"quick"]

def wait_for_ever():
    threading.Event().wait(60)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_worker_that_does_not_get_its_thread_back_is_replaced(
    threads: str, tmp_path: Path
) -> None:
    (tmp_path / "stuck.py").write_text(SCRIPT)
    arguments = ("--threads", threads, "--request-timeout", "1", "--graceful-timeout", "2")
    with serve("stuck:app", *arguments, cwd=tmp_path) as server:
        (worker,) = server.workers()
        with server.connect() as sock:
            client = Client(sock)
            client.send(request("/wait"))
            assert client.response().status == 504
        wait_until(lambda: worker not in server.workers(), "the worker is gone", 20)
        server.wait_for_log("in wait_for_ever")
        with server.connect() as sock:
            assert Client(sock).get().body == b"quick"


def endless_events(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/event-stream; charset=utf-8")])
    while True:
        yield b"data: x\n\n"
        time.sleep(0.02)


def test_a_stream_of_events_ends_whole_when_the_worker_leaves(threads: int) -> None:
    with (
        no_descriptor_leaks(),
        serving(endless_events, threads=threads, stream_drain=0.3) as shell,
    ):
        stop = beat_for(shell)
        client = shell.connect()
        client.send(GET)
        wait_until(lambda: shell.seat.slot.in_flight, "the stream has begun")
        shell.drain()
        response = client.response()
        assert response.is_whole
        assert response.body.endswith(b"data: x\n\n")
        shell.join()
        stop.set()


STREAMING = """
import time

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    while True:
        yield b"x"
        time.sleep(0.1)
"""


@pytest.mark.timeout(60)
def test_a_call_that_outlives_the_drain_of_its_only_thread_is_named(tmp_path: Path) -> None:
    (tmp_path / "streaming.py").write_text(STREAMING)
    with serve("streaming:app", "--graceful-timeout", "1", cwd=tmp_path) as server:
        with server.connect() as sock:
            sock.sendall(GET)
            assert sock.recv(1000)
            began = time.monotonic()
            server.process.terminate()
            server.wait_for_log("Killed, as a call does not return: GET /")
            server.wait()
            assert time.monotonic() - began < 10
        assert "streaming.py" in server.log


# Streams of events that are silent


@pytest.mark.parametrize("begins", ["before", "with"], ids=["before the body", "with the body"])
def test_a_silent_stream_of_events_gets_comments(threads: int, begins: str) -> None:
    go = threading.Event()
    fields = [("Content-Type", "text/event-stream")]

    def body(start_response: StartResponse) -> Iterator[bytes]:
        if begins == "with":
            start_response("200 OK", fields)
        yield b"data: x\n\n"
        go.wait(10)
        yield b"data: "
        yield b"y\n\n"

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        if begins == "before":
            start_response("200 OK", fields)
        return body(start_response)

    with no_descriptor_leaks(), serving(app, threads=threads, sse_keepalive=0.1) as shell:
        stop = beat_for(shell)
        client = shell.connect()
        client.send(GET)
        wait_until(lambda: shell.seat.slot.in_flight, "the stream has begun")
        ((call, _),) = shell.server._overseer._calls()
        wait_until(lambda: call.responder.body_bytes > 50, "several comments")
        go.set()
        response = client.response()
        stop.set()
    assert response["X-Accel-Buffering"] == "no"
    assert response["Cache-Control"] == "no-cache"
    start, *comments, end = response.body.split(b": keep-alive\n\n")
    assert (start, end) == (b"data: x\n\n", b"data: y\n\n")
    assert set(comments) == {b""}


def test_a_stream_of_no_events_gets_none(threads: int) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"x\n\n"
        threading.Event().wait(0.4)
        yield b"y"

    with serving(app, threads=threads, sse_keepalive=0.1) as shell:
        stop = beat_for(shell)
        assert shell.get().body == b"x\n\ny"
        stop.set()
