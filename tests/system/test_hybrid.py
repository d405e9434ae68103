"""Pools of both interfaces on one port: connections go from one to the other, and outlive workers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.keeper import Keeper, SteadyLoad
from tests.support.server import Server, process_exists, serve, wait_until

WSGI = """
import hashlib, json, os, time
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["QUERY_STRING"] == "sleep":
        print("sleeps", flush=True)
        time.sleep(0.5)
    found = {"pool": os.environ["GREENUNI_POOL"], "pid": os.getpid(), "root": environ["SCRIPT_NAME"],
             "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"], "size": len(body),
             "hash": hashlib.sha256(body).hexdigest()}
    answer = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""
ASGI = """
import asyncio, hashlib, json, os
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        return await echo(scope, receive, send)
    assert scope["type"] == "http"
    if scope["query_string"] == b"stream":
        return await stream(send)
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["query_string"] == b"sleep":
        print("sleeps", flush=True)
        await asyncio.sleep(0.5)
    found = {"pool": os.environ["GREENUNI_POOL"], "pid": os.getpid(), "root": scope["root_path"],
             "path": scope["path"], "size": len(body), "hash": hashlib.sha256(body).hexdigest()}
    answer = json.dumps(found).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})
async def stream(send):
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(1000):
        await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
        await asyncio.sleep(0.02)
async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": scope["root_path"] + " " + message["text"]})
"""
POOLS = """
keepalive = 60
[pools.site]
app = "INTERFACE_app:app"
mount = "/"
workers = 2
[pools.api]
app = "asgi_app:app"
mount = "/api"
workers = 2
"""
POST = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
HUPS = 50 if os.environ.get("GREENUNI_ACCEPTANCE") else 4
ROUNDS = 10_000 if os.environ.get("GREENUNI_ACCEPTANCE") else 300


class Site:
    """A directory with the applications and a configuration; ``serve`` runs them."""

    def __init__(self, directory: Path, interface: str) -> None:
        self.directory = directory
        self.toml = directory / "greenuni.toml"
        self.toml.write_text(POOLS.replace("INTERFACE", interface))
        (directory / "wsgi_app.py").write_text(WSGI)
        (directory / "asgi_app.py").write_text(ASGI)

    def replace(self, old: str, new: str) -> None:
        """Change the configuration."""
        text = self.toml.read_text()
        assert old in text
        self.toml.write_text(text.replace(old, new, 1))

    @contextlib.contextmanager
    def serve(self, bind: str = "127.0.0.1:0", workers: int = 4) -> Iterator[Server]:
        """The server, with that many workers ready."""
        with serve(cwd=self.directory, bind=bind) as server:
            server.wait_for_log("Serving ", 2)
            wait_until(partial(has_workers, server, workers), "all workers")
            yield server


