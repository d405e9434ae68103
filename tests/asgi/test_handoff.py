"""Connections that go from one worker to another: to the pool of their request, or to a sibling."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from greenuni.handoff import send
from greenuni.observe import AccessLog
from greenuni.shell import Pools, WorkerState
from greenuni.testing import fake_pools

from .support import (
    GET,
    SECONDS,
    App,
    Client,
    Receive,
    Send,
    Serving,
    http_only,
    open_descriptors,
    read_body,
    respond,
    serving,
    unix_listener,
    wait_until,
)

Scope = dict[str, Any]
LARGE = b"x" * 10_000_000


def application(name: str) -> App:
    """Answers with its name, the path and the body; or, at /large, with more than buffers take."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/large"):
            await respond(send, LARGE, headers=[(b"content-length", b"%d" % len(LARGE))])
            return
        body = await read_body(receive)
        text = f"{name} {scope['root_path']} {scope['path']} ".encode() + body
        await respond(send, text, headers=[(b"content-length", b"%d" % len(text))])

    return http_only(app)


@contextlib.contextmanager
def pools_at(*mounts: str) -> Iterator[list[Pools]]:
    pools = fake_pools(*mounts)
    try:
        yield pools
    finally:
        for each in pools:
            each.close()


@dataclasses.dataclass
class Hybrid:
    """A server of the pool at / and one of the pool at /api."""

    site: Serving
    api: Serving

    def client(self) -> Client:
        """One that is accepted by the site."""
        return self.site.client()

    def populations(self) -> tuple[int, int]:
        return connections(self.site), connections(self.api)


def connections(server: Serving) -> int:
    assert server.server._service is not None
    return len(server.server._service.population.connections)


@pytest.fixture
def hybrid(backend: str) -> Iterator[Hybrid]:
    with (
        pools_at("/", "/api") as (site, api),
        serving(application("site"), backend, pools=site) as first,
        serving(application("api"), backend, pools=api) as second,
    ):
        yield Hybrid(first, second)


def test_a_connection_goes_from_pool_to_pool_as_its_requests_do(hybrid: Hybrid) -> None:
    with hybrid.client() as client:
        for number in range(50):
            response = client.get(f"/{number}")
            assert (response.body, response.closes) == (f"site  /{number} ".encode(), False)
            wait_until(lambda: hybrid.populations() == (1, 0), "no trace of it in the api")
            response = client.get(f"/api/{number}")
            assert (response.body, response.closes) == (f"api /api /api/{number} ".encode(), False)
            wait_until(lambda: hybrid.populations() == (0, 1), "no trace of it in the site")
    assert hybrid.site.slot.request_lines == [b"GET /%d" % number for number in range(50)]
    assert hybrid.api.slot.request_lines == [b"GET /api/%d" % number for number in range(50)]
    wait_until(lambda: hybrid.populations() == (0, 0), "the client has left")


def test_no_descriptor_is_left_behind(hybrid: Hybrid) -> None:
    before = open_descriptors()
    for _ in range(20):
        with hybrid.client() as client:
            client.get("/api")
            client.get("/")
    wait_until(lambda: hybrid.populations() == (0, 0), "the clients have left")
    wait_until(lambda: open_descriptors() == before, "as many descriptors as before")


def test_a_head_that_comes_octet_by_octet(hybrid: Hybrid) -> None:
    with hybrid.client() as client:
        for octet in b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody":
            client.send(bytes((octet,)))
        assert client.response().body == b"api /api /api/x body"


