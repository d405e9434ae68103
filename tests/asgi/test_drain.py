"""Leaving: in order on TERM, at once on INT and QUIT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import anyio
import pytest
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from greenuni.shell import WorkerState

from .support import (
    GET,
    Client,
    Receive,
    Send,
    Serving,
    http_only,
    respond,
    routed,
    serving,
    wait_until,
)

Scope = dict[str, Any]


class Gate:
    """A handler that answers when it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        while not self._opened.is_set():
            await anyio.sleep(0.01)
        await respond(send, b"finished")


def wait_for_drain(server: Serving) -> None:
    wait_until(lambda: server.slot.state is WorkerState.DRAINING, "the drain has begun")


def test_a_request_in_flight_is_finished_and_the_connection_closed(backend: str) -> None:
    gate = Gate()
    with serving(http_only(gate), backend) as server, server.client() as client:
        client.send(GET)
        assert gate.entered.wait(5)
        server.server.drain()
        wait_for_drain(server)
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 2, "beats while draining")
        gate.open()
        response = client.response()
        assert (response.body, response.closes) == (b"finished", True)
        assert client.rest() == b""
        server.wait_for_end()


def test_new_connections_are_refused_while_draining(backend: str) -> None:
    gate = Gate()
    with serving(http_only(gate), backend) as server, server.client() as client:
        client.send(GET)
        assert gate.entered.wait(5)
        server.server.drain()
        wait_for_drain(server)
        with pytest.raises(ConnectionRefusedError):
            server.client()
        gate.open()
        assert client.response().body == b"finished"


def test_an_idle_connection_may_send_a_last_request(backend: str) -> None:
    gate = Gate()
    gate.open()
    with serving(http_only(gate), backend) as server, server.client() as client:
        assert not client.get().closes
        server.server.drain()
        wait_for_drain(server)
        assert client.get().closes
        assert client.rest() == b""
        server.wait_for_end()


def test_idle_connections_are_closed_after_a_while(backend: str) -> None:
    gate = Gate()
    gate.open()
    with serving(http_only(gate), backend) as server:
        clients = [server.client() for _ in range(3)]
        clients[0].get()
        clients[1].send(GET[:10])
        clients[2].get()
        began = time.monotonic()
        server.server.drain()
        assert clients[1].head()[0] == 408
        for client in clients:
            assert client.is_closed() or client is clients[1]
            client.close()
        server.wait_for_end()
        assert 1.5 < time.monotonic() - began < 8


def test_connections_in_the_backlog_are_not_forgotten(backend: str) -> None:
    """What the kernel has accepted for us when the drain begins is still served."""
    gate = Gate()
    gate.open()
    block = threading.Event()

    async def blocking(scope: Scope, receive: Receive, send: Send) -> None:
        block.wait(5)  # the loop stands still, so nothing is accepted
        await respond(send, b"finished")

    app = routed({"/block": blocking, "/": gate})
    with serving(app, backend) as server, server.client() as client:
        client.send(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.slot.request_lines, "the loop is blocked")
        waiting = [server.client().send(GET) for _ in range(5)]
        drainer = threading.Thread(target=server.server.drain)
        drainer.start()
        block.set()
        drainer.join()
        for other in waiting:
            assert other.response().body == b"finished"
            other.close()
        assert client.response().body == b"finished"


@pytest.mark.parametrize("kind", ["starlette", "polite", "stubborn"])
def test_an_endless_event_stream_ends_cleanly_within_the_budget(backend: str, kind: str) -> None:
    async def events() -> Any:
        while True:
            yield b"data: x\n\n"
            await anyio.sleep(0.02)

    async def polite(scope: Scope, receive: Receive, send: Send) -> None:
        await start_events(send)
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body", "body": b"data: bye\n\n", "more_body": True})
        await send({"type": "http.response.body"})

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await start_events(send)
        while True:
            await anyio.sleep(0.02)
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})

    async def starlette(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(events(), media_type="text/event-stream")(scope, receive, send)

    app = http_only({"starlette": starlette, "polite": polite, "stubborn": stubborn}[kind])
    with serving(app, backend, graceful_timeout=1.0) as server, server.client() as client:
        client.send(GET)
        assert client.head()[0] == 200
        server.server.drain()
        last = b"".join(iter(client.chunk, b""))
        assert client.rest() == b"\r\n"  # a last chunk came, and then the end
        if kind == "polite":
            assert last.endswith(b"data: bye\n\n")
        server.wait_for_end(3)


async def start_events(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})


