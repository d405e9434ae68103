"""Startup, shutdown, and what an exception on the lifespan scope means."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from greenuni.errors import BootError

from .support import Receive, Send, hello, read_body, respond, serving, wait_until

Scope = dict[str, Any]


class Lived:
    """An application with a lifespan that keeps a diary. Hooks run at startup and shutdown."""

    def __init__(self, startup: Any = None, shutdown: Any = None) -> None:
        self.diary: list[str] = []
        self.startup = startup
        self.shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            return await respond(send, repr(scope["state"]).encode())
        assert scope["asgi"]["spec_version"] == "2.0"
        assert await receive() == {"type": "lifespan.startup"}
        if self.startup:
            await self.startup(scope, send)
        self.diary.append("up")
        await send({"type": "lifespan.startup.complete"})
        assert await receive() == {"type": "lifespan.shutdown"}
        if self.shutdown:
            await self.shutdown(scope, send)
        self.diary.append("down")
        await send({"type": "lifespan.shutdown.complete"})
        return None


def test_startup_comes_before_ready_and_shutdown_after_the_last_request(backend: str) -> None:
    app = Lived()
    with serving(app, backend) as server:
        assert app.diary == ["up"]
        assert server.slot.state.name == "SERVING"
        with server.client() as client:
            assert client.get().status == 200
        server.server.drain()
        server.wait_for_end()
    assert app.diary == ["up", "down"]


def test_the_shutdown_also_comes_at_a_quick_stop(backend: str) -> None:
    app = Lived()
    with serving(app, backend) as server:
        server.server.quick_stop()
        server.wait_for_end()
    assert app.diary == ["up", "down"]


def test_state_is_shared_by_a_shallow_copy(backend: str) -> None:
    async def startup(scope: Scope, send: Send) -> None:
        scope["state"]["pool"] = ["connection"]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lived(scope, receive, send)
        scope["state"]["mine"] = True
        scope["state"]["pool"].append("more")
        return await respond(send, repr(scope["state"]).encode())

    lived = Lived(startup)
    with serving(app, backend) as server, server.client() as client:
        assert client.get().body == b"{'pool': ['connection', 'more'], 'mine': True}"
        assert client.get().body == b"{'pool': ['connection', 'more', 'more'], 'mine': True}"


def fails_with(app: Any, backend: str = "asyncio", **settings: Any) -> BootError:
    with pytest.raises(BootError) as caught, serving(app, backend, **settings):
        raise AssertionError("the server became ready")
    return caught.value


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_startup_failed_is_fatal(backend: str, mode: str) -> None:
    async def startup(scope: Scope, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        await anyio.sleep_forever()

    error = fails_with(Lived(startup), backend, lifespan=mode)
    assert str(error) == "The application could not start: no database"
    assert error.exit_status == 3


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_an_exception_in_startup_is_fatal_with_the_users_frames(backend: str, mode: str) -> None:
    async def startup(scope: Scope, send: Send) -> None:
        raise ValueError("no model")

    error = fails_with(Lived(startup), backend, lifespan=mode)
    assert str(error) == "The application could not start: ValueError: no model"
    assert 'raise ValueError("no model")' in error.details
    assert "greenuni/asgi" not in error.details


def test_a_starlette_startup_error_is_fatal_with_its_traceback() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        raise ValueError("no model")
        yield

    error = fails_with(Starlette(lifespan=lifespan))
    assert str(error) == "The application could not start: ValueError: no model"
    assert 'raise ValueError("no model")' in error.details


async def cancel_itself(scope: Scope, send: Send) -> None:
    """As a task does that has awaited one which somebody else has cancelled."""
    raise asyncio.CancelledError("by itself")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_startup_that_cancels_itself_is_fatal(loop: str) -> None:
    error = fails_with(Lived(cancel_itself), loop)
    assert str(error).endswith("CancelledError: by itself")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_shutdown_that_cancels_itself_is_not_waited_for(loop: str) -> None:
    with serving(Lived(shutdown=cancel_itself), loop, graceful_timeout=1000.0) as server:
        server.server.drain()
        server.wait_for_end()


def test_sys_exit_in_startup_is_fatal(backend: str) -> None:
    async def startup(scope: Scope, send: Send) -> None:
        raise SystemExit("no licence")

    assert "SystemExit: no licence" in str(fails_with(Lived(startup), backend))


async def asserting(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await hello(scope, receive, send)


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await hello(scope, receive, send)


async def returning_late(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    if scope["type"] == "http":
        await hello(scope, receive, send)


@pytest.mark.parametrize("app", [asserting, returning, returning_late])
def test_an_application_without_a_lifespan_is_served(
    backend: str, app: Any, error_log: pytest.LogCaptureFixture
) -> None:
    with serving(app, backend) as server, server.client() as client:
        assert client.get().status == 200
    notes = [r for r in error_log.records if "has no lifespan" in r.getMessage()]
    assert [record.levelname for record in notes] == ["DEBUG"]


@pytest.mark.parametrize("app", [asserting, returning])
def test_with_lifespan_on_it_is_not(backend: str, app: Any) -> None:
    assert "with lifespan auto" in str(fails_with(app, backend, lifespan="on"))


def test_with_lifespan_off_it_is_not_asked(backend: str) -> None:
    app = Lived()
    with serving(app, backend, lifespan="off") as server, server.client() as client:
        assert client.get().body == b"{}"
    assert app.diary == []


def test_startup_has_no_time_limit_and_the_worker_beats_meanwhile(backend: str) -> None:
    go_on = threading.Event()

    async def startup(scope: Scope, send: Send) -> None:
        while not go_on.is_set():
            await anyio.sleep(0.01)

    with serving(Lived(startup), backend, wait=False) as server:
        wait_until(lambda: server.slot.beats > 3, "beats while booting")
        assert not server.seat.ready.is_set()
        go_on.set()
        wait_until(server.seat.ready.is_set, "ready")


def test_a_stop_during_startup_cancels_it(backend: str) -> None:
    entered = threading.Event()
    cleaned = threading.Event()

    async def startup(scope: Scope, send: Send) -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.set()

    with serving(Lived(startup), backend, wait=False) as server:
        assert entered.wait(5)
        server.server.drain()
        server.wait_for_end()
    assert cleaned.is_set()
    assert not server.seat.ready.is_set()


def test_a_startup_that_catches_its_cancellation_is_cancelled_again(backend: str) -> None:
    entered = threading.Event()
    caught: list[BaseException] = []

    async def startup(scope: Scope, send: Send) -> None:
        entered.set()
        while len(caught) < 3:
            try:
                await anyio.sleep_forever()
            except BaseException as error:  # noqa: BLE001
                caught.append(error)
        raise caught[-1]

    with serving(Lived(startup), backend, wait=False) as server:
        assert entered.wait(5)
        server.server.drain()
        server.wait_for_end()
    assert len(caught) == 3


def test_an_exception_in_shutdown_is_logged(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def shutdown(scope: Scope, send: Send) -> None:
        raise ValueError("cannot close")

    with serving(Lived(shutdown=shutdown), backend) as server:
        server.server.drain()
        server.wait_for_end()
    (record,) = [record for record in error_log.records if record.levelname == "ERROR"]
    assert record.exc_info is not None


def test_a_failed_shutdown_is_logged(backend: str, error_log: pytest.LogCaptureFixture) -> None:
    async def shutdown(scope: Scope, send: Send) -> None:
        await send({"type": "lifespan.shutdown.failed", "message": "cannot close"})
        await anyio.sleep_forever()

    with serving(Lived(shutdown=shutdown), backend) as server:
        server.server.drain()
        server.wait_for_end()
    assert "The lifespan shutdown failed: cannot close" in error_log.messages


def test_a_shutdown_that_takes_too_long_is_left(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def shutdown(scope: Scope, send: Send) -> None:
        await anyio.sleep_forever()

    with serving(Lived(shutdown=shutdown), backend) as server:
        began = time.monotonic()
        server.server.quick_stop()
        server.wait_for_end()
        assert time.monotonic() - began < 1.9
    assert any("the lifespan shutdown" in message for message in error_log.messages)


def test_a_quick_stop_also_cuts_a_shutdown_short(backend: str) -> None:
    entered = threading.Event()

    async def shutdown(scope: Scope, send: Send) -> None:
        entered.set()
        await anyio.sleep_forever()

    with serving(Lived(shutdown=shutdown), backend) as server:
        server.server.drain()
        assert entered.wait(5)
        began = time.monotonic()
        for _ in range(3):
            server.server.quick_stop()
        server.wait_for_end()
        assert time.monotonic() - began < 1.9


lifespan_variable: ContextVar[str] = ContextVar("lifespan_variable", default="unset")
request_variable: ContextVar[str] = ContextVar("request_variable", default="unset")


@pytest.mark.parametrize("lifespan", ["auto", "off"])
def test_every_request_starts_from_the_context_of_startup(backend: str, lifespan: str) -> None:
    """What startup set is seen; what a sibling set, pipelined or concurrent, is not."""

    async def startup(scope: Scope, send: Send) -> None:
        lifespan_variable.set("set in lifespan")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lived(scope, receive, send)
        seen = f"{lifespan_variable.get()}, {request_variable.get()}"
        request_variable.set(scope["path"])
        lifespan_variable.set("changed by a request")
        body = await read_body(receive)
        assert request_variable.get() == scope["path"]
        return await respond(send, seen.encode() + b" " + body)

    lived = Lived(startup)
    expected = "set in lifespan, unset" if lifespan == "auto" else "unset, unset"
    with serving(app, backend, lifespan=lifespan) as server, server.client() as client:
        request = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
        client.send(b"".join(request % number for number in range(20)))
        for _ in range(20):
            assert client.response().body.decode() == f"{expected} body"
        with server.client() as other:
            head, rest = (request % 99)[:-2], (request % 99)[-2:]
            other.send(head)
            assert client.send(request % 1).response().body.decode() == f"{expected} body"
            assert other.send(rest).response().body.decode() == f"{expected} body"


def test_starlette_state_reaches_the_request(backend: str) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        yield {"model": "loaded"}

    async def index(request: StarletteRequest) -> PlainTextResponse:
        return PlainTextResponse(request.state.model)

    app = Starlette(routes=[Route("/", index)], lifespan=lifespan)
    with serving(app, backend) as server, server.client() as client:
        assert client.get().body == b"loaded"
