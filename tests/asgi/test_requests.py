"""What the application is told of a request, and what of its answer arrives."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from greenuni.shell import Interface

from .support import (
    GET,
    Client,
    Receive,
    Send,
    echo,
    hello,
    http_only,
    read_body,
    respond,
    routed,
    serving,
    unix_listener,
)

Scope = dict[str, Any]


class Scopes(list[Scope]):
    """An application that keeps the scopes of its requests."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.append(scope)
        await respond(send, b"ok")


def test_the_scope_is_complete(backend: str) -> None:
    scopes = Scopes()
    with serving(scopes, backend, root_path="/api") as server, server.client() as client:
        client.send(
            b"PUT /api/caf%C3%A9%2Fbar?q=%20&q=2 HTTP/1.1\r\nHOST: example.org\r\n"
            b"X-Two: 1\r\nX-Two:  2 \r\n\r\n"
        )
        assert client.response().status == 200
        host, port = client.socket.getsockname()
    (scope,) = scopes
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": server.address,
        "client": (host, port),
        "scheme": "http",
        "method": "PUT",
        "root_path": "/api",
        "path": "/api/café/bar",
        "raw_path": b"/api/caf%C3%A9%2Fbar",
        "query_string": b"q=%20&q=2",
        "headers": [(b"host", b"example.org"), (b"x-two", b"1"), (b"x-two", b"2")],
        "state": {},
        "extensions": {
            "greenuni": scope["extensions"]["greenuni"],
            "http.response.early_hint": {},
            "http.response.pathsend": {},
        },
    }


@pytest.mark.parametrize(
    ("head", "extensions"),
    [
        (b"GET / HTTP/1.0\r\nTE: trailers\r\n\r\n", {"http.response.pathsend"}),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nTE: gzip;q=0.5, Trailers\r\n\r\n",
            {"http.response.pathsend", "http.response.early_hint", "http.response.trailers"},
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nTE: no-trailers\r\n\r\n",
            {"http.response.pathsend", "http.response.early_hint"},
        ),
    ],
)
def test_only_extensions_that_work_are_advertised(head: bytes, extensions: set[str]) -> None:
    scopes = Scopes()
    with serving(scopes) as server, server.client() as client:
        client.send(head).response()
    assert set(scopes[0]["extensions"]) == extensions | {"greenuni"}


def test_a_path_that_is_not_utf8_is_replaced_and_kept_raw() -> None:
    scopes = Scopes()
    with serving(scopes) as server, server.client() as client:
        assert client.get("/%ff%fe").status == 200
    assert scopes[0]["path"] == "/\ufffd\ufffd"
    assert scopes[0]["raw_path"] == b"/%ff%fe"


def test_the_absolute_form_is_taken_apart() -> None:
    scopes = Scopes()
    with serving(scopes) as server, server.client() as client:
        client.send(b"GET http://real/x?y HTTP/1.1\r\nHost: other\r\n\r\n")
        assert client.response().status == 200
    assert (scopes[0]["path"], scopes[0]["query_string"]) == ("/x", b"y")
    assert (b"host", b"real") in scopes[0]["headers"]


def test_a_trusted_proxy_speaks_for_its_client(backend: str) -> None:
    scopes = Scopes()
    with serving(scopes, backend) as server, server.client() as client:
        client.get("/", "X-Forwarded-For: 6.6.6.6, 10.1.2.3", "X-Forwarded-Proto: https")
    assert (scopes[0]["client"], scopes[0]["scheme"]) == (("10.1.2.3", 0), "https")