@pytest.fixture(params=["wsgi", "asgi"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """Two pools, of which the one at / has either interface."""
    return Site(tmp_path, request.param)


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    with site.serve() as server:
        yield server


def address(server: Server) -> tuple[str, int]:
    return ("127.0.0.1", server.port)


def check(path: str, answer: dict[str, Any]) -> None:
    """Whether the right pool has answered, and is told the right path."""
    pool = "api" if path.startswith("/api") else "site"
    root = "/api" if pool == "api" else ""
    found = (answer["path"], answer["pool"], answer["root"])
    assert found == (path.partition("?")[0], pool, root)


def load(server: Server, *paths: str) -> SteadyLoad:
    return SteadyLoad(address(server), paths or ("/", "/api", "/api/x", "/x"), check)


def descriptors(server: Server) -> list[int]:
    """How many descriptors each process of the server has."""
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (server.pid, *server.workers())]


def connections_held(server: Server) -> int:
    """How many accepted connections its workers have. One that is in a queue is nobody's."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[1].endswith(f":{server.port:04X}") and row[3] == "01"  # ESTABLISHED
    }
    held: set[str] = set()
    for pid in server.workers():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed while we look
                held.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return len(ours & held)


def settled(server: Server) -> list[int]:
    """The same, once all connections have been closed; see proc_pid_net(5)."""
    port = f":{server.port:04X} "

    def is_empty() -> bool:
        lines = Path("/proc/net/tcp").read_text().splitlines()
        states = {line.split()[3] for line in lines if port in line.split()[1] + " "}
        return states <= {"0A", "06"}  # LISTEN, TIME_WAIT

    wait_until(is_empty, "all connections are closed")
    return descriptors(server)


def alternate(url: str, number: int, rounds: int) -> set[Any]:
    """One client's requests, now of the one pool, now of the other; the addresses that it had."""
    addresses = set()
    with httpx.Client(base_url=url, timeout=30) as client:
        for index in range(rounds):
            path = f"/api/{number}/{index}" if index % 2 else f"/{number}/{index}"
            body = f"{number} {index} ".encode() * (index % 50)
            response = client.post(path, content=body)
            answer = response.json()
            check(path, answer)
            assert answer["hash"] == hashlib.sha256(body).hexdigest()
            addresses.add(response.extensions["network_stream"].get_extra_info("client_addr"))
    return addresses


@pytest.mark.timeout(900)
def test_connections_alternate_between_pools(server: Server) -> None:
    """Every body is right and in its place, each client has one connection, and no descriptor stays."""
    found = []
    for rounds in (100, ROUNDS):
        with ThreadPoolExecutor(4) as clients:
            for addresses in clients.map(alternate, [server.url] * 4, range(4), [rounds] * 4):
                assert len(addresses) == 1
        found.append(settled(server))
    assert found[0] == found[1]


def test_pipelined_requests_with_bodies(server: Server) -> None:
    body = os.urandom(300_000)
    paths = ["/", "/api/x", "/api/y", "/z"] * 5
    requests = [POST % (path.encode(), len(body)) + b"\r\n" + body for path in paths]
    with Keeper(address(server)) as client:
        sender = threading.Thread(target=client.send, args=(b"".join(requests),))
        sender.start()
        for path in paths:
            answer = client.answer()
            check(path, answer)
            assert answer["hash"] == hashlib.sha256(body).hexdigest()
        sender.join()


def test_continue_comes_from_either_pool(server: Server) -> None:
    with Keeper(address(server)) as client:
        for path in (b"/api", b"/", b"/api", b"/"):
            client.send(POST % (path, 4) + b"Expect: 100-continue\r\n\r\n")
            assert client.head()[0] == 100
            assert client.send(b"body").answer()["size"] == 4


def test_a_websocket_is_opened_in_its_pool(server: Server) -> None:
    for _ in range(8):  # whoever accepts it
        with connect(f"ws://127.0.0.1:{server.port}/api/socket") as client:
            for number in range(10):
                client.send(str(number))
                assert client.recv() == f"/api {number}"


def test_an_event_stream_ends_as_it_should_when_its_worker_retires(site: Site) -> None:
    site.replace("keepalive", "graceful_timeout = 3\nkeepalive")
    with site.serve() as server, Keeper(address(server)) as client:
        client.get("/")
        status, fields = client.ask("/api?stream").head()
        assert (status, fields["transfer-encoding"]) == (200, "chunked")
        server.signal(signal.SIGHUP)
        chunks = list(iter(client.chunk, b""))
        assert len(chunks) < 1000
        check("/", client.get("/"))
        check("/api", client.get("/api"))


def test_over_a_unix_socket(site: Site) -> None:
    path = str(site.directory / "socket")
    with site.serve(bind=f"unix:{path}"), Keeper(path) as client:
        for asked in ("/", "/api", "/", "/api/x"):
            check(asked, client.get(asked))


def test_a_pool_with_an_address_of_its_own_is_no_way_to_the_others(site: Site) -> None:
    site.replace('mount = "/api"', 'bind = "127.0.0.2:0"')
    with site.serve() as server:
        pattern = r"\[api\] Listening at: http://127.0.0.2:(\d+)"
        server.wait_for_log(pattern)
        found = re.search(pattern, server.log)
        assert found is not None
        with Keeper(("127.0.0.2", int(found[1]))) as client:
            answers = [client.get(path) for path in ("/", "/api")]
        assert [(answer["pool"], answer["root"]) for answer in answers] == [("api", "")] * 2
        with Keeper(address(server)) as client:
            assert client.get("/api")["pool"] == "site"


def test_what_no_pool_has_is_404(site: Site) -> None:
    site.replace('mount = "/"', 'mount = "/site"')
    with site.serve() as server, Keeper(address(server)) as client:
        assert client.get("/api")["pool"] == "api"
        assert client.get("/site")["root"] == "/site"
        status, fields = client.ask("/sites").head()
        assert (status, fields["connection"]) == (404, "close")


def kill(server: Server, path: str, workers: int = 2) -> None:
    """End the workers that serve ``path`` by force."""
    pids: set[int] = set()

    def find() -> bool:
        with Keeper(address(server)) as client:
            pids.add(client.get(path)["pid"])
        return len(pids) == workers

    wait_until(find, "the workers")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(process_exists, pids)), "they have gone")


