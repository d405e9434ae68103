"""How a WebSocket ends, whoever ends it: what the client is told, the application, and the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenuni.asgi.websocket import connection
from greenuni.asgi.websocket.outbox import Disconnected
from greenuni.observe import AccessLog

from ..support import Receive, Send, serving, wait_until
from .support import (
    CLOSE,
    TEXT,
    Journal,
    WebSocketClient,
    accept,
    close_frame,
    connected,
    echo,
    frame,
    handshake,
    websocket_only,
)

Scope = dict[str, Any]


def errors_in(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("sent", "told", "answer"),
    [
        (close_frame(1000, "bye"), (1000, "bye"), (1000, "bye")),
        (close_frame(4001, "é"), (4001, "é"), (4001, "é")),
        (close_frame(1001), (1001, ""), (1001, "")),
        (frame(CLOSE), (1005, ""), (None, "")),
    ],
)
def test_the_client_closes(
    sent: bytes, told: tuple[int, str], answer: tuple[int | None, str], backend: str
) -> None:
    journal = Journal()
    with serving(websocket_only(journal), backend) as server, connected(server) as client:
        client.send(sent)
        assert client.frame().close == answer
        assert client.is_closed()
        wait_until(lambda: len(journal) == 2, "the application hears of it, twice")
    assert journal.disconnects == [told] * 2


@pytest.mark.parametrize("leave", [WebSocketClient.close, WebSocketClient.reset])
def test_the_client_leaves_without_a_word(
    leave: Callable[[WebSocketClient], None], backend: str
) -> None:
    journal = Journal()
    with serving(websocket_only(journal), backend) as server:
        client = WebSocketClient(server.address).open()
        leave(client)
        wait_until(lambda: len(journal) == 2, "the application hears of it, twice")
    assert journal.disconnects == [(1006, "")] * 2


def test_a_handler_that_only_waits_learns_of_it_at_once(backend: str) -> None:
    """What starlette#759 and fastapi#709 ask for."""
    left = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            left.append((await receive())["code"])
            tasks.cancel_scope.cancel()

    with serving(websocket_only(app), backend) as server, connected(server) as client:
        client.send(close_frame(1001))
        wait_until(lambda: left == [1001], "the handler has ended")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (1000, "")),
        ({"code": 4000, "reason": "enough"}, (4000, "enough")),
        ({"code": 1013, "reason": None}, (1013, "")),
        ({"reason": "é" * 100}, (1000, "é" * 61)),
    ],
)
def test_the_application_closes(
    fields: dict[str, Any], expected: tuple[int, str], backend: str
) -> None:
    received = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await send({"type": "websocket.close", **fields})
        received.append(await receive())
        with pytest.raises(Disconnected):
            await send({"type": "websocket.send", "text": "too late"})
        with pytest.raises(OSError, match="has ended"):
            await send({"type": "websocket.close"})

    with serving(websocket_only(app), backend) as server, connected(server) as client:
        client.text("never read")
        assert client.wait_for_close() == expected
        assert client.is_closed()
        wait_until(lambda: server.slot.requests, "the application returns")
    assert received[0]["code"] == expected[0]


def test_returning_is_1000(backend: str) -> None:
    app = websocket_only(lambda scope, receive, send: accept(send))
    with serving(app, backend) as server, connected(server) as client:
        assert client.wait_for_close() == (1000, "")
        assert client.is_closed()


