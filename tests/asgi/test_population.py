"""How many are let in, who is counted, and what is written down of them."""

from __future__ import annotations

import json
import logging
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from greenuni.observe import AccessLog
from greenuni.shell import WorkerState

from .support import (
    GET,
    Receive,
    Send,
    Serving,
    hello,
    http_only,
    read_body,
    respond,
    routed,
    serving,
    wait_until,
)

Scope = dict[str, Any]


def population(server: Serving) -> Any:
    return server.server._service.population


class Gate:
    """A handler that answers when it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while not self._opened.is_set():
            await anyio.sleep(0.01)
        await respond(send, b"through")


def test_no_more_requests_than_there_are_slots(backend: str) -> None:
    """The rest waits in the kernel's queue, where a sibling could take it; nobody gets a 503."""
    gate = Gate()
    with serving(http_only(gate), backend, worker_connections=3) as server:
        clients = [server.client().send(GET) for _ in range(5)]
        wait_until(lambda: len(population(server).running) == 3, "three requests run")
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 3, "some time")
        assert len(population(server).running) == 3
        late = server.client().send(GET)
        wait_until(lambda: server.slot.beats > beats + 6, "some time")
        assert len(population(server).connections) <= 5
        clients.append(late)
        gate.open()
        for client in clients:
            assert client.response().body == b"through"
            client.close()


def test_idle_connections_make_room(backend: str) -> None:
    with serving(http_only(hello), backend, max_connections=2) as server:
        first, second = server.client(), server.client()
        assert first.get().status == second.get().status == 200
        with server.client() as third:
            assert third.get().status == 200
        assert first.rest() == b""  # it had been idle longest
        assert second.get().status == 200
        first.close()
        second.close()


def test_background_work_takes_a_slot(backend: str) -> None:
    gate = Gate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"ok")
        await gate(scope, receive, _ignore)

    with serving(http_only(app), backend, worker_connections=2) as server:
        for _ in range(2):
            with server.client() as client:
                client.get()
        wait_until(lambda: not population(server).connections, "both clients have gone")
        with server.client() as client:
            client.send(GET)
            beats = server.slot.beats
            wait_until(lambda: server.slot.beats > beats + 3, "some time")
            assert not population(server).connections
            gate.open()
            assert client.response().body == b"ok"


async def _ignore(message: Any) -> None:
    pass


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Let the process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:  # gets the lowest number that is free
        lowest = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_running_out_of_descriptors_is_one_line_and_passes(
    backend: str, error_log: pytest.LogCaptureFixture
) -> None:
    with serving(http_only(hello), backend) as server:
        clients = [socket.socket() for _ in range(3)]
        with no_more_descriptors():
            for client in clients:
                client.connect(server.address)
            wait_until(lambda: complaints(error_log), "the shortage is logged")
            beats = server.slot.beats
            wait_until(lambda: server.slot.beats > beats + 3, "several more attempts")
            assert len(complaints(error_log)) == 1
        for client in clients:
            client.settimeout(5)
            client.sendall(GET)
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
            client.close()


def complaints(log: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in log.messages if message.startswith("Cannot accept")]


def test_the_scoreboard_hears_of_every_request(backend: str) -> None:
    gate = Gate()
    app = routed({"/a": gate, "/b": hello})
    with serving(app, backend) as server, server.client() as client, server.client() as other:
        assert server.slot.state is WorkerState.SERVING
        client.send(b"GET /a?secret HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.slot.in_flight == 1, "one request in flight")
        assert server.slot.request_lines == [b"GET /a"]
        (line,) = server.seat.in_flight()
        assert line.startswith("GET /a, 0.")
        assert line.endswith(" s")
        assert other.get("/b").status == 200
        wait_until(lambda: server.slot.requests == 1, "one has ended")
        gate.open()
        client.response()
        wait_until(lambda: server.slot.requests == 2, "both have ended")
        assert server.slot.in_flight == 0
        assert server.seat.in_flight() == []


def test_a_request_whose_client_left_is_counted_too(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with serving(http_only(app), backend) as server:
        server.client().send(GET).close()
        wait_until(lambda: server.slot.requests == 1, "the request is counted")


def test_after_max_requests_it_asks_to_be_replaced_and_goes_on(backend: str) -> None:
    with serving(http_only(hello), backend, max_requests=3) as server, server.client() as client:
        for _ in range(2):
            client.get()
        wait_until(lambda: server.slot.requests == 2, "two requests")
        assert server.seat.retire == []
        for _ in range(4):
            assert client.get().status == 200
        assert server.seat.retire == ["max-requests"]


@pytest.fixture
def access_lines() -> Iterator[list[dict[str, Any]]]:
    """What the JSON access log has written."""
    lines: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(record.getMessage()))

    logger = logging.getLogger("greenuni.access")
    level, propagates = logger.level, logger.propagate
    handler = Keep()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagates


def access_log() -> AccessLog:
    return AccessLog("json", logging.getLogger("greenuni.access"))


def test_the_access_log_has_a_line_a_response(
    backend: str, access_lines: list[dict[str, Any]]
) -> None:
    app = routed({"/x": hello})
    with serving(app, backend, access=access_log()) as server, server.client() as client:
        client.get("/x?q=1", "User-Agent: test", "X-Forwarded-For: 192.0.2.9")
        wait_until(lambda: access_lines, "the line")
    (line,) = access_lines
    assert {key: line[key] for key in ("client", "method", "target", "status", "bytes")} == {
        "client": "192.0.2.9",
        "method": "GET",
        "target": "/x?q=1",
        "status": 200,
        "bytes": 13,
    }
    assert line["user_agent"] == "test"
    assert 0 <= line["seconds"] < 5


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError


async def broken_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 201})
    await send({"type": "http.response.body", "body": b"12345", "more_body": True})
    raise ValueError


async def impatient(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    await read_body(receive)


@pytest.mark.parametrize(
    ("handler", "rest", "status", "size"),
    [
        (broken, b"", 500, 62),
        (broken_midway, b"", 201, 5),
        (impatient, b"", 499, 0),
        (reading, b"Transfer-Encoding: chunked\r\n", 400, 48),
    ],
)
def test_a_response_that_failed_has_a_line_too(
    handler: Any, rest: bytes, status: int, size: int, access_lines: list[dict[str, Any]]
) -> None:
    with serving(http_only(handler), access=access_log()) as server:
        with server.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + rest + b"\r\n")
            if rest:
                client.send(b"nonsense\r\n")
                client.rest()
        wait_until(lambda: access_lines, "the line")
    assert [(line["status"], line["bytes"]) for line in access_lines] == [(status, size)]
