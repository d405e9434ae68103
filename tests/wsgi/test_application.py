"""One call of an application: start_response, what it returns, and how it fails (PEP 3333)."""

from __future__ import annotations

import logging
import queue
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greenuni.errors import LocalProtocolError
from tests.support.server import wait_until
from tests.wsgi.harness import (
    Client,
    Response,
    Shell,
    Tracked,
    request,
    serving,
)

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
App = Callable[[Environ, StartResponse], Any]

BOTH = pytest.mark.parametrize("threads", [1, 2])


def answer(app: App, data: bytes | None = None, **settings: Any) -> Response:
    """The response of ``app`` to one request."""
    with serving(app, **settings) as shell, shell.connect() as client:
        client.send(data or request())
        return client.response()


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


# What may be given to start_response


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("200 OK", (200, "OK")),
        ("204", (204, "No Content")),
        ("404 Gone fishing", (404, "Gone fishing")),
        ("299 ", (299, "")),
        ("200 \xe9t\xe9", (200, "\xe9t\xe9")),
    ],
)
def test_a_status_with_or_without_a_reason(status: str, line: tuple[int, str]) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response(status, [])
        return []

    response = answer(app)
    assert (response.status, response.reason) == line


@pytest.mark.parametrize(
    "arguments",
    [
        (200, []),
        (b"200 OK", []),
        ("OK", []),
        ("200OK", []),
        ("20 OK", []),
        ("2000 OK", []),
        ("100 Continue", []),
        ("200 OK\r\nX: y", []),
        ("200 \u20ac", []),
        ("200 OK", ()),
        ("200 OK", {}),
        ("200 OK", None),
        ("200 OK", [("a",)]),
        ("200 OK", ["ab:c"]),
        ("200 OK", [("a", 1)]),
        ("200 OK", [("a", b"b")]),
        ("200 OK", [(b"a", "b")]),
        ("200 OK", [("a", "\u20ac")]),
        ("200 OK", [("a", "b\r\nc: d")]),
        ("200 OK", [("a b", "c")]),
        ("200 OK", [("", "c")]),
        ("200 OK", [("Content-Length", "-1")]),
        ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")]),
    ],
    ids=repr,
)
def test_what_start_response_refuses(
    arguments: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response(*arguments)
        return [b"x"]

    response = answer(app)
    assert response.status == 500
    (record,) = errors(caplog)
    assert record.exc_info
    assert record.exc_info[0] is LocalProtocolError


def test_fields_go_out_as_they_are() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("X-Name", "caf\xe9"), ("x-name", ""), ("Set-Cookie", "a=b")])
        return []

    fields = answer(app).fields
    assert fields[:3] == [("X-Name", "caf\xe9"), ("x-name", ""), ("Set-Cookie", "a=b")]


@pytest.mark.parametrize("name", ["Connection", "Keep-Alive"])
def test_fields_of_the_connection_are_dropped(name: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [(name, "keep-alive")])
        return [b"x"]

    assert name not in answer(app)


def test_start_response_twice_needs_exc_info(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    assert answer(app).status == 500
    assert "exc_info" in str(errors(caplog)[0].exc_info)


def test_exc_info_replaces_a_head_that_has_not_left() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("X-First", "1"), ("Content-Length", "5")])
        yield b""
        try:
            raise ValueError("changed its mind")
        except ValueError:
            start_response("503 Later", [("X-Second", "2")], sys.exc_info())
        yield b"sorry, later"

    response = answer(app)
    assert (response.status, response.reason) == (503, "Later")
    assert "X-First" not in response
    assert response["X-Second"] == "2"
    assert response.body == b"sorry, later"


@BOTH
def test_exc_info_after_the_head_raises_and_aborts(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        try:
            raise ValueError("too late")
        except ValueError as error:
            try:
                start_response("500 No", [], sys.exc_info())
            except ValueError as again:
                raised.append(again)
                raised.append(error)
                raise

    with serving(app, threads=threads) as shell, shell.connect() as client:
        client.send(request())
        response = client.response()
        assert response.body == b"first"
        assert not response.is_whole
        assert client.is_closed()
    assert raised[0] is raised[1]
    assert "too late" in caplog.text


def test_write_sends_at_once_and_before_the_iterable() -> None:
    with serving(writing_app) as shell, shell.connect() as client:
        client.send(request())
        response = client.response()
    assert response.body == b"written iterated"
    assert response["Transfer-Encoding"] == "chunked"


def writing_app(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [])
    write(b"")
    write(b"written")
    write(b" ")
    return [b"iterated"]


def test_write_of_something_else_than_bytes() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])("text")
        return []

    assert answer(app).status == 500


