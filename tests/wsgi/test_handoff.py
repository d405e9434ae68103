"""Connections that go from worker to worker: between pools, to siblings, and away from who retires."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greenuni.config import Config
from greenuni.handoff import HOPS_LIMIT, UNREAD_LIMIT, receive, send
from greenuni.observe.errorstream import ErrorStream
from greenuni.shell import Pools, WorkerState
from greenuni.testing import fake_pools
from greenuni.wsgi.arrivals import Arrivals, Places
from greenuni.wsgi.loop import Loop
from tests.support.server import wait_until
from tests.wsgi.harness import (
    GET,
    PATIENCE,
    Client,
    Shell,
    no_descriptor_leaks,
    request,
    serving,
)

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

BOTH = pytest.mark.parametrize("threads", [1, 2])
NAMES = ("SCRIPT_NAME", "PATH_INFO", "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT")


def application(name: str) -> Callable[..., list[bytes]]:
    """Tells its name, its request line and the length of the body, and some of the environ."""

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        answer = {key: environ[key] for key in NAMES if key in environ}
        answer |= {"app": name, "size": len(environ["wsgi.input"].read())}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    return app


@contextlib.contextmanager
def opened(*mounts: str) -> Iterator[list[Pools]]:
    pools = fake_pools(*mounts)
    try:
        yield pools
    finally:
        for pool in pools:
            pool.close()


@contextlib.contextmanager
def two_pools(**settings: Any) -> Iterator[tuple[Shell, Shell]]:
    """The site, at the root, and the API."""
    with (
        no_descriptor_leaks(),
        opened("/", "/api") as (site, api),
        serving(application("site"), pools=site, **settings) as first,
        serving(application("api"), pools=api, **settings) as second,
    ):
        yield first, second


@contextlib.contextmanager
def two_siblings(app: Callable[..., Any], **settings: Any) -> Iterator[tuple[Shell, Shell]]:
    """Two workers of one pool, which has the port for itself."""
    settings.setdefault("workers", 2)
    with (
        no_descriptor_leaks(),
        opened("/") as (pools,),
        serving(app, pools=pools, **settings) as first,
        serving(app, pools=pools, **settings) as second,
    ):
        yield first, second


def ask(client: Client, target: str = "/", **more: Any) -> dict[str, Any]:
    client.send(request(target, **more))
    return answer(client)


def answer(client: Client) -> dict[str, Any]:
    response = client.response()
    assert response.status == 200, response
    assert "Connection" not in response
    found: dict[str, Any] = json.loads(response.body)
    return found


class TestPools:
    """Requests that another pool is to serve."""

    @BOTH
    def test_a_connection_alternates_between_pools(self, threads: int) -> None:
        with two_pools(threads=threads) as (site, _), site.connect() as client:
            for _ in range(20):
                assert ask(client, "/a")["app"] == "site"
                assert ask(client, "/api/a")["app"] == "api"

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        targets = ["/", "/api", "/api/1", "/2", "/api/3", "/4", "/5"]
        with two_pools() as (_, api), api.connect() as client:
            client.send(b"".join(map(request, targets)))
            answers = [answer(client) for _ in targets]
        apps = ["api" if target.startswith("/api") else "site" for target in targets]
        assert [found["app"] for found in answers] == apps
        assert [found["PATH_INFO"] for found in answers] == ["/", "", "/1", "/2", "/3", "/4", "/5"]

    def test_a_request_that_comes_byte_by_byte(self) -> None:
        with two_pools() as (site, _), site.connect() as client:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in request("/api/x", "POST", b"12345"):
                client.send(bytes([octet]))
            assert answer(client) | {"app": "api", "size": 5} == answer_of("api", 5, client, site)

    @pytest.mark.parametrize("size", [10, 60_000, 300_000])
    def test_a_body_that_follows_its_head(self, size: int) -> None:
        with two_pools() as (site, api), site.connect() as client:
            client.send(request("/api", "POST", content_length=str(size)) + b"x" * 5)
            wait_until(lambda: len(api.server._connections) == 1, "it has arrived")
            client.send(b"x" * (size - 5))
            assert answer(client)["size"] == size

    @pytest.mark.parametrize("size", [10, 300_000])
    def test_a_body_that_comes_with_its_head(self, size: int) -> None:
        with two_pools() as (site, _), site.connect() as client:
            for target in ("/api", "/", "/api"):
                assert ask(client, target, method="POST", body=b"x" * size)["size"] == size

    def test_a_chunked_body(self) -> None:
        with two_pools() as (site, _), site.connect() as client:
            client.send(request("/api", "POST", transfer_encoding="chunked") + b"5\r\nhel")
            client.send(b"lo\r\n0\r\n\r\n" + request("/"))
            assert answer(client)["size"] == 5
            assert answer(client)["app"] == "site"

    def test_a_client_that_waits_for_100_continue(self) -> None:
        with two_pools() as (site, _), site.connect() as client:
            client.send(request("/api", "POST", expect="100-continue", content_length="3"))
            assert client.response().status == 100
            client.send(b"abc")
            assert (found := answer(client))["size"] == 3
            assert found["app"] == "api"

    def test_where_nothing_is_mounted_it_is_404(self) -> None:
        with opened("/site", "/api") as (pools, _), serving(application("x"), pools=pools) as shell:
            client = shell.connect()
            client.send(request("/other"))
            response = client.response()
            assert (response.status, response["Connection"]) == (404, "close")
            assert client.is_closed()
            assert ask(shell.connect(), "/site/a")["PATH_INFO"] == "/a"

    def test_a_pool_that_is_down_is_503(self) -> None:
        with two_pools() as (site, _):
            assert site.seat.pools
            site.seat.pools.down[1][0] = 1
            client = site.connect()
            client.send(request("/api", "POST", content_length="3"))
            response = client.response()
            assert (response.status, response["Retry-After"]) == (503, "1")
            assert client.is_closed()
            assert ask(site.connect())["app"] == "site"

    def test_a_request_does_not_travel_without_end(self) -> None:
        """Two workers, each of which believes that the request is for the other's pool."""
        with opened("/", "/api") as (one, other):
            swapped = Pools(1, one.names, one.mounts[::-1], one.queues, other.arrivals, one.down)
            with (
                serving(application("one"), pools=one) as first,
                serving(application("other"), pools=swapped),
                no_descriptor_leaks(),
                first.connect() as client,
            ):
                client.send(request("/api"))
                assert client.response().status == 503

    def test_hops_are_counted_for_one_request_only(self) -> None:
        with two_pools() as (site, _), site.connect() as client:
            for number in range(2 * HOPS_LIMIT):
                assert ask(client, f"/api/{number}")["app"] == "api"
                client.send(request("/") + request("/api"))
                assert [answer(client)["app"] for _ in range(2)] == ["site", "api"]

    def test_a_head_that_is_too_large_to_travel_is_431(self) -> None:
        fields = {f"x_{number}": "y" * 8000 for number in range(20)}
        with two_pools() as (site, _):
            client = site.connect()
            client.send(request("/api", **fields))
            assert client.response().status == 431

    def test_a_head_of_many_fields_travels(self) -> None:
        fields = {f"x_{number}": "y" * 8000 for number in range(8)}
        with two_pools() as (site, _), site.connect() as client:
            assert ask(client, "/api", **fields)["app"] == "api"

    @pytest.mark.parametrize("root_path", ["", "/outer"])
    def test_the_environ_is_that_of_the_mount(self, root_path: str) -> None:
        with two_pools(root_path=root_path) as (site, _), site.connect() as client:
            ask(client)
            found = ask(client, "/api/a%20b?q")
            assert found == answer_of("api", 0, client, site) | {
                "SCRIPT_NAME": root_path + "/api",
                "PATH_INFO": "/a b",
            }

    def test_over_a_unix_socket(self, tmp_path: Any) -> None:
        path = str(tmp_path / "socket")
        with (
            opened("/", "/api") as (site, api),
            serving(application("site"), path, pools=site) as first,
            serving(application("api"), pools=api),
            first.connect() as client,
        ):
            found = ask(client, "/api")
            assert (found["app"], found["SERVER_NAME"]) == ("api", "localhost")
            assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("", "")

    def test_a_client_that_has_gone_meanwhile_is_forgotten(self) -> None:
        with two_pools() as (site, api):
            pools = site.seat.pools
            assert pools
            here, there = socket.socketpair()
            with contextlib.closing(here), contextlib.closing(there):
                with socket.create_server(("127.0.0.1", 0)) as listener:
                    client = socket.create_connection(listener.getsockname())
                    accepted, _ = listener.accept()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
                with accepted:
                    send(pools.queues[1], accepted.fileno(), request("/api"))
            assert ask(site.connect(), "/api")["app"] == "api"
            wait_until(lambda: api.seat.slot.requests == 1, "served there")

    def test_access_is_logged_where_it_is_served(self) -> None:
        lines: list[Any] = []

        class Log:
            def write(self, exchange: Any) -> None:
                lines.append(exchange)

        with two_pools(access=Log()) as (site, _), site.connect() as client:
            ask(client, "/api/1")
            ask(client, "/2")
        assert [line.target for line in lines] == [b"/api/1", b"/2"]
        assert {line.client for line in lines} == {"127.0.0.1"}