@pytest.mark.parametrize(("count", "status"), [(8, 200), (20, 431)])
def test_a_head_that_is_too_large_to_travel_is_431(hybrid: Hybrid, count: int, status: int) -> None:
    fields = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 8000) for number in range(count))
    with hybrid.client() as client:
        client.send(b"GET /api HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        assert client.response().status == status


@pytest.mark.parametrize("parts", [1, 2, 40])
@pytest.mark.parametrize("coding", ["counted", "chunked"])
def test_a_request_body_goes_too(hybrid: Hybrid, coding: str, parts: int) -> None:
    """What has been read of it, and what comes later."""
    content = bytes(range(256)) * 1000
    if coding == "counted":
        data = b"Content-Length: %d\r\n\r\n" % len(content) + content
    else:
        data = (
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(content) + content + b"\r\n0\r\n\r\n"
        )
    data = b"POST /api HTTP/1.1\r\nHost: a\r\n" + data + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    size = -(-len(data) // parts)
    with hybrid.client() as client:
        for start in range(0, len(data), size):
            client.send(data[start : start + size])
        assert client.response().body == b"api /api /api " + content
        assert client.response().body == b"site  / "


def test_pipelined_requests_are_answered_in_order(hybrid: Hybrid) -> None:
    paths = ["/0", "/api/1", "/api/2", "/3", "/4", "/api/5"] * 5
    with hybrid.client() as client:
        client.send(
            b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() for path in paths)
        )
        for path in paths:
            name = b"api /api" if path.startswith("/api") else b"site "
            assert client.response().body == name + b" %s " % path.encode()


def test_many_pipelined_requests_behind_one_that_waits(hybrid: Hybrid) -> None:
    """Not more is read ahead than can travel."""
    count = 12_000
    request = b"GET /api HTTP/1.1\r\nHost: a\r\n\r\n"
    with hybrid.client() as client:
        sender = threading.Thread(
            target=client.send, args=(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" + request * count,)
        )
        sender.start()
        assert client.response().body == LARGE
        for _ in range(count):
            assert client.response().body == b"api /api /api "
        sender.join()


def test_a_connection_leaves_when_the_response_before_is_out(hybrid: Hybrid) -> None:
    with hybrid.site.client(receive_buffer=4096) as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /api HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: hybrid.site.slot.requests == 1, "the response is buffered")
        assert hybrid.populations() == (1, 0)
        assert client.response().body == LARGE
        assert client.response().body == b"api /api /api "


def test_a_client_that_does_not_read_is_given_up(backend: str) -> None:
    with (
        pools_at("/", "/api") as (pools, _),
        serving(application("site"), backend, pools=pools, send_timeout=0.3) as server,
        server.client(receive_buffer=4096) as client,
    ):
        client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /api HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.slot.requests == 1, "the response is buffered")
        wait_until(lambda: connections(server) == 0, "the connection is aborted")


def test_continue_comes_from_the_pool_that_has_the_request(hybrid: Hybrid) -> None:
    head = b"Host: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with hybrid.client() as client:
        for path, answer in ((b"/api", b"api /api /api body"), (b"/", b"site  / body")):
            client.send(b"POST %s HTTP/1.1\r\n" % path + head)
            assert client.head()[0] == 100
            client.send(b"body")
            assert client.response().body == answer


def test_a_client_that_has_closed_its_half_is_answered(hybrid: Hybrid) -> None:
    with hybrid.client() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /api HTTP/1.1\r\nHost: a\r\n\r\n"
        ).finish()
        assert client.response().body == b"site  / "
        assert client.response().body == b"api /api /api "
        assert client.is_closed()


def test_over_unix_sockets(backend: str, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    seen: list[Any] = []

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"], scope["server"]))
        await respond(send, b"api")

    with (
        pools_at("/", "/api") as (site, other),
        serving(
            application("site"), backend, pools=site, listener=unix_listener(Path(path))
        ) as server,
        serving(http_only(api), backend, pools=other),
        server.client() as client,
    ):
        assert client.get("/api").body == b"api"
        assert client.get("/").body == b"site  / "
    assert seen == [(None, (path, None))]


def test_both_ends_of_a_connection_are_known_after_it_has_travelled(backend: str) -> None:
    seen: list[Any] = []

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"], scope["server"], scope["root_path"], scope["path"]))
        await respond(send, b"api")

    with (
        pools_at("/", "/api") as (site, other),
        serving(application("site"), backend, pools=site) as server,
        serving(http_only(api), backend, pools=other, root_path="/outer/"),
        server.client() as client,
    ):
        client.get("/api/x")
        ours = client.socket.getsockname()
    assert seen == [(ours, server.address, "/outer/api", "/api/x")]


def test_a_request_that_no_pool_has_is_404(backend: str) -> None:
    with (
        pools_at("/site", "/api") as (pools, _),
        serving(application("site"), backend, pools=pools) as server,
        server.client() as client,
    ):
        assert client.get("/site").status == 200
        response = client.get("/sites")
        assert (response.status, response.closes) == (404, True)
        assert client.is_closed()
        assert server.slot.request_lines == [b"GET /site"]
        wait_until(lambda: connections(server) == 0, "the connection is closed")


def test_a_request_of_a_pool_that_is_down_is_503(backend: str) -> None:
    with (
        pools_at("/", "/api") as (pools, api),
        serving(application("site"), backend, pools=pools) as server,
    ):
        pools.down[1][0] = 1
        with server.client() as client:
            response = client.get("/api")
            assert (response.status, response.closes) == (503, True)
            assert response.headers["retry-after"].isdecimal()
            assert client.is_closed()
        pools.down[1][0] = 0
        with server.client() as client, serving(application("api"), backend, pools=api):
            assert client.get("/api").status == 200


def test_an_unread_body_does_not_reset_a_refusal(backend: str) -> None:
    with (
        pools_at("/site", "/api") as (pools, _),
        serving(application("site"), backend, pools=pools) as server,
        server.client() as client,
    ):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        assert client.response().status == 404


def first_answered(clients: list[Client]) -> Client:
    """One that has an answer, when there is one: the server may have read from them in any order."""
    sockets, _, _ = select.select([client.socket for client in clients], [], [], SECONDS)
    assert sockets, "nobody is answered"
    return next(client for client in clients if client.socket in sockets)


def narrow(pools: Pools) -> None:
    """Let every queue have room for a few connections only."""
    for queue in pools.queues:
        queue.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)