# What may be returned


class Octets(bytes):
    """As libraries return them; they are bytes to everybody but a compiler."""


@pytest.mark.parametrize(
    "returned", [[Octets(b"abc")], [Octets(b"a"), b"bc"], iter([Octets(b"abc")])]
)
def test_a_subclass_of_bytes(returned: Any) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return returned

    assert answer(app).body == b"abc"


def test_several_small_chunks_of_a_list_become_one() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return (b"one", b"", b"two")

    response = answer(app)
    assert response["Content-Length"] == "6"
    assert response.body == b"onetwo"


def test_several_large_chunks_of_a_list_stay_several() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return [b"a" * 60_000, b"b" * 60_000]

    response = answer(app)
    assert response["Transfer-Encoding"] == "chunked"
    assert response.body == b"a" * 60_000 + b"b" * 60_000


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_an_empty_response(chunks: list[bytes]) -> None:
    for returned in (chunks, tuple(chunks), iter(chunks)):

        def app(environ: Environ, start_response: StartResponse, returned: Any = returned) -> Any:
            start_response("200 OK", [])
            return returned

        response = answer(app)
        assert response["Content-Length"] == "0"


def test_a_generator_is_sent_chunk_by_chunk() -> None:
    chunks: queue.Queue[bytes] = queue.Queue()

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        while chunk := chunks.get(timeout=10):
            yield chunk

    with serving(app) as shell, shell.connect() as client:
        client.send(request())
        chunks.put(b"one")
        assert client._file.readline() == b"HTTP/1.1 200 OK\r\n"
        while client._file.readline() != b"\r\n":
            pass
        assert client.chunk() == b"one"
        chunks.put(b"two")
        assert client.chunk() == b"two"
        chunks.put(b"")
        assert client.chunk() == b""