def answer_of(app: str, size: int, client: Client, shell: Shell) -> dict[str, Any]:
    """What an application says that the client has come to through this shell's listener."""
    host, port = shell.address
    address, from_port = client.sock.getsockname()
    return {
        "SCRIPT_NAME": "/api",
        "PATH_INFO": "/x",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(from_port),
        "app": app,
        "size": size,
    }


class TestFullQueue:
    """Nobody takes connections out."""

    def test_it_is_waited_for_and_order_is_kept(self) -> None:
        with (
            no_descriptor_leaks(),
            opened("/", "/api") as (site, api),
            serving(application("site"), pools=site) as shell,
        ):
            count = fill(site.queues[1])
            clients = [shell.connect() for _ in range(3)]
            for client in clients:
                client.send(request("/api"))
            wait_until(lambda: "waiting=3" in repr(shell.server._departures), "they wait")
            assert ask(shell.connect())["app"] == "site"
            drop(api.arrivals, count)
            with serving(application("api"), pools=api):
                for client in clients:
                    assert answer(client)["app"] == "api"

    def test_who_has_waited_too_long_is_told(self) -> None:
        with (
            no_descriptor_leaks(),
            opened("/", "/api") as (site, api),
            serving(application("site"), pools=site, header_timeout=0.3) as shell,
        ):
            count = fill(site.queues[1])
            client = shell.connect()
            client.send(request("/api"))
            response = client.response()
            assert (response.status, response["Retry-After"]) == (503, "1")
            drop(api.arrivals, count)
            wait_until(lambda: "waiting=0" in repr(shell.server._departures), "nobody waits")
            assert receive(api.arrivals) is None

    def test_an_idle_connection_that_has_waited_too_long_is_closed(self) -> None:
        gate = Gate()
        with (
            no_descriptor_leaks(),
            opened("/") as (pools,),
            serving(gate, pools=pools, header_timeout=0.3, threads=2) as shell,
        ):
            idle, *busy = (shell.connect() for _ in range(3))
            idle.get()
            for client in busy:
                client.send(request("/wait"))
                assert gate.entered.acquire(timeout=PATIENCE)
            count = fill(pools.queues[0])  # which nobody empties, for both threads are busy
            shell.drain()
            assert idle.is_closed()
            drop(pools.arrivals, count)
            gate.open()
            for client in busy:
                assert client.response().status == 200
            shell.join()


