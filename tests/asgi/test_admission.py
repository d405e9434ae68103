"""Requests that wait for a slot: in what order, for how long, and who need not."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from .support import GET, Client, Receive, Send, Serving, http_only, respond, serving, wait_until

Scope = dict[str, Any]


class Turnstile:
    """An application that lets one request through at a time, and keeps the order."""

    def __init__(self) -> None:
        self._tickets = 0
        self.paths: list[str] = []

    def open(self, count: int = 1) -> None:
        self._tickets += count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        if scope["path"] != "/healthz":
            while not self._tickets:
                await anyio.sleep(0.005)
            self._tickets -= 1
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await respond(send, scope["path"].encode() + body)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def line(server: Serving) -> Any:
    return server.server._service.line


def kept_clients(server: Serving, count: int, app: Turnstile) -> list[Client]:
    """Clients with a connection that is open already."""
    clients = [server.client() for _ in range(count)]
    for client in clients:
        app.open()
        assert client.get("/first").status == 200
    app.paths.clear()
    return clients


def stand_in_line(server: Serving, clients: list[Client]) -> None:
    """Let each ask for its number, one after the other; the first one has the only slot."""
    for number, client in enumerate(clients):
        client.send(get(f"/{number}"))
        wait_until(lambda n=number: len(line(server)) == n, "it stands in line")


def test_requests_over_open_connections_wait_in_order(backend: str) -> None:
    app = Turnstile()
    with serving(http_only(app), backend, worker_connections=1) as server:
        clients = kept_clients(server, 4, app)
        stand_in_line(server, clients)
        assert app.paths == ["/0"]
        app.open(4)
        bodies = [client.response().body for client in clients]
        assert bodies == [b"/0", b"/1", b"/2", b"/3"]
        assert app.paths == ["/0", "/1", "/2", "/3"]
        app.open()
        assert clients[0].get("/again").status == 200
        for client in clients:
            client.close()


def test_a_request_with_a_body_waits_with_it(backend: str) -> None:
    app = Turnstile()
    with serving(http_only(app), backend, worker_connections=1) as server:
        first, second = kept_clients(server, 2, app)
        first.send(get("/0"))
        wait_until(lambda: app.paths == ["/0"], "the slot is taken")
        second.send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        wait_until(lambda: len(line(server)) == 1, "it stands in line")
        second.send(b"cd" + get("/2"))
        app.open(3)
        assert first.response().body == b"/0"
        assert second.response().body == b"/1abcd"
        assert second.response().body == b"/2"
        first.close()
        second.close()


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_request_whose_client_has_gone_is_not_run(backend: str, leave: str) -> None:
    app = Turnstile()
    with serving(http_only(app), backend, worker_connections=1) as server:
        clients = kept_clients(server, 3, app)
        stand_in_line(server, clients)
        getattr(clients[1], leave)()
        wait_until(lambda: len(line(server)) == 1, "it has left")
        app.open(2)
        assert clients[2].response().body == b"/2"
        assert app.paths == ["/0", "/2"]
        clients[0].close()
        clients[2].close()


def test_who_waits_for_too_long_is_503(backend: str) -> None:
    app = Turnstile()
    with serving(http_only(app), backend, worker_connections=1, queue_timeout=0.3) as server:
        first = server.client().send(get("/0"))
        wait_until(lambda: app.paths == ["/0"], "the slot is taken")
        others = [server.client().send(get("/late")) for _ in range(3)]
        for other in others:
            response = other.response()
            assert (response.status, response.closes) == (503, True)
            assert int(response.headers["retry-after"]) >= 1
            other.close()
        app.open(2)
        assert first.response().body == b"/0"
        # And after the flood everything is as before.
        assert first.get("/1").body == b"/1"
        assert app.paths == ["/0", "/1"]
        first.close()


def test_a_priority_path_does_not_wait(backend: str) -> None:
    app = Turnstile()
    settings: dict[str, Any] = {"worker_connections": 1, "priority": ("/healthz",)}
    with serving(http_only(app), backend, **settings) as server:
        first = server.client().send(get("/0"))
        wait_until(lambda: app.paths == ["/0"], "the slot is taken")
        waiting = server.client().send(get("/1"))
        wait_until(lambda: len(line(server)) == 1, "another one stands in line")
        with server.client() as probe:
            assert probe.get("/healthz").body == b"/healthz"
            assert probe.get("/healthz").body == b"/healthz"
        assert len(line(server)) == 1
        app.open(2)
        assert first.response().body == b"/0"
        assert waiting.response().body == b"/1"
        first.close()
        waiting.close()


def test_even_priority_has_a_bound(backend: str) -> None:
    entered = threading.Semaphore(0)
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        entered.release()
        while not go.is_set():
            await anyio.sleep(0.01)
        await respond(send, b"ok")

    settings: dict[str, Any] = {"worker_connections": 1, "priority": ("/",)}
    with serving(http_only(app), backend, **settings) as server:
        clients = [server.client().send(GET) for _ in range(12)]
        for _ in range(9):
            assert entered.acquire(timeout=5)
        wait_until(lambda: len(line(server)) == 3, "the rest waits")
        go.set()
        assert [client.response().status for client in clients] == [200] * 12
        for client in clients:
            client.close()


def test_who_waits_is_served_in_a_drain(backend: str) -> None:
    app = Turnstile()
    with serving(http_only(app), backend, worker_connections=1) as server:
        clients = kept_clients(server, 2, app)
        stand_in_line(server, clients)
        server.server.drain()
        app.open(2)
        assert [client.response().body for client in clients] == [b"/0", b"/1"]
        server.wait_for_end()
        for client in clients:
            client.close()


def test_who_waits_at_the_end_is_503(backend: str) -> None:
    app = Turnstile()
    with serving(http_only(app), backend, worker_connections=1) as server:
        clients = kept_clients(server, 2, app)
        stand_in_line(server, clients)
        server.server.quick_stop()
        assert [client.response().status for client in clients] == [503, 503]
        server.wait_for_end()
        for client in clients:
            client.close()
