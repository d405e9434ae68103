"""The client goes away, at every stage, in every way."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from .support import (
    GET,
    Client,
    Message,
    Receive,
    Send,
    http_only,
    open_descriptors,
    read_body,
    respond,
    serving,
    wait_until,
)

Scope = dict[str, Any]
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
LEAVE = {"fin": Client.close, "reset": Client.reset}


@pytest.fixture(params=LEAVE)
def leave(request: pytest.FixtureRequest) -> Any:
    return LEAVE[request.param]


class Witness:
    """An application that waits for the client to go, and keeps what it received."""

    def __init__(self, waiters: int = 1) -> None:
        self.waiters = waiters
        self.messages: list[Message] = []
        self.entered = threading.Event()
        self.left = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.entered.set()
        async with anyio.create_task_group() as tasks:
            for _ in range(self.waiters):
                tasks.start_soon(self._wait, receive)
        # And for ever after:
        for _ in range(3):
            self.messages.append(await receive())
        await respond(send, b"nobody reads this")
        self.left.set()

    async def _wait(self, receive: Receive) -> None:
        while True:
            message = await receive()
            self.messages.append(message)
            if message["type"] == "http.disconnect":
                return


@pytest.mark.parametrize("waiters", [1, 3])
def test_every_waiter_is_told_at_once_and_for_ever(backend: str, leave: Any, waiters: int) -> None:
    app = Witness(waiters)
    with serving(app, backend) as server:
        client = server.client().send(GET)
        assert app.entered.wait(5)
        wait_until(lambda: app.messages, "the request message")
        leave(client)
        assert app.left.wait(5)
    types = [message["type"] for message in app.messages]
    assert types == ["http.request"] + ["http.disconnect"] * (waiters + 3)


def test_in_the_middle_of_the_body(backend: str, leave: Any) -> None:
    app = Witness()
    with serving(app, backend) as server:
        client = server.client().send(POST + b"ab")
        assert app.entered.wait(5)
        wait_until(lambda: app.messages, "the first part of the body")
        leave(client)
        assert app.left.wait(5)
    assert app.messages[0] == {"type": "http.request", "body": b"ab", "more_body": True}
    assert {message["type"] for message in app.messages[1:]} == {"http.disconnect"}


def test_while_the_response_streams(backend: str, leave: Any) -> None:
    sent: list[int] = []
    ended = threading.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200})
        while (await receive_nowait(receive)) is None:
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            sent.append(1)
            await anyio.sleep(0.001)
        # After the client has gone, sending is no error and changes nothing.
        for _ in range(50):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        await send({"type": "http.response.body"})
        ended.set()

    with serving(http_only(stream), backend) as server:
        client = server.client().send(GET)
        assert client.head()[0] == 200
        leave(client)
        assert ended.wait(5)
    assert sent


async def receive_nowait(receive: Receive) -> Message | None:
    """A message if one is ready, as Starlette's is_disconnected() asks."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        return await receive()
    return None


def test_before_a_request(backend: str, leave: Any) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("there was no request")

    with serving(http_only(never), backend) as server:
        client = server.client()
        wait_until(lambda: connections(server) == 1, "the connection")
        leave(client)
        wait_until(lambda: connections(server) == 0, "the connection is gone")


def test_in_the_middle_of_the_head(backend: str, leave: Any) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("there was no request")

    with serving(http_only(never), backend) as server:
        client = server.client().send(GET[:20])
        wait_until(lambda: connections(server) == 1, "the connection")
        leave(client)
        wait_until(lambda: connections(server) == 0, "the connection is gone")


def test_while_the_application_is_blocked_in_send(backend: str, leave: Any) -> None:
    blocked = threading.Event()
    ended = threading.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(1000):
            with anyio.move_on_after(0.5) as scope_:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            if scope_.cancelled_caught:
                break
        blocked.set()
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        ended.set()

    with serving(http_only(flood), backend) as server:
        client = server.client(receive_buffer=4096).send(GET)
        assert blocked.wait(10)
        assert not ended.is_set()
        leave(client)
        assert ended.wait(5)


def connections(server: Any) -> int:
    return len(server.server._service.population.connections)


def test_starlette_sees_it_by_polling(backend: str) -> None:
    answers: list[bool] = []
    told = threading.Event()

    async def poll(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        answers.append(await request.is_disconnected())
        with anyio.fail_after(5):
            while not await request.is_disconnected():
                await anyio.sleep(0.01)
        answers.append(await request.is_disconnected())
        told.set()

    with serving(http_only(poll), backend) as server:
        client = server.client().send(GET)
        wait_until(lambda: answers, "the first answer")
        client.close()
        assert told.wait(5)
    assert answers == [False, True]


def test_a_silent_stream_is_cleaned_up_at_once(backend: str) -> None:
    """The generator of an idle event stream ends within 0.1 s of the client's leaving."""
    cleaned: list[float] = []

    async def events() -> Any:
        try:
            yield b"data: hello\n\n"
            await anyio.sleep(30)
        finally:
            cleaned.append(time.monotonic())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = StreamingResponse(events(), media_type="text/event-stream")
        await response(scope, receive, send)

    with serving(http_only(app), backend) as server:
        client = server.client().send(GET)
        assert client.head()[0] == 200
        assert client.chunk() == b"data: hello\n\n"
        client.close()
        left = time.monotonic()
        wait_until(lambda: cleaned, "the generator is closed")
    assert cleaned[0] - left < 0.1


def test_a_half_close_is_told_and_still_answered(backend: str) -> None:
    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        assert await read_body(receive) == b"hello"
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"still ", "more_body": True})
        await send({"type": "http.response.body", "body": b"here"})

    with serving(http_only(patient), backend) as server, server.client() as client:
        client.send(POST + b"hello").finish()
        assert client.response().body == b"still here"
        assert client.rest() == b""


def test_a_body_cut_short_by_a_half_close_is_400(backend: str) -> None:
    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()

    with serving(http_only(body), backend) as server, server.client() as client:
        client.send(POST + b"he").finish()
        assert client.response().status == 400
        assert client.rest() == b""


def test_disconnect_comes_after_the_response_is_complete(backend: str) -> None:
    after: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"done")
        after.append(await receive())
        after.append(await receive())

    with serving(http_only(app), backend) as server, server.client() as client:
        assert client.get().body == b"done"
        assert client.get().body == b"done"
    assert after == [{"type": "http.disconnect"}] * 4


def test_an_error_that_the_disconnect_caused_is_no_error(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
            raise ConnectionError("the client has gone")
        finally:
            ended.set()

    with serving(http_only(app), backend) as server:
        server.client().send(GET).close()
        assert ended.wait(5)
    assert not [record for record in error_log.records if record.levelname == "ERROR"]


def test_no_descriptor_is_left_behind(backend: str) -> None:
    app = Witness()
    with serving(app, backend) as server:
        server.client().send(GET).close()
        assert app.left.wait(5)
        wait_until(lambda: connections(server) == 0, "the connection is gone")
        before = open_descriptors()
        for number in range(60):
            client = server.client()
            if number % 3:
                client.send(GET if number % 2 else GET[:9])
            LEAVE["fin" if number % 4 else "reset"](client)
        wait_until(lambda: connections(server) == 0, "the connections are gone")
        wait_until(lambda: open_descriptors() <= before, "the descriptors are closed")