def test_another_endless_body_is_broken_off(backend: str) -> None:
    async def numbers(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        while True:
            await send({"type": "http.response.body", "body": b"[1,", "more_body": True})
            await anyio.sleep(0.02)

    app = http_only(numbers)
    with serving(app, backend, graceful_timeout=0.5) as server, server.client() as client:
        client.send(GET)
        assert client.head()[0] == 200
        server.server.drain()
        rest = client.rest()
        assert rest
        assert not rest.endswith(b"0\r\n\r\n")
        server.wait_for_end(3)


def test_a_request_without_a_response_at_the_end_of_the_budget_is_503(backend: str) -> None:
    gate = Gate()
    settings = {"graceful_timeout": 0.5}
    with serving(http_only(gate), backend, **settings) as server, server.client() as client:
        client.send(GET)
        assert gate.entered.wait(5)
        server.server.drain()
        response = client.response()
        assert (response.status, response.closes) == (503, True)


def test_background_work_is_waited_for(backend: str) -> None:
    gate = Gate()
    done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"ok")
        while not gate._opened.is_set():
            await anyio.sleep(0.01)
        done.set()

    with serving(http_only(app), backend) as server, server.client() as client:
        assert client.get("/", "Connection: close").status == 200
        server.server.drain()
        wait_for_drain(server)
        assert client.is_closed()
        assert not server.has_ended()
        gate.open()
        server.wait_for_end()
        assert done.is_set()


def test_a_quick_stop_cancels_requests(backend: str) -> None:
    entered = threading.Event()
    cancelled = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    with serving(http_only(app), backend) as server, server.client() as client:
        client.send(GET)
        assert entered.wait(5)
        began = time.monotonic()
        server.server.quick_stop()
        server.wait_for_end()
        assert time.monotonic() - began < 1.5
        assert cancelled.is_set()
        assert client.response().status == 503


def test_what_a_request_does_to_clean_up_is_not_interrupted(backend: str) -> None:
    """Others that end meanwhile do not make us cancel it again."""
    cleaned: list[str] = []
    entered: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        entered.append(path)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02 * int(path[1:]))
            cleaned.append(path)

    with serving(http_only(app), backend) as server:
        clients = [server.client() for _ in range(5)]
        for number, client in enumerate(clients):
            client.send(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: len(entered) == 5, "all requests run")
        server.server.quick_stop()
        server.wait_for_end()
        for client in clients:
            client.close()
    assert sorted(cleaned) == [f"/{number}" for number in range(5)]


def test_a_quick_stop_cuts_a_drain_short(backend: str) -> None:
    gate = Gate()
    with serving(http_only(gate), backend) as server, server.client() as client:
        client.send(GET)
        assert gate.entered.wait(5)
        server.server.drain()
        wait_for_drain(server)
        began = time.monotonic()
        server.server.quick_stop()
        server.wait_for_end()
        assert time.monotonic() - began < 1.5