def fill(queue: socket.socket) -> int:
    here, there = socket.socketpair()
    with here, there:
        count = 0
        while send(queue, there.fileno(), b""):
            count += 1
    return count


def drop(queue: socket.socket, count: int) -> None:
    for _ in range(count):
        found = receive(queue)
        assert found is not None
        socket.close(found[0])


def test_a_message_without_a_connection_harms_nobody() -> None:
    with two_pools() as (site, _), site.connect() as client:
        assert site.seat.pools
        site.seat.pools.queues[1].send(b"\0nobody")
        assert ask(client, "/api")["app"] == "api"


def test_without_a_free_descriptor_it_is_said_and_the_queue_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("test")
    loop = Loop(log, 1.0, on_tick=print, on_interrupt=print, after_turn=print)
    here, there = socket.socketpair()
    with opened("/") as (pools,), here:
        places = Places(Config(), ErrorStream(log), b"")
        arrivals = Arrivals(loop, pools.arrivals, places, print, log, Config())
        arrivals.listen(True)
        with there:
            send(pools.queues[0], there.fileno(), GET)
        with no_free_descriptor():
            assert not arrivals.take()
        assert "A connection from another worker is lost: Too many open files; raise" in caplog.text
        assert arrivals.is_exhausted
        assert loop.handlers == {}
        arrivals.listen(True)
        assert repr(arrivals).endswith("not listening>")
        assert here.recv(1) == b""
    loop.close()


