"""Requests and responses over real sockets: what a client of the shell sees."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.observe import AccessLog
from tests.support.server import wait_until
from tests.wsgi.harness import (
    GET,
    Tracked,
    echo,
    hello,
    no_descriptor_leaks,
    request,
    serving,
)

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

BOTH = pytest.mark.parametrize("threads", [1, 3])


@BOTH
def test_one_connection_serves_many_requests(threads: int) -> None:
    with serving(hello, threads=threads) as shell, shell.connect() as client:
        for _ in range(5):
            response = client.get()
            assert (response.status, response.body) == (200, b"Hello, world!")
            assert response["Content-Length"] == "13"
            assert "Connection" not in response
        wait_until(lambda: shell.seat.slot.requests == 5, "five requests counted")


@BOTH
def test_pipelined_requests_are_answered_in_order(threads: int) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with serving(app, threads=threads) as shell, shell.connect() as client:
        client.send(b"".join(request(f"/{number}") for number in range(50)))
        assert [client.response().body for _ in range(50)] == [b"/%d" % n for n in range(50)]
        assert client.get("/last").body == b"/last"


def test_pipelined_requests_do_not_keep_others_waiting() -> None:
    order: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        order.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/first":
            other.send(request("/other"))
        start_response("200 OK", [])
        return []

    with serving(app) as shell, shell.connect() as client, shell.connect() as other:
        client.send(request("/first") + request("/second") * 20)
        other.response()
        for _ in range(21):
            client.response()
    assert order.index("/other") < 10


@BOTH
def test_a_request_that_comes_byte_by_byte(threads: int) -> None:
    data = request("/", "POST", b"a body")
    with serving(echo, threads=threads) as shell, shell.connect() as client:
        for position in range(len(data)):
            client.send(data[position : position + 1])
        assert client.response().body == b"a body"


def test_a_chunked_request_has_a_length_for_the_application() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        assert "HTTP_TRANSFER_ENCODING" not in environ
        return [environ["CONTENT_LENGTH"].encode(), b" ", environ["wsgi.input"].read()]

    with serving(app) as shell, shell.connect() as client:
        client.send(request("/", "POST", transfer_encoding="chunked"))
        client.send(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        assert client.response().body == b"7 abcdefg"


@BOTH
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 200_000])
def test_bodies_in_memory_and_in_a_file(threads: int, size: int, tmp_path: Path) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    settings = {"threads": threads, "spool_memory": 1000, "tmp_upload_dir": str(tmp_path)}
    with (
        no_descriptor_leaks(),
        serving(echo, **settings) as shell,
        shell.connect() as client,
    ):
        for _ in range(2):
            client.send(request("/", "POST", body))
            assert client.response().body == body
    assert not list(tmp_path.iterdir())


def test_input_of_every_reading_method(tmp_path: Path) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        file = environ["wsgi.input"]
        parts = [file.read(2), file.readline(), file.readline(3), file.readline(), next(file)]
        parts += [*file.readlines(), file.read(), file.read(5), file.readline()]
        start_response("200 OK", [])
        return [repr(parts).encode()]

    expected = [b"on", b"e\n", b"two", b"\n", b"three\n", b"four\n", b"five", b"", b"", b""]
    for memory in (1000, 3):
        with serving(app, spool_memory=memory) as shell, shell.connect() as client:
            client.send(request("/", "POST", b"one\ntwo\nthree\nfour\nfive"))
            assert client.response().body == repr(expected).encode()


def test_a_body_that_finds_no_room_is_507(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"spool_memory": 10, "tmp_upload_dir": str(tmp_path / "missing")}
    with serving(echo, **settings) as shell, shell.connect() as client:
        client.send(request("/", "POST", b"x" * 200_000))  # more than one read takes
        assert client.response().status == 507
        assert client.is_closed()
        with shell.connect() as other:
            other.send(request("/", "POST", b"small"))
            assert other.response().body == b"small"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "tmp_upload_dir" in errors[0].getMessage()
    assert "missing" in errors[0].getMessage()


def test_100_continue_when_the_body_is_not_there() -> None:
    with serving(echo) as shell, shell.connect() as client:
        client.send(request("/", "POST", expect="100-continue", content_length="4"))
        assert client.response().status == 100
        client.send(b"body")
        assert client.response().body == b"body"


def test_no_100_continue_when_the_body_is_there() -> None:
    with serving(echo) as shell, shell.connect() as client:
        client.send(request("/", "POST", b"body", expect="100-continue"))
        assert client.response().status == 200


def test_no_100_continue_for_a_body_that_is_too_large() -> None:
    with serving(echo, limit_request_body=10) as shell, shell.connect() as client:
        client.send(request("/", "POST", expect="100-continue", content_length="11"))
        assert client.response().status == 413
        assert client.is_closed()


def test_a_refused_upload_can_read_why() -> None:
    with serving(echo, limit_request_body=10) as shell, shell.connect() as client:
        client.send(request("/", "POST", content_length="200000") + b"x" * 200_000)
        assert client.response().status == 413
        assert client.is_closed()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_responses_without_a_body(status: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response(status, [])
        return [b"not to be sent"]

    with serving(app) as shell, shell.connect() as client:
        for _ in range(2):
            assert client.get().status == int(status[:3])


def test_head_gets_the_head_of_a_get() -> None:
    with serving(hello) as shell, shell.connect() as client:
        client.send(request("/", "HEAD") + GET)
        response = client.response("HEAD")
        assert response["Content-Length"] == "13"
        assert client.response().body == b"Hello, world!"


def test_head_reads_no_more_than_one_chunk() -> None:
    body = Tracked(iter([b"", b"one", b"two", b"three"]))

    def app(environ: Environ, start_response: StartResponse) -> Tracked:
        start_response("200 OK", [])
        return body

    with serving(app) as shell, shell.connect() as client:
        client.send(request("/", "HEAD"))
        client.response("HEAD")
        wait_until(lambda: body.closed, "closed")
        assert (body.given, body.closed) == (2, 1)
        assert client.get().body == b"twothree"  # the connection is good for another request


def test_http_1_0_gets_no_chunks_and_a_close() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    with serving(app) as shell, shell.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        response = client.response()
        assert "Transfer-Encoding" not in response
        assert response["Connection"] == "close"
        assert response.body == b"onetwo"
        assert client.is_closed()


def test_connection_close_is_obeyed() -> None:
    with serving(hello) as shell, shell.connect() as client:
        assert client.get(connection="close")["Connection"] == "close"
        assert client.is_closed()


def test_keepalive_0_closes_after_each_response() -> None:
    with serving(hello, keepalive=0) as shell, shell.connect() as client:
        assert client.get()["Connection"] == "close"
        assert client.is_closed()


def test_an_empty_line_and_then_nothing() -> None:
    with no_descriptor_leaks(), serving(hello) as shell, shell.connect() as client:
        client.send(b"\r\n")
        client.sock.shutdown(1)
        assert client.is_closed()


def test_a_client_that_has_sent_all_may_close_its_side() -> None:
    with serving(hello) as shell, shell.connect() as client:
        client.send(GET)
        client.sock.shutdown(1)
        assert client.response().body == b"Hello, world!"
        assert client.is_closed()


def test_a_bad_request_is_refused_and_the_rest_not_read() -> None:
    with serving(hello) as shell, shell.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n" + GET)
        response = client.response()
        assert (response.status, response["Connection"]) == (400, "close")
        assert client.is_closed()
        assert shell.seat.slot.requests == 0


def test_over_a_unix_socket(tmp_path: Path) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        names = ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT")
        return [",".join(environ[name] for name in names).encode()]

    with serving(app, path=str(tmp_path / "socket")) as shell:
        assert shell.get().body == b",localhost,80"


def test_the_access_log_has_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.access")
    caplog.set_level(logging.INFO, "test.access")
    access = AccessLog('%(h)s "%(r)s" %(s)s %(b)s %({x-name}o)s %({HTTP_X_A}e)s', logger)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        environ["REMOTE_ADDR"] = "changed"
        start_response("201 Created", [("X-Name", "value")])
        return [b"12345"]

    with serving(app, access=access) as shell:
        shell.get("/a?b", x_a="c")
        wait_until(lambda: "201" in caplog.text, "a line")
    lines = [record.getMessage() for record in caplog.records if record.name == "test.access"]
    assert lines == ['127.0.0.1 "GET /a?b HTTP/1.1" 201 5 value c']


def test_a_forwarded_address_from_a_trusted_peer_only() -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()]

    fields = {"x_forwarded_for": "6.6.6.6, 192.0.2.7", "x_forwarded_proto": "https"}
    with serving(app) as shell:
        assert shell.get(**fields).body == b"192.0.2.7 https"
    with serving(app, forwarded_allow_ips="10.0.0.1") as shell:
        assert shell.get(**fields).body == b"127.0.0.1 http"


def test_requests_on_threads_do_not_share_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("from the start")
    barrier = threading.Barrier(3, timeout=10)
    seen: list[tuple[str, str]] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        before = variable.get("unset")
        variable.set(environ["PATH_INFO"])
        barrier.wait()
        seen.append((before, variable.get()))
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    with serving(app, threads=3) as shell:
        clients = [shell.connect() for _ in range(3)]
        for turn in range(2):
            for number, client in enumerate(clients):
                client.send(request(f"/{turn}{number}"))
            names = {client.response().body for client in clients}
            assert len(names) == 3
        for client in clients:
            client.close()
    assert {before for before, _ in seen} == {"from the start"}
    assert {after for _, after in seen} == {f"/{turn}{n}" for turn in range(2) for n in range(3)}


def test_context_of_inline_requests_is_not_shared() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        variable.set(variable.get() + 1)
        start_response("200 OK", [])
        return [str(variable.get()).encode()]

    with serving(app) as shell, shell.connect() as client:
        client.send(GET * 3)
        assert [client.response().body for _ in range(3)] == [b"1", b"1", b"1"]


def test_in_flight_names_what_runs() -> None:
    started, go = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        started.set()
        go.wait(10)
        start_response("200 OK", [])
        return []

    for threads in (1, 2):
        started.clear()
        go.clear()
        with serving(app, threads=threads) as shell, shell.connect() as client:
            client.send(request("/slow?secret"))
            assert started.wait(10)
            (line,) = shell.seat.in_flight()
            assert line.startswith("GET /slow, 0.")
            assert line.endswith(" s")
            assert shell.seat.pulse.in_app is (threads == 1)
            assert shell.seat.slot.request_lines == [b"GET /slow"]
            go.set()
            client.response()
            wait_until(lambda: not shell.seat.in_flight(), "nothing in flight")
            assert not shell.seat.pulse.in_app


def test_max_requests_asks_once_and_goes_on() -> None:
    with serving(hello, max_requests=3) as shell, shell.connect() as client:
        for _ in range(5):
            client.get()
        wait_until(lambda: shell.seat.slot.requests == 5, "five requests counted")
        assert shell.seat.retire == ["max-requests"]


def test_the_loop_beats_by_itself() -> None:
    with serving(hello) as shell:
        wait_until(lambda: shell.seat.slot.beats >= 2, "beats without requests")
