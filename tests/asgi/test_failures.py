"""The application breaks its contract, raises, or gives up: what the client gets and the log says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenuni.asgi.reply import UnexpectedMessage
from greenuni.errors import LocalProtocolError

from .support import Message, Receive, Send, hello, http_only, respond, routed, serving, wait_until

Scope = dict[str, Any]
START = {"type": "http.response.start", "status": 200, "headers": []}


def messages_app(*messages: Message) -> Callable[..., Any]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return http_only(app)


def errors_in(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelname == "ERROR"]


def test_an_exception_is_a_500_and_a_traceback(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("on purpose")

    app = routed({"/broken\x1b[31m": broken, "/": hello})
    with serving(app, backend) as server, server.client() as client:
        response = client.get("/broken%1b%5B31m?secret=1", "X-Request-ID: abc-123")
        assert (response.status, response.closes) == (500, True)
        assert b"abc-123" in response.body
        assert b"on purpose" not in response.body
        assert client.rest() == b""
        with server.client() as other:
            assert other.get().status == 200
    (record,) = [record for record in error_log.records if record.levelname == "ERROR"]
    assert record.getMessage() == (
        "Error in the application: GET /broken%1b%5B31m (request id abc-123): ValueError"
    )
    assert record.exc_info is not None
    traceback = error_log.text
    assert 'raise ValueError("on purpose")' in traceback
    assert "greenuni/asgi/cycle.py" not in traceback


@pytest.mark.parametrize("given", ["x" * 65, "a b", "a;b", ""])
def test_a_request_id_that_does_not_look_like_one_is_not_repeated(given: str) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    with serving(http_only(broken)) as server, server.client() as client:
        body = client.get("/", f"X-Request-ID: {given}").body.decode()
    name = body.split()[-1].rstrip(".")
    assert len(name) == 16
    assert int(name, 16)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), BaseException("base")])
def test_no_exception_of_one_request_ends_the_worker(backend: str, error: BaseException) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    app = routed({"/broken": broken, "/": hello})
    with serving(app, backend) as server:
        with server.client() as client:
            assert client.get("/broken").status == 500
        with server.client() as client:
            assert client.get("/").status == 200


def test_an_exception_after_the_head_breaks_the_connection(backend: str) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError("on purpose")

    with serving(http_only(broken), backend) as server:
        with server.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head()
            assert client.chunk() == b"part"
            assert client.rest() == b""  # no last chunk
        with server.client() as client:
            # Here the end of the connection would be the end of the body.
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                client.rest()


def test_an_exception_after_the_response_is_logged_and_harms_nobody(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"done")
        raise ValueError("in the background")

    with serving(http_only(broken), backend) as server, server.client() as client:
        assert client.get().body == b"done"
        assert client.get().body == b"done"
        wait_until(lambda: len(errors_in(error_log)) == 2, "both errors are logged")


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "returned while its response was awaited"),
        ([START], "returned while its response was started"),
    ],
)
def test_returning_without_a_response_is_a_500(
    backend: str, messages: list[Message], complaint: str, error_log: pytest.LogCaptureFixture
) -> None:
    with serving(messages_app(*messages), backend) as server, server.client() as client:
        response = client.get()
        assert (response.status, response.closes) == (500, True)
    assert complaint in errors_in(error_log)[0]


def test_returning_in_the_middle_of_a_response_breaks_the_connection(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    part = {"type": "http.response.body", "body": b"part", "more_body": True}
    with serving(messages_app(START, part), backend) as server, server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head()
        assert client.chunk() == b"part"
        assert client.rest() == b""
    assert "returned while its response was streaming" in errors_in(error_log)[0]


INVALID: dict[str, tuple[list[Message], type[BaseException], str]] = {
    "body first": ([{"type": "http.response.body"}], UnexpectedMessage, "awaited"),
    "start twice": ([START, START], UnexpectedMessage, "'http.response.start'"),
    "another protocol": ([{"type": "websocket.accept"}], UnexpectedMessage, "websocket.accept"),
    "no status": ([{"type": "http.response.start"}], UnexpectedMessage, "needs a 'status'"),
    "text for a body": (
        [START, {"type": "http.response.body", "body": "text"}],
        UnexpectedMessage,
        "bytes, not str",
    ),
    "a status that is none": (
        [{"type": "http.response.start", "status": 99}],
        LocalProtocolError,
        "99",
    ),
    "a split response": (
        [
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"x", b"1\r\nSet-Cookie: evil=1")],
            }
        ],
        LocalProtocolError,
        "'x'",
    ),
    "text for a header": (
        [{"type": "http.response.start", "status": 200, "headers": [("x", "1")]}],
        LocalProtocolError,
        "not bytes",
    ),
    "more than its length": (
        [
            {**START, "headers": [(b"content-length", b"2")]},
            {"type": "http.response.body", "body": b"abc"},
        ],
        LocalProtocolError,
        "more content",
    ),
    "less than its length": (
        [
            {**START, "headers": [(b"content-length", b"5")]},
            {"type": "http.response.body", "body": b"abc"},
        ],
        LocalProtocolError,
        "less content",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_response_raises_in_the_application_and_is_a_500(case: str) -> None:
    messages, kind, words = INVALID[case]
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for message in messages:
                await send(message)
        except Exception as error:
            raised.append(error)
            raise

    with serving(http_only(app)) as server, server.client() as client:
        response = client.get()
        assert response.status == 500
        assert "set-cookie" not in response.headers
    assert isinstance(raised[0], kind)
    assert words in str(raised[0])


def test_content_that_does_not_match_is_never_completed(backend: str) -> None:
    messages: list[Message] = [
        {**START, "headers": [(b"content-length", b"5")]},
        {"type": "http.response.body", "body": b"abc", "more_body": True},
        {"type": "http.response.body", "body": b"defg"},
    ]
    with serving(messages_app(*messages), backend) as server, server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head()
        assert client.rest() == b"abc"


def test_after_the_response_another_message_is_an_error(
    error_log: pytest.LogCaptureFixture,
) -> None:
    body = {"type": "http.response.body", "body": b"x"}
    with serving(messages_app(START, body, body)) as server, server.client() as client:
        assert client.get().body == b"x"
        wait_until(lambda: errors_in(error_log), "the error is logged")
    assert "UnexpectedMessage" in errors_in(error_log)[0]


def test_headers_may_be_any_iterable_of_pairs(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = ([name, b"1"] for name in (b"x-a", b"x-b"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": memoryview(b"view"), "more_body": True})
        await send({"type": "http.response.body", "body": bytearray(b"array")})

    with serving(http_only(app), backend) as server, server.client() as client:
        response = client.get()
    assert response.body == b"viewarray"
    assert (response.headers["x-a"], response.headers["x-b"]) == ("1", "1")


def test_a_request_that_cancels_itself_is_a_500(error_log: pytest.LogCaptureFixture) -> None:
    import asyncio

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with serving(http_only(app)) as server, server.client() as client:
        assert client.get().status == 500
    assert "CancelledError" in errors_in(error_log)[0]


def test_a_stream_that_waits_for_nothing_leaves_time_for_others(backend: str) -> None:
    started = threading.Event()
    stop = threading.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        started.set()
        while not stop.is_set():
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body"})

    app = routed({"/flood": flood, "/": hello})
    with serving(app, backend) as server, server.client() as busy:
        reader = threading.Thread(target=_read_flood, args=(busy,))
        reader.start()
        try:
            assert started.wait(5)
            with server.client() as client:
                for _ in range(20):
                    assert client.get().status == 200
        finally:
            stop.set()
            reader.join(10)
        assert not reader.is_alive()


def _read_flood(client: Any) -> None:
    client.send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").response()


def test_a_stream_to_a_lost_client_leaves_time_for_others(backend: str) -> None:
    started = threading.Event()
    stop = threading.Event()
    ended = threading.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        while not stop.is_set():
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            started.set()
        ended.set()

    app = routed({"/flood": flood, "/": hello})
    with serving(app, backend) as server:
        server.client().send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").close()
        assert started.wait(5)
        with server.client() as client:
            for _ in range(20):
                assert client.get().status == 200
        stop.set()
        assert ended.wait(5)


def test_several_tasks_may_send_for_one_request(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def part() -> None:
            for _ in range(100):
                await send({"type": "http.response.body", "body": b"x" * 5000, "more_body": True})

        await send(START)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(part)
        await send({"type": "http.response.body"})

    with serving(http_only(app), backend) as server, server.client() as client:
        assert len(client.get().body) == 2_000_000