def test_a_request_that_cannot_be_cancelled_is_named_and_left(
    error_log: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not release.is_set():
            try:
                await anyio.sleep(0.01)
            except BaseException:  # noqa: BLE001 - that is the point
                continue

    with serving(http_only(app), "asyncio") as server, server.client() as client:
        client.send(b"GET /stubborn?secret HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.slot.request_lines, "the request runs")
        server.server.quick_stop()
        wait_until(
            lambda: any("GET /stubborn, " in message for message in error_log.messages),
            "the request is named",
        )
        assert client.response().status == 503
        release.set()
        server.wait_for_end()


@pytest.mark.parametrize("backend", ["asyncio", "uvloop"])
def test_a_blocking_endpoint_does_not_hold_up_a_quick_stop(backend: str) -> None:
    """Its thread cannot be stopped, but nobody waits for it. (On trio a thread is always awaited.)"""
    entered = threading.Event()
    release = threading.Event()

    def block() -> None:
        entered.set()
        release.wait(20)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await run_in_threadpool(block)

    try:
        with serving(http_only(app), backend) as server, server.client() as client:
            client.send(GET)
            assert entered.wait(5)
            server.server.quick_stop()
            server.wait_for_end(1.5)
            assert client.response().status == 503
    finally:
        release.set()


SCRIPT = """
import logging, os, socket, sys, anyio
from greenuni.asgi import serve
from greenuni.shell import Interface
from greenuni.testing import fake_seat

async def until_the_loop_ends():
    try:
        yield
    finally:
        print("late", flush=True)
        os.kill(os.getpid(), int(sys.argv[2]))

left_behind = until_the_loop_ends()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shutdown", flush=True)
        if len(sys.argv) > 2:
            await anext(left_behind)
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await anyio.sleep(0.5)
    await send({"type": "http.response.body", "body": b"y"})

listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
settings = {"async_backend": "trio"} if sys.argv[1] == "trio" else {"loop": sys.argv[1]}
seat = fake_seat(app, Interface.ASGI3, [listener], **settings)
seat.ready = lambda: print(listener.getsockname()[1], flush=True)
seat.reopen_logs = lambda: print("reopened", flush=True)
serve(seat)
print("end", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals(backend: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, backend], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with Client(("127.0.0.1", port)) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert client.head()[0] == 200
                os.kill(process.pid, signal.SIGUSR1)
                assert process.stdout.readline() == "reopened\n"
                os.kill(process.pid, number)
                body = client.rest()
            assert body.endswith(b"0\r\n\r\n") == (number == signal.SIGTERM)
            assert process.stdout.read() == "shutdown\nend\n"
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_what_comes_while_the_loop_ends_is_too_late(backend: str, number: signal.Signals) -> None:
    """Ctrl-C reaches the workers themselves, and then QUIT comes from the arbiter."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, backend, str(int(number))],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            os.kill(process.pid, signal.SIGINT)
            assert process.stdout.read() == "shutdown\nlate\nend\n"
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_what_is_cancelled_at_the_end_of_a_drain_is_named(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    with (
        serving(http_only(gate), backend, graceful_timeout=0.4) as server,
        server.client() as client,
    ):
        client.send(GET)
        assert gate.entered.wait(5)
        server.server.drain()
        server.wait_for_end()
    (warning,) = [r for r in error_log.records if r.levelname == "WARNING"]
    assert warning.getMessage().startswith("Cancelled, to stop in time: GET /, ")


# The steps of a drain


async def tick_events(send: Send, entered: threading.Event | None = None) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while True:
        await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
        if entered is not None:
            entered.set()
        await anyio.sleep(0.02)


def test_event_streams_are_dismissed_first_and_end_whole(backend: str) -> None:
    """The plain request beside them has all of the budget."""
    gate = Gate()
    entered = threading.Event()

    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick_events, send, entered)
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

    app = routed({"/": gate, "/events": events})
    with (
        serving(app, backend, stream_drain=0.3, graceful_timeout=20) as server,
        server.client() as plain,
        server.client() as stream,
    ):
        plain.send(GET)
        stream.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert gate.entered.wait(5)
        assert entered.wait(5)
        began = time.monotonic()
        server.server.drain()
        response = stream.response()  # whole, or this would raise
        assert 0.25 < time.monotonic() - began < 10
        assert response.body.endswith(b"data: x\n\n")
        assert not server.has_ended()
        gate.open()
        assert plain.response().body == b"finished"
        server.wait_for_end()


def test_without_stream_drain_event_streams_have_all_of_the_budget(backend: str) -> None:
    entered = threading.Event()

    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        await tick_events(send, entered)

    with (
        serving(http_only(events), backend, stream_drain=0, graceful_timeout=1) as server,
        server.client() as client,
    ):
        client.send(GET)
        assert entered.wait(5)
        began = time.monotonic()
        server.server.drain()
        assert client.response().status == 200
        assert time.monotonic() - began > 0.7
        server.wait_for_end()


def test_connections_are_accepted_while_load_balancers_look_away(backend: str) -> None:
    gate = Gate()
    gate.open()
    with serving(http_only(gate), backend, drain_delay=0.6) as server, server.client() as kept:
        assert not kept.get().closes
        began = time.monotonic()
        server.server.drain()
        wait_for_drain(server)
        with server.client() as late:
            assert late.get().closes
            assert late.rest() == b""
        assert kept.get().closes
        server.wait_for_end()
        assert 0.5 < time.monotonic() - began < 8


def test_the_application_is_told_before_the_delay_is_over(backend: str) -> None:
    entered = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await scope["extensions"]["greenuni"].wait_for_shutdown()
        await respond(send, b"told")

    with serving(http_only(app), backend, drain_delay=60) as server, server.client() as client:
        client.send(GET)
        assert entered.wait(5)
        server.server.drain()
        response = client.response()
        assert (response.body, response.closes) == (b"told", True)


def test_the_lifespan_has_time_of_its_own(backend: str) -> None:
    """All of the budget has been used up by a request."""
    is_shut = threading.Event()
    entered = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await anyio.sleep(1.5)
            is_shut.set()
            await send({"type": "lifespan.shutdown.complete"})
            return
        entered.set()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)

    with (
        serving(app, backend, graceful_timeout=0.4, shutdown_timeout=20) as server,
        server.client() as client,
    ):
        client.send(GET)
        assert entered.wait(5)
        server.server.drain()
        server.wait_for_end()
        assert is_shut.is_set()