def test_what_a_full_queue_does_not_take_waits_in_order(backend: str) -> None:
    with (
        pools_at("/", "/api") as (pools, other),
        serving(application("site"), backend, pools=pools) as server,
        contextlib.ExitStack() as clients,
    ):
        narrow(pools)
        waiting = []
        for number in range(30):
            client = clients.enter_context(server.client())
            assert client.get("/").status == 200
            client.send(f"GET /api/{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            waiting.append(client)
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 1, "some time")
        assert 20 < connections(server) < 30
        with serving(application("api"), backend, pools=other) as api:
            for client in waiting:
                assert client.response().status == 200
            wait_until(lambda: connections(server) == 0, "all have gone")
            assert api.slot.request_lines == [b"GET /api/%d" % number for number in range(30)]


def test_who_waits_too_long_for_room_is_told(backend: str) -> None:
    with (
        pools_at("/", "/api") as (pools, _),
        serving(application("site"), backend, pools=pools, header_timeout=0.3) as server,
        contextlib.ExitStack() as clients,
    ):
        narrow(pools)
        waiting = [clients.enter_context(server.client()) for _ in range(10)]
        for client in waiting:
            client.send(b"GET /api HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        response = first_answered(waiting).response()
        assert (response.status, response.closes) == (503, True)
        assert response.headers["retry-after"].isdecimal()
        wait_until(lambda: connections(server) == 0, "nobody is left")


def test_who_waits_for_a_pool_that_goes_down_is_told_at_once(backend: str) -> None:
    with (
        pools_at("/", "/api") as (pools, _),
        serving(application("site"), backend, pools=pools) as server,
        contextlib.ExitStack() as clients,
    ):
        narrow(pools)
        waiting = [clients.enter_context(server.client()) for _ in range(10)]
        for client in waiting:
            client.send(b"GET /api HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: 0 < connections(server) < 10, "some wait")
        pools.down[1][0] = 1
        assert first_answered(waiting).response().status == 503


def test_a_client_that_leaves_its_queue_is_no_trouble(backend: str) -> None:
    with (
        pools_at("/", "/api") as (pools, other),
        serving(application("site"), backend, pools=pools) as server,
    ):
        gone = [server.client().send(b"GET /api HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(3)]
        wait_until(lambda: connections(server) == 0, "they are in the queue")
        for client in gone:
            client.reset()
        with (
            serving(application("api"), backend, pools=other) as api,
            server.client() as client,
        ):
            assert client.get("/api").status == 200
            wait_until(lambda: connections(api) == 1, "only the last one is there")


def test_a_request_does_not_travel_for_ever(backend: str) -> None:
    """Workers of two generations may disagree on whose it is."""
    with (
        pools_at("/", "/api") as (site, api),
        serving(application("site"), backend, pools=site) as first,
        serving(
            application("api"),
            backend,
            pools=Pools(1, api.names, api.mounts[::-1], api.queues, api.arrivals, api.down),
        ),
        first.client() as client,
    ):
        assert client.get("/").status == 200
        response = client.get("/api")
        assert (response.status, response.headers["retry-after"]) == (503, "1")


def test_a_full_worker_leaves_arrivals_to_its_siblings(backend: str) -> None:
    opened = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        while not opened.is_set():
            await anyio.sleep(0.01)
        await respond(send, b"slow")

    with (
        pools_at("/", "/api") as (pools, other),
        serving(application("site"), backend, pools=pools) as server,
        serving(http_only(slow), backend, pools=other, worker_connections=2) as api,
        contextlib.ExitStack() as clients,
    ):
        waiting = [clients.enter_context(server.client()) for _ in range(4)]
        for client in waiting:
            client.send(b"GET /api HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: connections(api) == 2, "it is full")
        wait_until(lambda: connections(server) == 0, "the others are in the queue")
        with serving(application("sibling"), backend, pools=other):
            first = first_answered(waiting)
            assert first.response().body.startswith(b"sibling")
            waiting.remove(first)
            opened.set()
            for client in waiting:
                assert client.response().status == 200


# Retiring


@contextlib.contextmanager
def two_workers(backend: str, app: App, **settings: Any) -> Iterator[tuple[Serving, Serving]]:
    """Two workers of one server: one that is about to retire, and its sibling."""
    with (
        pools_at("/") as (pools,),
        serving(app, backend, pools=pools, **settings) as first,
        serving(application("sibling"), backend, pools=pools) as second,
    ):
        yield first, second


def test_idle_connections_go_to_a_sibling(backend: str) -> None:
    with (
        two_workers(backend, application("first")) as (first, second),
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(first.client()) for _ in range(10)]
        for client in clients[1:]:
            assert not client.get().closes
        wait_until(lambda: connections(first) == 10, "all are there")
        first.server.drain()
        first.wait_for_end(1)
        for client in clients:
            response = client.get("/x")
            assert (response.body, response.closes) == (b"sibling  /x ", False)
        assert connections(second) == 10


def test_a_part_of_a_head_goes_along(backend: str) -> None:
    with two_workers(backend, application("first")) as (first, _), first.client() as client:
        client.get()
        client.send(GET[:10])
        wait_until(
            lambda: "head" in repr(first.server._service and first_connection(first)), "a part"
        )
        first.server.drain()
        first.wait_for_end(1)
        assert client.send(GET[10:]).response().body == b"sibling  / "


def first_connection(server: Serving) -> Any:
    assert server.server._service is not None
    return next(iter(server.server._service.population.connections), None)


class Held:
    """An application that answers when it is let go."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        while not self.opened.is_set():
            await anyio.sleep(0.01)
        await respond(send, b"first")


def test_a_connection_goes_when_its_response_is_complete(backend: str) -> None:
    app = Held()
    with two_workers(backend, http_only(app)) as (first, _), first.client() as client:
        client.send(GET)
        assert app.entered.wait(5)
        first.server.drain()
        wait_until(lambda: first.slot.state is WorkerState.DRAINING, "it drains")
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")  # pipelined
        app.opened.set()
        response = client.response()
        assert (response.body, response.closes) == (b"first", False)
        assert client.response().body == b"sibling  /next "
        first.wait_for_end(1)
        assert not client.get("/last").closes


def test_without_siblings_a_drain_closes(backend: str) -> None:
    with two_workers(backend, application("first")) as (first, second), first.client() as client:
        client.get()
        assert first.seat.pools is not None
        first.seat.pools.down[0][0] = 1
        first.server.drain()
        wait_until(lambda: first.slot.state is WorkerState.DRAINING, "it drains")
        assert client.get().closes
        first.wait_for_end()
        assert connections(second) == 0


def test_a_server_that_ends_in_the_middle_of_a_drain(backend: str) -> None:
    app = Held()
    with two_workers(backend, http_only(app)) as (first, _), first.client() as client:
        client.send(GET)
        assert app.entered.wait(5)
        first.server.drain()
        wait_until(lambda: first.slot.state is WorkerState.DRAINING, "it drains")
        assert first.seat.pools is not None
        first.seat.pools.down[0][0] = 1
        beats = first.slot.beats
        wait_until(lambda: first.slot.beats > beats + 1, "a tick")
        app.opened.set()
        assert client.response().closes
        first.wait_for_end()


def test_what_is_in_the_queue_when_the_server_ends_is_served(backend: str) -> None:
    with pools_at("/") as (pools,), contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients = [stack.enter_context(Client(listener.getsockname()).send(GET)) for _ in range(5)]
        block, blocked = threading.Event(), threading.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == "/block":
                blocked.set()
                block.wait(5)  # the loop stands still, so nothing arrives
            await respond(send, b"served")

        with serving(http_only(app), backend, pools=pools) as server:
            with server.client() as client:
                client.send(b"GET /block HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert blocked.wait(5)
                for _ in clients:
                    accepted, _address = listener.accept()
                    with accepted:
                        accepted.setblocking(False)
                        assert send(pools.queues[0], accepted.fileno(), b"")
                pools.down[0][0] = 1
                drainer = threading.Thread(target=server.server.drain)
                drainer.start()
                block.set()
                drainer.join()
                assert client.response().status == 200
            for client in clients:
                assert client.response().body == b"served"
            server.wait_for_end()


def test_who_cannot_leave_before_the_end_is_answered(backend: str) -> None:
    """The worker ends before the queue has room."""
    with (
        pools_at("/") as (pools,),
        serving(application("first"), backend, pools=pools, graceful_timeout=0.5) as server,
        contextlib.ExitStack() as clients,
    ):
        narrow(pools)
        waiting = [clients.enter_context(server.client()) for _ in range(10)]
        for client in waiting:
            client.get()
            client.send(GET[:20])
        wait_until(lambda: server.slot.requests == 10, "all have been answered")
        server.server.drain()
        server.wait_for_end()
        assert first_answered(waiting).response().status == 503


def test_background_work_goes_on_without_the_connection(backend: str) -> None:
    opened, done = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"first")
        while not opened.is_set():
            await anyio.sleep(0.01)
        done.set()

    with two_workers(backend, http_only(app)) as (first, _), first.client() as client:
        assert client.get().body == b"first"
        first.server.drain()
        wait_until(lambda: connections(first) == 0, "the connection has gone")
        assert client.get().body == b"sibling  / "
        assert not first.has_ended()
        opened.set()
        first.wait_for_end()
        assert done.is_set()


def test_what_travels_is_logged_where_it_is_served(backend: str) -> None:
    lines: dict[str, list[str]] = {"site": [], "api": []}

    class Lines(logging.Handler):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.lines = lines[name]

        def emit(self, record: logging.LogRecord) -> None:
            self.lines.append(record.getMessage())

    def access(name: str) -> AccessLog:
        logger = logging.getLogger(f"test.access.{name}")
        logger.handlers = [Lines(name)]
        logger.setLevel(logging.INFO)
        return AccessLog("%(r)s", logger)

    with (
        pools_at("/", "/api") as (site, other),
        serving(application("site"), backend, pools=site, access=access("site")) as server,
        serving(application("api"), backend, pools=other, access=access("api")),
        server.client() as client,
    ):
        client.get("/api")
        client.get("/")
    assert lines == {"site": ["GET / HTTP/1.1"], "api": ["GET /api HTTP/1.1"]}


def test_a_connection_that_breaks_on_its_way_out_sends_no_strange_descriptor(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    """Its response cannot be written, and a request for another pool is behind it."""
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        gone.wait(5)  # the loop stands still, so nobody hears of it
        await respond(send, b"too late")

    with (
        pools_at("/", "/api") as (site, other),
        serving(http_only(app), backend, pools=site) as server,
    ):
        client = server.client()
        client.send(GET + b"GET /api HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.slot.request_lines, "the request runs")
        client.reset()
        gone.set()
        wait_until(lambda: connections(server) == 0, "the connection is lost")
        with pytest.raises(BlockingIOError):
            other.arrivals.recv(1)
    assert not [record for record in error_log.records if record.levelno >= logging.ERROR]


def test_a_queue_that_has_failed_is_told_of(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    with (
        pools_at("/", "/api") as (site, other),
        serving(application("site"), backend, pools=site) as server,
        server.client() as client,
    ):
        other.arrivals.close()
        response = client.get("/api")
        assert (response.status, response.closes) == (503, True)
        assert any("Cannot hand a connection over: " in line for line in error_log.messages)