@pytest.mark.timeout(120)
def test_what_a_pool_that_keeps_ending_has_is_503(server: Server, site: Site) -> None:
    with load(server, "/", "/x") as others:
        (site.directory / "asgi_app.py").write_text("import os; os._exit(1)")
        (site.directory / "wsgi_app.py").write_text(WSGI)
        kill(server, "/api")
        server.wait_for_log(r"\[api\] Worker \d .*keeps ending")

        def is_refused() -> bool:
            with Keeper(address(server)) as client:
                status, fields = client.ask("/api").head()
                return status == 503 and fields["retry-after"].isdecimal()

        wait_until(is_refused, "the pool is down")
        assert others.stop() > 10
        (site.directory / "asgi_app.py").write_text(ASGI)

        def is_back() -> bool:
            with Keeper(address(server)) as client:
                return client.ask("/api").head()[0] == 200

        wait_until(is_back, "the pool is back", 40)


@pytest.mark.timeout(120)
def test_what_waits_in_a_queue_outlives_the_workers_that_it_waits_for(site: Site) -> None:
    site.replace('mount = "/api"\nworkers = 2', 'mount = "/api"\nworkers = 1')
    with site.serve(workers=3) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Keeper(address(server))) for _ in range(20)]
        for client in clients:
            check("/", client.get("/"))
        pid = clients[0].get("/api")["pid"]
        os.kill(pid, signal.SIGSTOP)
        for client in clients[1:]:
            client.ask("/api")
        wait_until(lambda: connections_held(server) == 1, "all but the first are in the queue")
        os.kill(pid, signal.SIGKILL)
        for client in clients[1:]:
            check("/api", client.answer())
            check("/", client.get("/"))


@pytest.mark.timeout(900)
def test_hups_under_load(server: Server) -> None:
    with load(server) as steady:
        for count in range(1, HUPS + 1):
            server.signal(signal.SIGHUP)
            server.wait_for_log(r"\[(site|api)\] Reloaded", 2 * count, 60)
        assert steady.stop() > 100


def has_workers(server: Server, count: int) -> bool:
    return len(server.workers()) == count


@pytest.mark.timeout(120)
def test_fewer_and_more_workers_under_load(server: Server) -> None:
    with load(server) as steady:
        for number, wanted in ((signal.SIGTTOU, 2), (signal.SIGTTIN, 4)):
            server.signal(number)
            wait_until(partial(has_workers, server, wanted), f"{wanted} workers", 30)
        assert steady.stop() > 10


@pytest.mark.timeout(120)
def test_workers_are_replaced_under_load(site: Site) -> None:
    site.replace("[pools.site]", "max_requests = 50\n[pools.site]")
    with site.serve() as server, load(server) as steady:
        server.wait_for_log("max-requests", 12, 60)
        assert steady.stop() > 100


def test_a_server_that_ends_answers_what_it_has(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        paths = ["/?sleep", "/api?sleep"]
        clients = [stack.enter_context(Keeper(address(server))) for _ in paths]
        for client, path in zip(clients, paths, strict=True):
            client.get("/")
            client.ask(path)
        server.wait_for_log("sleeps", 2)
        server.signal(signal.SIGTERM)
        for client, path in zip(clients, paths, strict=True):
            check(path, client.answer(closes=True))
        assert server.wait() == 0