@pytest.mark.parametrize("returned", [None, 5, "text", ["text"], ["te", "xt"], [b"a", "b"], [1]])
def test_what_is_no_response_body(returned: Any, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return returned

    assert answer(app).status == 500
    assert len(errors(caplog)) == 1


@BOTH
def test_no_start_response(threads: int, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        return [b"x"] if environ["PATH_INFO"] == "/list" else iter([])

    for target in ("/list", "/iterator"):
        assert answer(app, request(target), threads=threads).status == 500
    assert caplog.text.count("did not call start_response") == 2


# Content-Length


def with_length(length: int, chunks: list[bytes]) -> tuple[App, Tracked]:
    body = Tracked(iter(chunks))

    def app(environ: Environ, start_response: StartResponse) -> Tracked:
        start_response("200 OK", [("Content-Length", str(length))])
        return body

    return app, body


def test_a_whole_body_ends_the_iteration() -> None:
    app, body = with_length(6, [b"one", b"two", b"", b"never asked for"])
    assert answer(app).body == b"onetwo"
    assert (body.given, body.closed) == (2, 1)


def test_a_first_chunk_that_is_too_long_is_500(caplog: pytest.LogCaptureFixture) -> None:
    app, body = with_length(2, [b"three"])
    assert answer(app).status == 500
    assert body.closed == 1
    assert "more content than its" in caplog.text


def test_a_later_chunk_that_is_too_long_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    app, body = with_length(5, [b"one", b"three"])
    response = answer(app)
    assert response.body == b"one"
    assert not response.is_whole
    assert body.closed == 1
    assert "more content than its" in caplog.text


def test_a_short_body_aborts(caplog: pytest.LogCaptureFixture) -> None:
    app, body = with_length(5, [b"one"])
    response = answer(app)
    assert response.body == b"one"
    assert not response.is_whole
    assert body.closed == 1
    assert "less content than its" in caplog.text


# Failure


def failing(environ: Environ, start_response: StartResponse) -> Any:
    raise RuntimeError("on purpose")


@BOTH
def test_an_error_is_a_500_with_a_request_id_and_a_traceback_of_the_application(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(failing, threads=threads) as shell, shell.connect() as client:
        response = client.get("/a\x0bb%0a?query".replace("\x0b", "%0b"), x_request_id="abc-1")
        assert response.status == 500
        assert response.body == b"500 Internal Server Error\nThe request id is abc-1.\n"
        assert client.get("/").status == 500  # over the same connection
    first, second = errors(caplog)
    assert "GET /a%0bb%0a (request id abc-1)" in first.getMessage()
    assert first.exc_info
    traceback = first.exc_info[2]
    assert traceback
    assert traceback.tb_frame.f_code is failing.__code__
    assert "request id" in second.getMessage()


@pytest.mark.parametrize("bad_id", ["a b", "x" * 65, "a\x80", "<script>", ""])
def test_a_request_id_that_is_no_token_is_replaced(bad_id: str) -> None:
    body = answer(failing, request(x_request_id=bad_id)).body
    assert re.fullmatch(rb"500 Internal Server Error\nThe request id is [0-9a-f]{16}\.\n", body)


@BOTH
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_no_error_of_an_application_ends_the_worker(
    error: type[BaseException], threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        raise error

    with serving(app, threads=threads) as shell:
        for _ in range(threads + 1):
            assert shell.get().status == 500
        assert shell.is_serving
    assert len(errors(caplog)) == threads + 1


@BOTH
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_an_error_after_the_head_is_no_clean_end(
    threads: int, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        raise RuntimeError("in the middle")

    with serving(app, threads=threads) as shell, shell.connect() as client:
        client.send(f"GET / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        if version == "1.0":  # the end of the connection is the end of the body, unless reset
            with pytest.raises(ConnectionResetError):
                client.response()
        else:
            assert not client.response().is_whole
    assert "in the middle" in caplog.text


@BOTH
def test_close_is_called_once_whatever_happens(threads: int) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Tracked:
        path = environ["PATH_INFO"]
        if path == "/error":
            bodies[path] = Tracked(raise_after(b"one"))
        elif path == "/unstarted":
            bodies[path] = Tracked(iter([b"x"]))
            return bodies[path]
        else:
            bodies[path] = Tracked(iter([b"one", b"two"]))
        start_response("200 OK", [])
        return bodies[path]

    def raise_after(chunk: bytes) -> Iterator[bytes]:
        yield chunk
        raise RuntimeError("in the middle")

    bodies: dict[str, Tracked] = {}
    with serving(app, threads=threads) as shell:
        for target in ("/good", "/error", "/unstarted"):
            shell.get(target)
        # The last byte may be with the client before close() is called.
        wait_until(lambda: all(body.closed for body in bodies.values()), "all are closed")
    assert {path: body.closed for path, body in bodies.items()} == {
        "/good": 1,
        "/error": 1,
        "/unstarted": 1,
    }


def test_an_error_in_close_is_logged_and_spoils_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Body(list[bytes]):
        def close(self) -> None:
            raise RuntimeError("while closing")

    def app(environ: Environ, start_response: StartResponse) -> Body:
        start_response("200 OK", [])
        return Body([b"fine"])

    with serving(app) as shell, shell.connect() as client:
        for _ in range(2):
            response = client.get()
            assert response.body == b"fine"
            assert response.is_whole
    assert "while closing" in caplog.text


def test_the_error_stream_is_the_error_log(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        stream = environ["wsgi.errors"]
        stream.write("one\ntw")
        stream.writelines(["o\n", "unfinished"])
        stream.flush()
        print("printed", file=stream)
        start_response("200 OK", [])
        return []

    answer(app)
    messages = [record.getMessage() for record in errors(caplog)]
    assert messages == ["one", "two", "unfinished", "printed"]


# Clients that leave


def endless(body: list[Tracked]) -> App:
    def blocks() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    def app(environ: Environ, start_response: StartResponse) -> Tracked:
        body.append(Tracked(blocks()))
        start_response("200 OK", [])
        return body[-1]

    return app


def leave_after_some(shell: Shell) -> None:
    client: Client
    with shell.connect() as client:
        client.send(request())
        client._file.read(100_000)


@BOTH
def test_a_client_that_leaves_ends_the_iteration(
    threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    bodies: list[Tracked] = []
    with serving(endless(bodies), threads=threads) as shell:
        for _ in range(threads + 1):
            leave_after_some(shell)
            wait_until(lambda: bodies and bodies[-1].closed == 1, "closed")
        assert shell.is_serving
    assert [body.closed for body in bodies] == [1] * (threads + 1)
    assert not errors(caplog)


def test_write_to_a_client_that_has_left_raises_and_goes_on_raising() -> None:
    caught: list[OSError] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        for _ in range(2):
            try:
                while True:
                    write(b"x" * 65536)
            except OSError as error:
                caught.append(error)
        return [b"never sent"]

    with serving(app) as shell:
        leave_after_some(shell)
        wait_until(lambda: len(caught) == 2, "two errors")
        assert shell.is_serving
    assert all(isinstance(error, ConnectionError) for error in caught)
