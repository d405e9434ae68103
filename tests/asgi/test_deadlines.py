"""Clients that keep us waiting."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from .support import GET, Receive, Send, echo, hello, http_only, read_body, serving, wait_until

Scope = dict[str, Any]
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


def test_a_silent_connection_is_closed_without_a_word(backend: str) -> None:
    with (
        serving(http_only(hello), backend, header_timeout=0.2) as server,
        server.client() as client,
    ):
        assert client.rest() == b""


def test_a_head_that_takes_too_long_is_408(backend: str) -> None:
    """The deadline is absolute: a byte now and then does not move it."""
    with (
        serving(http_only(hello), backend, header_timeout=0.4) as server,
        server.client() as client,
    ):
        client.send(GET[:5])
        began = time.monotonic()
        stop = threading.Event()
        dripping = threading.Thread(target=drip, args=(client, stop))
        dripping.start()
        response = client.response()
        stop.set()
        dripping.join()
        assert (response.status, response.closes) == (408, True)
        assert 0.3 < time.monotonic() - began < 2


def drip(client: Any, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        try:
            client.send(b"x")
        except OSError:
            return


def test_a_body_that_takes_too_long_is_408(backend: str) -> None:
    ends: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()
        ends.append(message["type"])

    with (
        serving(http_only(app), backend, body_timeout=0.2) as server,
        server.client() as client,
    ):
        response = client.send(POST + b"x").response()
        assert (response.status, response.closes) == (408, True)
    assert ends == ["http.disconnect"]


def test_a_body_too_slow_for_the_minimum_rate_is_408(backend: str) -> None:
    with (
        serving(http_only(echo), backend, body_timeout=0.4, body_min_rate=1000) as server,
        server.client() as client,
    ):
        client.send(POST)
        stop = threading.Event()
        dripping = threading.Thread(target=drip, args=(client, stop))
        dripping.start()
        assert client.response().status == 408
        stop.set()
        dripping.join()


def test_a_body_that_comes_fast_enough_has_all_the_time_it_needs(backend: str) -> None:
    with (
        serving(http_only(echo), backend, body_timeout=0.3, body_min_rate=10) as server,
        server.client() as client,
    ):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        pause = threading.Event()
        for _ in range(10):
            client.send(b"x" * 10)
            pause.wait(0.08)
        assert client.response().body == b"x" * 100


def test_the_clock_stands_while_the_application_does_not_read(backend: str) -> None:
    go_on = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not go_on.is_set():
            await anyio.sleep(0.01)
        await echo(scope, receive, send)

    with (
        serving(http_only(app), backend, body_timeout=0.2) as server,
        server.client() as client,
    ):
        body = b"x" * 3_000_000
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        sender = threading.Thread(target=client.send, args=(head + body,))
        sender.start()
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 12, "0.6 seconds of ticks")
        go_on.set()
        assert client.response().body == body
        sender.join()


def test_the_clock_starts_with_100_continue(backend: str) -> None:
    go_on = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not go_on.is_set():
            await anyio.sleep(0.01)
        await echo(scope, receive, send)

    with (
        serving(http_only(app), backend, body_timeout=0.2) as server,
        server.client() as client,
    ):
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 8, "0.4 seconds of ticks")
        go_on.set()
        assert client.head()[0] == 100
        assert client.response().status == 408


def test_an_idle_connection_is_closed(backend: str) -> None:
    with (
        serving(http_only(hello), backend, keepalive=0.2) as server,
        server.client() as client,
    ):
        assert client.get().status == 200
        assert client.get().status == 200
        assert client.rest() == b""


def test_an_idle_connection_is_kept_while_it_may_be(backend: str) -> None:
    with (
        serving(http_only(hello), backend, header_timeout=0.2) as server,
        server.client() as client,
    ):
        assert client.get().status == 200
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 8, "0.4 seconds of ticks")
        assert client.get().status == 200


def test_a_slow_application_is_nobodys_deadline(backend: str) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await anyio.sleep(0.5)
        await hello(scope, receive, send)

    settings = {"header_timeout": 0.1, "body_timeout": 0.1, "keepalive": 0.1, "send_timeout": 0.1}
    with serving(http_only(slow), backend, **settings) as server, server.client() as client:
        assert client.get().status == 200


@pytest.mark.parametrize("more", [True, False], ids=["streaming", "complete"])
def test_a_reader_that_stops_is_cut_off(backend: str, more: bool) -> None:
    ended = threading.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        if more:
            while (await ready(receive)) is None:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": b"x" * 20_000_000})
        ended.set()

    async def ready(receive: Receive) -> Any:
        with anyio.CancelScope() as scope:
            scope.cancel()
            while (message := await receive())["type"] != "http.disconnect":
                pass
            return message
        return None

    with (
        serving(http_only(flood), backend, send_timeout=0.3) as server,
        server.client(receive_buffer=4096) as client,
    ):
        client.send(GET)
        assert ended.wait(10)
        population = server.server._service.population
        wait_until(lambda: not population.connections, "the connection is gone")
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_a_slow_reader_is_not_cut_off(backend: str) -> None:
    size = 12_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * size})

    with (
        serving(http_only(app), backend, send_timeout=1.0) as server,
        server.client(receive_buffer=65536) as client,
    ):
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        pause = threading.Event()
        received = 0
        while data := client.socket.recv(300_000):
            received += len(data)
            pause.wait(0.02)
        assert received > size


def test_without_keepalive_every_response_closes(backend: str) -> None:
    with serving(http_only(hello), backend, keepalive=0) as server, server.client() as client:
        assert client.get().closes
        assert client.rest() == b""


def test_zero_switches_the_clocks_off() -> None:
    settings = {"header_timeout": 0, "body_timeout": 0, "send_timeout": 0}
    with serving(http_only(echo), **settings) as server, server.client() as client:
        beats = server.slot.beats
        wait_until(lambda: server.slot.beats > beats + 4, "some ticks")
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n")
        wait_until(lambda: server.slot.beats > beats + 8, "some ticks")
        client.send(b"\r\nab")
        wait_until(lambda: server.slot.beats > beats + 12, "some ticks")
        assert client.send(b"c").response().body == b"abc"