def test_an_exception_is_1011_and_a_traceback(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        raise ValueError("on purpose")

    with (
        serving(websocket_only(app), backend) as server,
        connected(server, "/chat?secret=1", "X-Request-ID: abc-1") as client,
    ):
        assert client.wait_for_close() == (1011, "The request id is abc-1.")
        assert client.is_closed()
    expected = "Error in the application: GET /chat (request id abc-1): ValueError"
    assert errors_in(error_log) == [expected]
    assert 'raise ValueError("on purpose")' in error_log.text


@pytest.mark.parametrize("raises", [True, False])
def test_an_application_that_does_not_decide_is_a_500(
    raises: bool, backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if raises:
            raise ValueError("on purpose")

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        response = client.ask("/", "X-Request-ID: abc-2")
        assert response.status == 500
        assert b"abc-2" in response.body
        assert client.is_closed()
    assert len(errors_in(error_log)) == 1


def test_an_application_that_does_not_finish_its_denial(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        if scope["path"] == "/later":
            body = {"type": "websocket.http.response.body", "body": b"a", "more_body": True}
            await send(body)

    with serving(websocket_only(app), backend) as server:
        with WebSocketClient(server.address) as client:
            assert client.ask().status == 500
        with WebSocketClient(server.address) as client:
            client.send(handshake("/later"))
            assert client.head()[0] == 401
            with pytest.raises(OSError, match="reset"):
                client.rest()
    assert len(errors_in(error_log)) == 2


def test_how_an_application_stops_that_was_told_is_its_own_affair(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        if scope["path"] == "/receives":
            await receive()
            raise RuntimeError("the client has gone")
        while True:
            await send({"type": "websocket.send", "text": "tick"})
            await anyio.sleep(0.001)

    with serving(websocket_only(app), backend) as server:
        for path in ("/receives", "/sends"):
            with connected(server, path) as client:
                client.reset()
        wait_until(lambda: server.slot.requests == 2, "both have ended")
    assert errors_in(error_log) == []


def test_the_replies_to_what_came_before_the_close_are_sent(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        client.send(frame(TEXT, b"one") + frame(TEXT, b"two") + close_frame(1000))
        assert (client.message(), client.message()) == ("one", "two")
        assert client.wait_for_close() == (1000, "")
        assert client.is_closed()


def test_an_application_that_does_not_receive_holds_up_no_close(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send)
        await anyio.sleep_forever()

    with serving(websocket_only(app), backend) as server, connected(server) as client:
        client.send(frame(TEXT, b"never read") + close_frame(1000))
        assert client.wait_for_close() == (1000, "")
        assert client.is_closed()


def test_a_client_that_does_not_answer_our_close(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.2)
    app = websocket_only(lambda scope, receive, send: accept(send))
    with serving(app, backend) as server, connected(server) as client:
        assert client.frame().close == (1000, "")
        client.text("I have not heard you").text("nor will I")
        assert client.is_closed()


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def access_log() -> tuple[AccessLog, list[str]]:
    logger = logging.Logger("greenuni.access")
    handler = Lines()
    logger.addHandler(handler)
    return AccessLog('%(h)s "%(r)s" %(s)s %(c)s %(B)s %(T)s %({x}o)s', logger), handler.lines


def test_the_access_log_has_a_line_at_the_end(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/denied":
            await send({"type": "websocket.close"})
        else:
            await accept(send, headers=[(b"x", b"y")])
            await send({"type": "websocket.send", "text": "four"})
            await receive()

    access, lines = access_log()
    with serving(websocket_only(app), backend, access=access) as server:
        with connected(server, "/chat?a=b") as client:
            assert client.message() == "four"
            assert lines == []
            client.send(close_frame(3000))
            wait_until(lambda: lines, "the line")
        with WebSocketClient(server.address) as client:
            assert client.ask("/denied").status == 403
        wait_until(lambda: len(lines) == 2, "the other line")
    assert lines == [
        '127.0.0.1 "GET /chat?a=b HTTP/1.1" 101 3000 4 0 y',
        '127.0.0.1 "GET /denied HTTP/1.1" 403 - 0 0 -',
    ]


def test_the_scoreboard_counts_it_while_it_lasts(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server:
        with connected(server, "/chat"):
            wait_until(lambda: server.slot.in_flight == 1, "it is counted")
            assert server.slot.request_lines == [b"GET /chat"]
            assert server.slot.requests == 0
        wait_until(lambda: server.slot.requests == 1, "it is counted as done")
        assert server.slot.in_flight == 0
