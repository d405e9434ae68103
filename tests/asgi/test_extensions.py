"""Trailers, early hints and pathsend."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .support import Message, Receive, Send, http_only, open_descriptors, serving, wait_until

Scope = dict[str, Any]
START = {"type": "http.response.start", "status": 200}


def messages_app(*messages: Message) -> Callable[..., Any]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return http_only(app)


TRAILERS: list[Message] = [
    {**START, "trailers": True, "headers": [(b"trailer", b"x-sum")]},
    {"type": "http.response.body", "body": b"body"},
    {
        "type": "http.response.trailers",
        "headers": [[b"x-sum", b"1"]],
        "more_trailers": True,
    },
    {"type": "http.response.trailers", "headers": [(b"x-more", b"2")]},
]


def test_trailers_go_to_a_client_that_takes_them(backend: str) -> None:
    with serving(messages_app(*TRAILERS), backend) as server, server.client() as client:
        response = client.get("/", "TE: trailers")
        assert response.body == b"body"
        assert response.trailers == {"x-sum": "1", "x-more": "2"}
        assert client.get("/", "TE: trailers").body == b"body"


def test_trailers_are_dropped_for_one_that_does_not(backend: str) -> None:
    with serving(messages_app(*TRAILERS), backend) as server, server.client() as client:
        response = client.get()
        assert (response.body, response.trailers) == (b"body", {})
        assert response.headers["content-length"] == "4"
        assert client.get().body == b"body"
        response = client.send(b"GET / HTTP/1.0\r\nTE: trailers\r\n\r\n").response()
        assert response.body == b"body"


def test_promised_trailers_that_do_not_come_break_the_connection() -> None:
    with serving(messages_app(*TRAILERS[:2])) as server, server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n").head()
        assert client.chunk() == b"body"
        assert client.rest() == b""


HINT = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>"]}
BODY = {"type": "http.response.body", "body": b"body"}


@pytest.mark.parametrize("messages", [[HINT, START, BODY], [START, HINT, BODY]])
def test_early_hints_come_before_the_head(backend: str, messages: list[Message]) -> None:
    with serving(messages_app(*messages), backend) as server, server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.line() == b"HTTP/1.1 103 Early Hints\r\n"
        assert client.line() == b"link: </a.css>; rel=preload\r\n"
        assert client.line() == b"link: </b.js>\r\n"
        assert client.line() == b"\r\n"
        assert client.response().body == b"body"


def test_early_hints_are_not_for_http10_and_not_for_afterwards() -> None:
    late = [HINT, START, {**BODY, "more_body": True}, HINT, BODY]
    with serving(messages_app(*late)) as server:
        with server.client() as client:
            assert client.send(b"GET / HTTP/1.0\r\n\r\n").response().body == b"bodybody"
        with server.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.head()[0] == 103
            assert client.response().body == b"bodybody"


def file_app(path: Path | str, *headers: tuple[bytes, bytes]) -> Callable[..., Any]:
    return messages_app(
        {**START, "headers": headers}, {"type": "http.response.pathsend", "path": str(path)}
    )


@pytest.mark.parametrize("size", [0, 1, 262_144, 3_000_001])
def test_a_file_is_sent_by_its_path(backend: str, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    with serving(file_app(path), backend) as server, server.client() as client:
        for _ in range(2):
            response = client.get()
            assert response.body == content
            assert response.headers["content-length"] == str(size)


def test_a_file_is_not_read_for_head(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with serving(file_app(path), backend) as server, server.client() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response(has_body=False).headers["content-length"] == "7"
        assert client.get().body == b"content"


@pytest.mark.parametrize("kind", ["missing", "relative", "directory", "fifo", "wrong length"])
def test_a_path_that_cannot_be_sent_is_a_500(backend: str, tmp_path: Path, kind: str) -> None:
    path: Path | str = tmp_path / "file"
    headers = []
    if kind == "relative":
        path = "file"
    elif kind == "directory":
        path = tmp_path
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "wrong length":
        Path(path).write_bytes(b"content")
        headers = [(b"content-length", b"8")]
    with serving(file_app(path, *headers), backend) as server, server.client() as client:
        assert client.get().status == 500


def test_pathsend_and_body_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    message = {"type": "http.response.pathsend", "path": str(path)}
    part = {**BODY, "more_body": True}
    with serving(messages_app(START, part, message)) as server, server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head()
        assert client.chunk() == b"body"
        assert client.rest() == b""


def test_a_file_that_is_cut_short_meanwhile_breaks_the_connection(
    backend: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    with serving(file_app(path), backend) as server, server.client(receive_buffer=65536) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head()[1]["content-length"] == str(64 << 20)
        os.truncate(path, 1 << 20)
        assert len(client.rest()) < 64 << 20


def test_a_file_for_a_client_that_leaves_is_closed(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    with serving(file_app(path), backend) as server:
        with server.client() as warm_up:
            warm_up.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").response(has_body=False)
        wait_until(lambda: not server.server._service.population.connections, "it has gone")
        before = open_descriptors()
        client = server.client(receive_buffer=65536)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head()
        client.reset()
        wait_until(lambda: server.slot.requests == 2, "the request has ended")
        wait_until(lambda: open_descriptors() <= before, "the file is closed")
