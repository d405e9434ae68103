"""The opening handshake: what a client may ask for, and what the application makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from ..support import Receive, Send, serving, wait_until
from .support import (
    KEY,
    TEXT,
    WebSocketClient,
    accept,
    connected,
    echo,
    frame,
    handshake,
    websocket_only,
)

Scope = dict[str, Any]
HEAD = b"GET /chat HTTP/1.1\r\nHost: a\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
WITH_KEY = b"Sec-WebSocket-Key: %s\r\n" % KEY


def test_a_message_there_and_back(backend: str) -> None:
    with serving(websocket_only(echo), backend) as server, connected(server) as client:
        assert client.text("héllo").message() == "héllo"
        assert client.binary(b"\x00\xff").message() == b"\x00\xff"


def test_the_scope_is_that_of_the_request(backend: str) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await accept(send)

    with (
        serving(websocket_only(app), backend, root_path="/api") as server,
        connected(
            server,
            "/ch%C3%A4t?room=1",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Protocol: more",
            "X-Forwarded-Proto: https",
            "X-Forwarded-For: 192.0.2.7",
        ),
    ):
        wait_until(lambda: scopes, "the application is called")
    (scope,) = scopes
    assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "wss", "1.1")
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert (scope["path"], scope["raw_path"]) == ("/chät", b"/ch%C3%A4t")
    assert (scope["query_string"], scope["root_path"]) == (b"room=1", "/api")
    assert scope["subprotocols"] == ["chat", "superchat", "more"]
    assert scope["client"] == ("192.0.2.7", 0)
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["state"] == {}
    assert (b"upgrade", b"websocket") in scope["headers"]
    assert "method" not in scope


def test_accept_chooses_a_subprotocol_and_adds_fields(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [[b"X-One", b"1"], (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]
        await accept(send, subprotocol="superchat", headers=headers)

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        response = client.ask("/", "Sec-WebSocket-Protocol: chat, superchat")
        assert response.status == 101
        assert response.headers["sec-websocket-protocol"] == "superchat"
        assert response.headers["x-one"] == "1"
        assert response.headers["set-cookie"] == "c=d"
        assert response.headers["connection"] == "Upgrade"
        assert "sec-websocket-extensions" not in response.headers
        assert "content-length" not in response.headers


@pytest.mark.parametrize(
    "fields",
    [
        {"subprotocol": "nobody asked for it"},
        {"headers": [(b"Sec-WebSocket-Protocol", b"chat")]},
        {"headers": [(b"x\n", b"1")]},
        {"headers": [(b"x", b"a\r\nb: c")]},
    ],
)
def test_an_accept_that_cannot_be_sent_is_a_500(fields: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accept(send, **fields)

    with (
        serving(websocket_only(app)) as server,
        WebSocketClient(server.address) as client,
    ):
        assert client.ask().status == 500
        assert client.is_closed()


def test_closing_before_accepting_is_a_403(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1008})
        assert (await receive())["type"] == "websocket.disconnect"

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        response = client.ask()
        assert (response.status, response.body) == (403, b"403 Forbidden\n")
        assert response.closes
        assert client.is_closed()


def test_a_denial_response_as_a_whole(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "websocket.http.response.start", "status": 401}
        await send({**start, "headers": [(b"www-authenticate", b"Basic")]})
        await send({"type": "websocket.http.response.body", "body": b"who are you?"})

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        response = client.ask()
        assert (response.status, response.body) == (401, b"who are you?")
        assert response.headers["www-authenticate"] == "Basic"
        assert response.closes
        assert client.is_closed()


def test_a_denial_response_that_is_streamed(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 429, "headers": []})
        for part in (b"come ", b"back "):
            body = {"type": "websocket.http.response.body", "body": part, "more_body": True}
            await send(body)
        await send({"type": "websocket.http.response.body", "body": b"later"})

    with (
        serving(websocket_only(app), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        client.send(handshake())
        response = client.response()
        assert (response.status, response.body) == (429, b"come back later")
        assert response.closes
        assert client.is_closed()


@pytest.mark.parametrize(
    ("request_head", "status", "reason"),
    [
        (HEAD + b"Upgrade: websocket\r\n" + VERSION + WITH_KEY, 400, b"'Connection: Upgrade'"),
        (HEAD + UPGRADE + WITH_KEY, 400, b"Sec-WebSocket-Version"),
        (HEAD + UPGRADE + VERSION, 400, b"one Sec-WebSocket-Key"),
        (HEAD + UPGRADE + VERSION + WITH_KEY * 2, 400, b"one Sec-WebSocket-Key"),
        (HEAD + UPGRADE + VERSION + b"Sec-WebSocket-Key: YQ==\r\n", 400, b"16 octets in base64"),
        (
            HEAD + UPGRADE + VERSION + WITH_KEY + b"Sec-WebSocket-Protocol: caf\xc3\xa9\r\n",
            400,
            b"not a token",
        ),
        (HEAD + UPGRADE + VERSION + WITH_KEY + b"Content-Length: 5\r\n", 400, b"no body"),
        (HEAD + UPGRADE + b"Sec-WebSocket-Version: 8\r\n" + WITH_KEY, 426, b"is 13"),
    ],
)
def test_a_bad_handshake_is_told_why(
    request_head: bytes, status: int, reason: bytes, backend: str
) -> None:
    with serving(websocket_only(echo), backend) as server, server.client() as client:
        response = client.send(request_head + b"\r\n").response()
        assert response.status == status
        assert reason in response.body
        assert response.closes
        if status == 426:
            assert response.headers["upgrade"] == "websocket"
            assert response.headers["sec-websocket-version"] == "13"
        assert client.is_closed()


@pytest.mark.parametrize(
    "request_head",
    [
        HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        HEAD.replace(b"GET", b"POST") + UPGRADE + VERSION + WITH_KEY,
        HEAD.replace(b"1.1", b"1.0") + UPGRADE + VERSION + WITH_KEY,
    ],
)
def test_what_is_no_handshake_is_plain_http(request_head: bytes) -> None:
    with serving(websocket_only(echo)) as server, server.client() as client:
        response = client.send(request_head + b"\r\n").response()
        assert (response.status, response.body) == (200, b"/chat")


@pytest.mark.parametrize("engine", ["auto", "h11"])
def test_what_follows_the_handshake_belongs_to_the_websocket(engine: str, backend: str) -> None:
    behind = frame(TEXT, b"early") + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with (
        serving(websocket_only(echo), backend, http_engine=engine) as server,
        WebSocketClient(server.address) as client,
    ):
        client.open("/", behind=behind)
        assert client.message() == "early"
        assert client.wait_for_close()[0] == 1002
        assert client.is_closed()
    assert server.slot.request_lines == [b"GET /"]


def test_what_follows_a_denied_handshake_is_thrown_away() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close"})

    with (
        serving(websocket_only(app)) as server,
        WebSocketClient(server.address) as client,
    ):
        request = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        assert client.ask("/", behind=request).status == 403
        assert client.is_closed()
    assert server.slot.request_lines == [b"GET /"]


def test_a_handshake_that_comes_byte_by_byte(backend: str) -> None:
    with (
        serving(websocket_only(echo), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        raw = handshake("/slow") + frame(TEXT, b"x" * 200)
        for position in range(len(raw)):
            client.send(raw[position : position + 1])
        assert client.head()[0] == 101
        assert client.message() == "x" * 200


def test_a_handshake_after_a_request_and_behind_it(backend: str) -> None:
    with (
        serving(websocket_only(echo), backend) as server,
        WebSocketClient(server.address) as client,
    ):
        assert client.get("/one").body == b"/one"
        client.send(b"GET /two HTTP/1.1\r\nHost: a\r\n\r\n" + handshake("/three"))
        assert client.response().body == b"/two"
        assert client.head()[0] == 101
        assert client.text("hello").message() == "hello"


def test_a_client_that_leaves_before_the_decision(backend: str) -> None:
    received: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(await receive())

    with serving(websocket_only(app), backend) as server:
        with WebSocketClient(server.address) as client:
            client.send(handshake())
            wait_until(lambda: server.slot.request_lines, "the application is called")
        wait_until(lambda: received, "the application hears of it")
    assert received == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