@contextlib.contextmanager
def no_free_descriptor() -> Iterator[None]:
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Gate:
    """An application that waits at ``/wait`` until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.body = b"done"
        self.seconds = 0.0  # that all else takes
        self._go = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.entered.release()
            self._go.wait(10)
        elif self.seconds:
            time.sleep(self.seconds)
        start_response("200 OK", [])
        return [self.body]

    def open(self) -> None:
        self._go.set()

    def shut(self) -> None:
        self._go.clear()


def begin_drain(shell: Shell) -> None:
    shell.drain()
    wait_until(lambda: shell.seat.slot.state is WorkerState.DRAINING, "draining")


class TestRetiring:
    """A worker that ends leaves its clients to its siblings."""

    @BOTH
    def test_an_idle_connection_lives_on(self, threads: int) -> None:
        with two_siblings(application("a"), threads=threads) as (old, new):
            clients = [old.connect() for _ in range(5)]
            for client in clients:
                ask(client)
            silent = old.connect()
            wait_until(lambda: len(old.server._connections) == 6, "all accepted")
            old.drain()
            old.join()  # at once: there is nobody whose last request it would wait for
            for client in (*clients, silent):
                assert ask(client)["app"] == "a"
            wait_until(lambda: new.seat.slot.requests == 6, "served there")

    @BOTH
    def test_a_request_in_flight_does_not_end_its_connection(self, threads: int) -> None:
        gate = Gate()
        with two_siblings(gate, threads=threads) as (old, new):
            client = old.connect()
            client.send(request("/wait") + request("/next"))
            assert gate.entered.acquire(timeout=PATIENCE)
            old.drain()
            gate.open()
            assert "Connection" not in client.response()
            assert client.response().status == 200
            old.join()
            assert client.get().status == 200
            wait_until(lambda: new.seat.slot.requests, "the sibling has served it")

    def test_a_part_of_a_head_goes_with_it(self) -> None:
        with two_siblings(application("a")) as (old, _):
            client = old.connect()
            client.send(GET[:10])
            wait_until(lambda: "HEAD" in repr(old.server._loop.handlers), "it was read")
            old.drain()
            old.join()
            client.send(GET[10:])
            assert answer(client)["app"] == "a"

    def test_a_body_on_its_way_is_waited_for(self) -> None:
        with two_siblings(application("a")) as (old, new):
            client = old.connect()
            client.send(request("/", "POST", content_length="4") + b"12")
            wait_until(lambda: "BODY" in repr(old.server._loop.handlers), "it was read")
            begin_drain(old)
            client.send(b"34")
            assert answer(client)["size"] == 4
            old.join()
            assert ask(client)["app"] == "a"
            wait_until(lambda: new.seat.slot.requests == 1, "served there")

    def test_while_the_server_ends_it_is_a_drain_as_ever(self) -> None:
        with two_siblings(application("a")) as (old, _), old.connect() as client:
            ask(client)
            assert old.seat.pools
            old.seat.pools.forsake()
            begin_drain(old)
            assert client.get()["Connection"] == "close"
            assert client.is_closed()

    def test_what_is_in_the_queue_when_the_server_ends_is_served(self) -> None:
        gate = Gate()
        with two_siblings(gate) as (busy, old):
            waiting = busy.connect()
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            client = old.connect()
            client.get()
            old.drain()
            old.join()
            client.send(GET)
            assert busy.seat.pools
            busy.seat.pools.forsake()
            busy.drain()
            gate.open()
            assert waiting.response()["Connection"] == "close"
            assert client.response()["Connection"] == "close"

    def test_if_the_server_ends_meanwhile_the_client_is_told(self) -> None:
        gate = Gate()
        with two_siblings(gate) as (old, _), old.connect() as client:
            client.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            old.drain()
            assert old.seat.pools
            old.seat.pools.forsake()
            gate.open()
            assert client.response().status == 200
            assert client.is_closed()

    def test_more_than_can_travel_stays(self) -> None:
        fields = {f"x_{number}": "y" * 8000 for number in range(UNREAD_LIMIT // 8000 + 2)}
        with two_siblings(application("a")) as (old, _), old.connect() as client:
            whole = request("/", **fields)
            client.send(whole[:-10])
            wait_until(lambda: held(old) > UNREAD_LIMIT, "most of it was read")
            begin_drain(old)
            client.send(whole[-10:])
            assert client.response().status == 200


def held(shell: Shell) -> int:
    return sum(len(connection.unread) for connection in shell.server._connections.waiting())


class TestBusySibling:
    """Nobody waits behind a call that keeps all threads of a worker, as long as another worker has one."""

    @BOTH
    def test_connections_go_to_the_sibling(self, threads: int) -> None:
        gate = Gate()
        with two_siblings(gate, threads=threads) as (busy, free):
            clients = [busy.connect() for _ in range(4)]
            for client in clients:
                client.get()
            waiting = [busy.connect() for _ in range(threads)]
            for client in waiting:
                client.send(request("/wait"))
                assert gate.entered.acquire(timeout=PATIENCE)
            for client in clients:
                assert client.get().status == 200
            assert free.seat.slot.requests >= 3
            gate.open()
            for client in waiting:
                assert client.response().status == 200
                assert client.get().status == 200

    def test_the_worker_goes_on_as_before(self) -> None:
        gate = Gate()
        with two_siblings(gate) as (busy, _):
            for _ in range(3):
                waiting, client = busy.connect(), busy.connect()
                client.get()
                waiting.send(request("/wait"))
                assert gate.entered.acquire(timeout=PATIENCE)
                assert client.get().status == 200
                gate.open()
                assert waiting.response().status == 200
                gate.shut()
                before = busy.seat.slot.requests
                assert busy.get().status == 200
                wait_until(lambda: busy.seat.slot.requests > before, "it accepts again")  # noqa: B023

    def test_a_body_on_its_way_is_read_when_the_call_has_returned(self) -> None:
        gate = Gate()
        with two_siblings(gate) as (busy, _):
            client, waiting = busy.connect(), busy.connect()
            client.send(request("/", "POST", content_length="4") + b"12")
            wait_until(lambda: "BODY" in repr(busy.server._loop.handlers), "it was read")
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            wait_until(lambda: "relieving" in repr(busy.server._relief), "the relief has the loop")
            client.send(b"34")
            gate.open()
            assert client.response().status == 200
            assert waiting.response().status == 200

    def test_what_a_client_has_still_to_take_is_sent_meanwhile(self) -> None:
        gate = Gate()
        gate.body = b"x" * 20_000_000
        with two_siblings(gate) as (busy, _):
            client, waiting = busy.connect(receive_buffer=4096), busy.connect()
            client.send(request("/large"))
            wait_until(lambda: "FLUSHING" in repr(busy.server._loop.handlers), "it is kept for it")
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            assert len(client.response().body) == 20_000_000
            assert client.get().status == 200
            gate.open()
            assert waiting.response().status == 200

    def test_with_nobody_to_follow_everybody_waits_for_the_call(self) -> None:
        gate = Gate()
        with two_siblings(gate) as (busy, _):
            assert busy.seat.pools
            client, waiting = busy.connect(), busy.connect()
            client.get()
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            busy.seat.pools.forsake()
            client.send(request("/"))
            wait_until(lambda: "relieving" in repr(busy.server._relief), "the relief has the loop")
            gate.open()
            assert waiting.response().status == 200
            assert client.response().status == 200

    def test_without_siblings_there_is_no_relief(self) -> None:
        with two_siblings(application("a"), workers=1) as (shell, _):
            shell.get()
            assert shell.server._relief is None

    @pytest.mark.parametrize("workers", [1, 2])
    def test_requests_for_other_pools_do_not_wait(self, workers: int) -> None:
        """With siblings neither, though those may be just as busy (here there is none in truth)."""
        gate = Gate()
        with (
            no_descriptor_leaks(),
            opened("/", "/api") as (first, second),
            serving(gate, pools=first, workers=workers) as site,
            serving(application("api"), pools=second, workers=1),
            site.connect() as waiting,
            contextlib.ExitStack() as stack,
        ):
            clients = [stack.enter_context(site.connect()) for _ in range(5)]
            for client in clients:
                client.get()
            clients[4].send(b"GET /api HTTP/1.1\r\n")
            wait_until(lambda: "HEAD" in repr(site.server._loop.handlers), "it was read")
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            wait_until(lambda: "relieving" in repr(site.server._relief), "the relief has the loop")
            clients[0].send(request("/"))
            clients[1].send(b"GET /api HT")
            clients[2].send(b"no HTTP\r\n\r\n")
            assert ask(clients[3], "/api", method="POST", body=b"1234")["size"] == 4
            clients[4].send(b"Host: a\r\n\r\n")
            assert answer(clients[4])["app"] == "api"
            gate.open()
            assert waiting.response().status == 200
            assert clients[0].response().status == 200
            clients[1].send(b"TP/1.1\r\nHost: a\r\n\r\n")
            assert answer(clients[1])["app"] == "api"
            assert clients[2].response().status == 400

    def test_an_idle_worker_wakes_nobody(self) -> None:
        with two_siblings(application("a")) as (shell, other):
            shell.get()
            relief = shell.server._relief if shell.seat.slot.requests else other.server._relief
            wait_until(lambda: repr(relief) == "<Relief idle asleep>", "it sleeps again")

    def test_calls_around_the_patience_of_the_relief(self) -> None:
        """Calls that end just when they are relieved."""

        def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
            threading.Event().wait(float(environ["QUERY_STRING"]))
            start_response("200 OK", [])
            return [environ["QUERY_STRING"].encode()]

        with two_siblings(app) as (one, other):
            clients = [shell.connect() for shell in (one, other) for _ in range(4)]
            for step in range(12):
                seconds = f"{0.008 + step / 1000:.3f}"
                for client in clients:
                    client.send(request(f"/?{seconds}") * 2)
                for client in clients:
                    assert client.response().body == seconds.encode()
                    assert client.response().body == seconds.encode()

    def test_a_call_that_ends_just_when_it_is_relieved(self) -> None:
        """Both sides have seen it: the relief has left the loop alone, and there is nothing to give back."""
        with two_siblings(application("a")) as (shell, _), shell.connect() as client:
            relief, loop = shell.server._relief, shell.server._loop
            assert relief is not None
            before = loop.poller.fileno()
            relief._relieve(object())  # type: ignore[arg-type]  # a call that the runner does not have
            relief.end()
            assert loop.poller.fileno() == before
            assert repr(relief).startswith("<Relief idle")
            assert client.get().status == 200

    def test_a_bell_that_rang_when_nobody_listened_is_not_heard_later(self) -> None:
        """Else the relief would spin for as long as the next call lasts."""
        gate = Gate()
        with two_siblings(gate) as (busy, _), busy.connect() as waiting:
            relief = busy.server._relief
            assert relief is not None
            relief._bell.wake()
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            wait_until(lambda: "relieving" in repr(relief), "the relief has the loop")
            bell = relief._bell.read_fd
            wait_until(lambda: not select.select([bell], [], [], 0)[0], "the bell is silent")
            gate.open()
            assert waiting.response().status == 200

    def test_who_waits_for_a_thread_with_a_limit_is_not_sent_in_circles(self) -> None:
        """With queue-timeout a worker without a free thread takes more: they must wait here, and be told."""
        gate = Gate()
        with two_siblings(gate, threads=2, queue_timeout=0.3) as (one, other):
            held = [shell.connect() for shell in (one, one, other, other) for _ in range(2)]
            for client in held:
                client.send(request("/wait"))
            for _ in range(4):
                assert gate.entered.acquire(timeout=PATIENCE)
            statuses = []
            late = one.connect()
            late.send(request("/wait"))
            statuses.append(late.response().status)
            gate.open()
            statuses += [client.response().status for client in held]
            assert sorted(set(statuses)) == [200, 503]
            assert statuses[0] == 503

    def test_the_only_free_thread_is_for_all_clients(self) -> None:
        """Not for the one that it has just answered; and a new connection is let in, too."""
        gate = Gate()
        gate.seconds = 0.002
        with two_siblings(gate, threads=2) as shells:
            clients = [shell.connect() for shell in shells for _ in range(3)]
            for client in clients:
                client.get()
            held = [shells[index].connect() for index in (0, 0, 1)]
            for client in held:
                client.send(request("/wait"))
                assert gate.entered.acquire(timeout=PATIENCE)
            counts = dict.fromkeys(range(len(clients)), 0)
            is_over = threading.Event()

            def ask_on(index: int) -> None:
                while not is_over.is_set():
                    assert clients[index].get().status == 200
                    counts[index] += 1

            threads = [threading.Thread(target=ask_on, args=(index,)) for index in counts]
            for thread in threads:
                thread.start()
            with shells[1].connect() as newcomer:
                assert newcomer.get().status == 200
            wait_until(lambda: sum(counts.values()) > 300, "many requests")
            is_over.set()
            gate.open()
            for thread in threads:
                thread.join()
            assert min(counts.values()) > 300 / len(counts) / 4, counts
            for client in held:
                assert client.response().status == 200

    def test_an_order_to_stop_ends_a_relieved_call(self) -> None:
        gate = Gate()
        with two_siblings(gate) as (busy, _):
            waiting = busy.connect()
            waiting.send(request("/wait"))
            assert gate.entered.acquire(timeout=PATIENCE)
            wait_until(lambda: "relieving" in repr(busy.server._relief), "the relief has the loop")
            busy.server.stop()
            gate.open()
            busy.join()
