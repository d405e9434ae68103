"""Requests that take too long, and what an application is told about the one that it works on."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from .support import GET, Receive, Send, http_only, respond, routed, serving, wait_until

Scope = dict[str, Any]


class Endless:
    """A handler that goes on for ever, and says how it ended."""

    def __init__(self, *, streams: bool = False) -> None:
        self._streams = streams
        self.entered = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        self.entered.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise


def test_a_request_that_takes_too_long_is_504_and_cancelled(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    app = Endless()
    with (
        serving(http_only(app), backend, request_timeout=0.2) as server,
        server.client() as client,
    ):
        response = client.send(GET).response()
        assert (response.status, response.closes) == (504, True)
        assert app.cancelled.wait(5)
        wait_until(lambda: server.slot.requests == 1, "the call is over")
    assert "(request-timeout): GET /, 0." in error_log.text
    assert "Traceback" not in error_log.text


def test_a_stream_that_takes_too_long_is_broken_off(backend: str) -> None:
    app = Endless(streams=True)
    with (
        serving(http_only(app), backend, request_timeout=0.2) as server,
        server.client() as client,
    ):
        assert client.send(GET).head()[0] == 200
        assert client.rest() == b"1\r\nx\r\n"
        assert app.cancelled.wait(5)


def test_what_runs_behind_a_complete_response_has_no_limit(backend: str) -> None:
    is_done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"done")
        await anyio.sleep(0.5)
        is_done.set()

    with (
        serving(http_only(app), backend, request_timeout=0.1) as server,
        server.client() as client,
    ):
        assert client.get().body == b"done"
        assert is_done.wait(5)


def test_a_request_extends_its_own_deadline(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["greenuni"].extend_deadline(30)
        await anyio.sleep(0.5)
        await respond(send, b"in time")

    with (
        serving(http_only(app), backend, request_timeout=0.1) as server,
        server.client() as client,
    ):
        assert client.get().body == b"in time"


def test_extending_by_less_takes_nothing_away(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["greenuni"].extend_deadline(0)
        await anyio.sleep(0.3)
        await respond(send, b"in time")

    with (
        serving(http_only(app), backend, request_timeout=30) as server,
        server.client() as client,
    ):
        assert client.get().body == b"in time"


def test_a_stream_that_falls_silent_is_broken_off(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    app = Endless(streams=True)
    with (
        serving(http_only(app), backend, stream_idle_timeout=0.2) as server,
        server.client() as client,
    ):
        assert client.send(GET).head()[0] == 200
        assert client.rest() == b"1\r\nx\r\n"
        assert app.cancelled.wait(5)
    assert "(stream-idle-timeout): GET /" in error_log.text


def test_a_stream_may_last_as_long_as_it_says_something(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(10):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await anyio.sleep(0.1)
        await send({"type": "http.response.body"})

    with (
        serving(http_only(app), backend, stream_idle_timeout=0.5) as server,
        server.client() as client,
    ):
        assert client.get().body == b"x" * 10


def test_a_slow_reader_is_not_taken_for_a_silent_stream(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await send({"type": "http.response.body"})

    with (
        serving(http_only(app), backend, stream_idle_timeout=0.2) as server,
        server.client(receive_buffer=4096) as client,
    ):
        client.send(GET)
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 12, "0.6 seconds of ticks")
        assert len(client.response().body) == 10_000_000


# When the client goes


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_the_call_of_a_gone_client_is_cancelled_after_its_grace(
    backend: str, leave: str, error_log: pytest.LogCaptureFixture
) -> None:
    app = Endless()
    with serving(http_only(app), backend, on_disconnect=("cancel:0.3",)) as server:
        client = server.client().send(GET)
        assert app.entered.wait(5)
        getattr(client, leave)()
        wait_until(lambda: server.server._service.disconnects == 1, "it is noticed")
        assert not app.cancelled.is_set()
        assert app.cancelled.wait(5)
        wait_until(lambda: server.slot.requests == 1, "the call is over")
    assert "Cancelled, as its client has gone: GET /" in error_log.text
    assert "Traceback" not in error_log.text
    assert not [record for record in error_log.records if record.levelname != "DEBUG"]


def test_the_call_of_a_gone_client_is_left_alone_by_default(backend: str) -> None:
    is_done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await anyio.sleep(0.3)
        is_done.set()

    with serving(http_only(app), backend) as server:
        server.client().send(GET).close()
        assert is_done.wait(5)
        assert server.server._service.disconnects == 1


def test_each_path_has_its_own_rule(backend: str) -> None:
    apps = {path: Endless() for path in ("/chat/1", "/chatter", "/other")}
    rules = ("/chat=cancel:0", "event", "/other=cancel:0.1")
    with serving(routed(apps), backend, on_disconnect=rules) as server:
        for path, app in apps.items():
            client = server.client().send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert app.entered.wait(5)
            client.close()
        assert apps["/chat/1"].cancelled.wait(5)
        assert apps["/other"].cancelled.wait(5)
        assert not apps["/chatter"].cancelled.is_set()


def test_an_answered_request_is_not_cancelled_when_its_client_goes(backend: str) -> None:
    is_done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"done")
        await anyio.sleep(0.3)
        is_done.set()

    with serving(http_only(app), backend, on_disconnect=("cancel",)) as server:
        with server.client() as client:
            assert client.get().body == b"done"
        assert is_done.wait(5)
        assert server.server._service.disconnects == 0


def test_a_cancelled_call_that_cleans_up_is_not_interrupted(backend: str) -> None:
    cleaned = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.3)
            cleaned.set()

    with serving(http_only(app), backend, on_disconnect=("cancel",)) as server:
        server.client().send(GET).close()
        assert cleaned.wait(5)


# What an application can ask


async def when(condition: Callable[[], object]) -> None:
    while not condition():
        await anyio.sleep(0.01)


def test_an_application_sees_its_client_go(backend: str) -> None:
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        control = scope["extensions"]["greenuni"]
        seen.append(control.disconnected)
        await when(lambda: control.disconnected)
        seen.append(control.disconnected)

    with serving(http_only(app), backend) as server:
        client = server.client().send(GET)
        wait_until(lambda: seen, "the application has begun")
        client.close()
        wait_until(lambda: len(seen) == 2, "the application has seen it")
    assert seen == [False, True]


@pytest.mark.parametrize("how", ["asks", "waits"])
def test_an_application_is_told_at_once_that_the_worker_leaves(backend: str, how: str) -> None:
    entered = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        control = scope["extensions"]["greenuni"]
        assert not control.shutting_down
        entered.set()
        told: Awaitable[object] = (
            control.wait_for_shutdown() if how == "waits" else when(lambda: control.shutting_down)
        )
        await told
        assert control.shutting_down
        await respond(send, b"saved")

    with serving(http_only(app), backend) as server, server.client() as client:
        client.send(GET)
        assert entered.wait(5)
        server.server.drain()
        response = client.response()
        assert (response.body, response.closes) == (b"saved", True)
        server.wait_for_end()