def test_nobody_else_does() -> None:
    scopes = Scopes()
    with serving(scopes, forwarded_allow_ips="10.0.0.1") as server, server.client() as client:
        client.get("/", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https")
        assert (scopes[0]["client"], scopes[0]["scheme"]) == (client.socket.getsockname(), "http")


def test_a_unix_socket_has_no_client(backend: str, tmp_path: Path) -> None:
    scopes = Scopes()
    path = tmp_path / "s"
    with (
        serving(scopes, backend, listener=unix_listener(path)) as server,
        Client(str(path)) as client,
    ):
        assert client.get().body == b"ok"
    assert scopes[0]["client"] is None
    assert scopes[0]["server"] == (str(path), None)
    assert server.address == str(path)


def test_the_server_of_a_wildcard_listener_is_the_address_that_was_asked(backend: str) -> None:
    scopes = Scopes()
    listener = socket.create_server(("0.0.0.0", 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]
    with serving(scopes, backend, listener=listener), Client(("127.0.0.1", port)) as client:
        assert client.get().body == b"ok"
    assert scopes[0]["server"] == ("127.0.0.1", port)


def test_a_request_cannot_change_another_ones_scope() -> None:
    async def vandal(scope: Scope, receive: Receive, send: Send) -> None:
        text = str(sorted(scope["extensions"])) + str(scope["headers"]) + str(scope["state"])
        scope["extensions"].clear()
        scope["headers"].clear()
        scope["state"]["x"] = 1
        await respond(send, text.encode())

    with serving(http_only(vandal)) as server, server.client() as client:
        assert client.get().body == client.get().body


def test_a_response_has_what_http_wants(backend: str) -> None:
    with serving(http_only(hello), backend) as server, server.client() as client:
        response = client.get()
    assert response.body == b"Hello, world!"
    assert response.headers["content-length"] == "13"
    assert response.headers["server"] == "greenuni"
    assert response.headers["date"].endswith(" GMT")
    assert "connection" not in response.headers


def test_one_byte_at_a_time(backend: str) -> None:
    raw = (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    )
    with serving(http_only(echo), backend) as server, server.client() as client:
        for offset in range(len(raw)):
            client.send(raw[offset : offset + 1])
        assert client.response().body == b"abcd"
        assert client.send(raw).response().body == b"abcd"


def test_pipelined_requests_are_answered_in_order(backend: str) -> None:
    async def name(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        await respond(send, scope["path"].encode() + body)

    with serving(http_only(name), backend) as server, server.client() as client:
        requests = [
            b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n%03d" % (n, n)
            for n in range(200)
        ]
        client.send(b"".join(requests))
        bodies = [client.response().body for _ in requests]
        assert bodies == [b"/%d%03d" % (n, n) for n in range(200)]


def test_pipelined_requests_before_a_half_close_are_all_answered(backend: str) -> None:
    with serving(http_only(hello), backend) as server, server.client() as client:
        client.send(GET * 5).finish()
        assert [client.response().status for _ in range(5)] == [200] * 5
        assert client.rest() == b""


def test_more_pipelined_bytes_than_we_hold_are_left_in_the_kernel(backend: str) -> None:
    padding = b"X-Padding: " + b"x" * 4000 + b"\r\n"
    request = b"GET / HTTP/1.1\r\nHost: a\r\n" + padding + b"\r\n"
    with serving(http_only(hello), backend) as server, server.client() as client:
        for _ in range(10):
            client.send(request * 20)
        for _ in range(200):
            assert client.response().body == b"Hello, world!"


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_content(backend: str, status: int) -> None:
    async def empty(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"ignored", status)

    with serving(http_only(empty), backend) as server, server.client() as client:
        assert client.get().status == status
        assert client.get().status == status  # nothing of a body stood between the two


def test_head_is_answered_like_get_without_the_content(backend: str) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x" * 10, "more_body": True})
        await send({"type": "http.response.body"})

    app = routed({"/hello": hello, "/stream": stream})
    with serving(app, backend) as server, server.client() as client:
        for path in ("/hello", "/stream"):
            client.send(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            response = client.response(has_body=False)
            assert (response.status, response.body) == (200, b"")
        assert client.get("/hello").body == b"Hello, world!"


def test_http10_gets_a_body_that_ends_with_the_connection() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    with serving(http_only(stream)) as server, server.client() as client:
        response = client.send(b"GET / HTTP/1.0\r\n\r\n").response()
        assert response.body == b"one two"
        assert "transfer-encoding" not in response.headers


def test_streamed_chunks_arrive_one_by_one(backend: str) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await read_body(receive)
        await send({"type": "http.response.body", "body": b"second"})

    with serving(http_only(stream), backend) as server, server.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        assert client.head()[0] == 200
        assert client.chunk() == b"first"
        assert client.send(b"x").chunk() == b"second"
        assert client.chunk() == b""


def test_100_continue_is_sent_when_the_body_is_asked_for(backend: str) -> None:
    with serving(http_only(echo), backend) as server, server.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.head()[0] == 100
        assert client.send(b"abc").response().body == b"abc"
        assert client.get().status == 200


def test_100_continue_is_not_sent_when_nobody_wants_the_body(backend: str) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"no", 403)

    with serving(http_only(refuse), backend) as server, server.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        response = client.response()
        assert (response.status, response.closes) == (403, True)
        assert client.is_closed()


def test_a_small_unread_body_is_thrown_away(backend: str) -> None:
    with serving(http_only(hello), backend) as server, server.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n")
        assert client.response().body == b"Hello, world!"
        assert client.send(b"x" * 30000 + GET).response().body == b"Hello, world!"


def test_a_large_unread_body_ends_the_connection_after_the_response(backend: str) -> None:
    with serving(http_only(hello), backend) as server, server.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert client.response().body == b"Hello, world!"
        client.send(b"x" * 200_000)
        assert client.rest() == b""


def test_a_bad_request_gets_its_status_and_the_connection_ends(backend: str) -> None:
    with serving(http_only(hello), backend) as server, server.client() as client:
        response = client.send(b"GET / HTTP/1.1\r\n\r\n").response()  # no Host
        assert (response.status, response.closes) == (400, True)
        assert client.is_closed()


def test_a_fault_in_the_body_is_answered_though_the_application_waits(backend: str) -> None:
    ends: list[str] = []

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()
        ends.append(message["type"])
        await respond(send, b"too late")

    with serving(http_only(wait), backend) as server, server.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        response = client.response()
        assert (response.status, response.closes) == (400, True)
        assert client.is_closed()
    assert ends == ["http.disconnect"]


def test_a_fault_in_the_body_breaks_a_response_that_has_begun(backend: str) -> None:
    async def duplex(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await read_body(receive)

    with serving(http_only(duplex), backend) as server, server.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.head()[0] == 200
        assert client.chunk() == b"begun"
        client.send(b"zz\r\n")
        assert client.is_closed()


def test_a_body_over_the_limit_is_413(backend: str) -> None:
    settings = {"limit_request_body": 10}
    with serving(http_only(echo), backend, **settings) as server:
        with server.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
            assert client.response().status == 413
        with server.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"b\r\nhello world\r\n0\r\n\r\n")
            assert client.response().status == 413


def test_asgi2_applications_are_served(backend: str) -> None:
    class Old:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            assert self.scope["type"] == "http"
            await respond(send, b"old " + self.scope["path"].encode())

    with serving(Old, backend, interface=Interface.ASGI2) as server, server.client() as client:
        assert client.get("/x").body == b"old /x"
