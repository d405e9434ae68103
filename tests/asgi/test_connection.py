"""The connection without a socket: phases, flow control and clocks, on a transport in memory."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from greenuni.asgi.accept import Acceptor
from greenuni.asgi.aio import EAGER_LIMIT, AsyncioRuntime
from greenuni.asgi.connection import Connection
from greenuni.asgi.dialogue import (
    OVERLAP_LIMIT,
    PIPELINE_LIMIT,
    Phase,
)
from greenuni.asgi.inbox import HIGH_WATER
from greenuni.asgi.input import Input
from greenuni.asgi.lingering import Lingering
from greenuni.asgi.output import Output
from greenuni.asgi.scope import Peer
from greenuni.asgi.sendfile import FileToSend
from greenuni.asgi.service import Service
from greenuni.asgi.transport import Sockets
from greenuni.deadlines import LINGER_SECONDS, Deadlines
from greenuni.http import DISCARD_LIMIT
from greenuni.shell import Interface
from greenuni.testing import MemoryTransport, fake_seat

from .support import GET, Receive, Send, echo, hello, read_body, respond

Scope = dict[str, Any]
PEER = Peer(("192.0.2.1", 1234), ("192.0.2.2", 80), is_trusted=False)
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


class Bench:
    """A connection of a service of its own, on a `MemoryTransport`."""

    def __init__(self, app: Any, **settings: Any) -> None:
        seat = fake_seat(app, Interface.ASGI3, [], **settings)
        context = contextvars.copy_context()
        self.service = Service(seat, app, AsyncioRuntime(), context, {})
        self.connection, self.transport = self.open()

    def open(self) -> tuple[Connection, MemoryTransport]:
        connection = Connection(self.service, PEER)
        transport = MemoryTransport()
        transport.connect(connection)
        return connection, transport

    @property
    def phase(self) -> Phase:
        return self.connection.phase

    def receive(self, data: bytes) -> None:
        self.transport.receive(data)

    @property
    def lingers(self) -> bool:
        """Whether somebody else sees the client off."""
        return any(isinstance(each, Lingering) for each in self.service.population.connections)

    def later(self, seconds: float) -> None:
        """The tick, as if that much time had passed."""
        for resident in list(self.service.population.connections):
            resident.check(time.monotonic() + seconds)

    async def settle(self) -> bytes:
        """Let all tasks run as far as they get; returns what has been written."""
        for _ in range(20):
            await asyncio.sleep(0)
        return self.transport.take()


def bench(app: Any, **settings: Any) -> Callable[..., None]:
    """Decorate ``async def test(bench)``: run it on a fresh bench."""

    def decorate(test: Callable[[Bench], Awaitable[None]]) -> Callable[[], None]:
        def run() -> None:
            async def main() -> None:
                await test(Bench(app, **settings))

            asyncio.run(main())

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        return run

    return decorate  # type: ignore[return-value]


async def wait_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    await read_body(receive)
    await asyncio.Event().wait()


async def never_reads(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


@bench(hello)
async def test_head_and_first_chunk_are_one_write(bench: Bench) -> None:
    bench.receive(GET)
    assert (await bench.settle()).endswith(b"\r\n\r\nHello, world!")
    assert bench.transport.writes == 1


async def hello_in_a_moment(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    await hello(scope, receive, send)


@bench(hello_in_a_moment)
async def test_the_phases_of_a_small_request(bench: Bench) -> None:
    assert bench.phase is Phase.IDLE
    bench.receive(GET[:7])
    assert bench.phase is Phase.HEAD
    bench.receive(GET[7:])
    assert bench.phase is Phase.ANSWER
    await bench.settle()
    assert bench.phase is Phase.IDLE
    assert "<Dialogue idle" in repr(bench.connection)


@bench(hello)
async def test_what_idles_is_little_more_than_a_socket(bench: Bench) -> None:
    assert repr(bench.connection) == "<Connection 192.0.2.1 idle>"
    for _ in range(2):
        bench.receive(GET)
        assert b"200 OK" in await bench.settle()
        bench.later(0)
        bench.later(1)
        assert repr(bench.connection) == "<Connection 192.0.2.1 idle>"
    bench.later(76)
    assert bench.transport.is_closed


@bench(never_reads)
async def test_reading_pauses_when_the_application_does_not_read(bench: Bench) -> None:
    bench.receive(POST % 1_000_000)
    await bench.settle()
    sent = 0
    while bench.transport.is_reading:
        bench.receive(b"x" * 10_000)
        sent += 10_000
    assert HIGH_WATER < sent <= HIGH_WATER + 10_000
    assert bench.phase is Phase.BODY


@bench(echo)
async def test_reading_goes_on_when_the_application_reads(bench: Bench) -> None:
    bench.receive(POST % 300_000)
    for _ in range(3):
        bench.receive(b"x" * 100_000)
        await bench.settle()
        assert bench.transport.is_reading


@bench(wait_for_ever)
async def test_pipelined_bytes_are_bounded_and_eof_is_seen_meanwhile(bench: Bench) -> None:
    bench.receive(GET)
    sent = 0
    while bench.transport.is_reading:
        bench.receive(GET * 100)
        sent += len(GET) * 100
    assert PIPELINE_LIMIT < sent <= PIPELINE_LIMIT + len(GET) * 100
    assert bench.connection.eof_received() is True


@bench(never_reads)
async def test_the_body_clock_stands_while_reading_is_paused(bench: Bench) -> None:
    bench.receive(POST % 1_000_000)
    bench.receive(b"x" * (HIGH_WATER + 1))
    bench.later(10_000)
    assert bench.phase is Phase.BODY


@bench(hello)
async def test_a_discarded_body_has_its_clock_and_its_limit(bench: Bench) -> None:
    bench.receive(POST % 1_000_000)
    assert b"200 OK" in await bench.settle()
    assert bench.phase is Phase.DISCARD
    bench.receive(b"x" * DISCARD_LIMIT)
    assert bench.phase is Phase.DISCARD
    bench.receive(b"x")
    assert bench.lingers
    assert bench.transport.has_written_eof
    bench.receive(b"x" * 1_000_000)
    bench.later(LINGER_SECONDS + 0.1)
    assert bench.transport.is_closed
    assert not bench.transport.is_aborted


@bench(hello)
async def test_a_discarded_body_that_does_not_come(bench: Bench) -> None:
    bench.receive(POST % 1_000)
    await bench.settle()
    bench.later(31)
    assert bench.transport.is_closed


@bench(hello)
async def test_a_refused_client_has_time_to_read_why(bench: Bench) -> None:
    bench.receive(b"BAD\r\n\r\n")
    assert (await bench.settle()).startswith(b"HTTP/1.1 400 ")
    assert bench.lingers
    assert bench.phase is Phase.OVER
    assert not bench.transport.is_closed
    bench.receive(GET)
    bench.receive(b"")
    assert bench.transport.is_closed
    assert await bench.settle() == b""


@bench(hello)
async def test_an_idle_clock_does_not_cut_a_response_that_is_still_leaving(bench: Bench) -> None:
    bench.transport.is_stuck = True
    bench.receive(GET)
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.phase is Phase.IDLE
    bench.later(0)
    bench.later(59)
    assert not bench.transport.is_closed
    bench.later(61)
    assert bench.transport.is_aborted


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, b"ok")
    await asyncio.Event().wait()


@bench(background)
async def test_background_work_of_one_client_is_bounded(bench: Bench) -> None:
    for _ in range(OVERLAP_LIMIT + 1):
        bench.receive(GET)
        assert b"200 OK" in await bench.settle()
        bench.later(0)
        bench.later(1)  # the tick does not forget what still runs
    assert bench.phase is Phase.HELD
    bench.receive(GET)
    assert await bench.settle() == b""
    running = list(bench.service.population.running)
    assert len(running) == OVERLAP_LIMIT + 1
    running[0].cancel()  # one of them ends
    assert b"200 OK" in await bench.settle()


@bench(background)
async def test_eof_while_held_back(bench: Bench) -> None:
    for _ in range(OVERLAP_LIMIT + 1):
        bench.receive(GET)
        await bench.settle()
    bench.receive(GET)
    assert bench.connection.eof_received() is True
    next(iter(bench.service.population.running)).cancel()
    assert b"200 OK" in await bench.settle()
    next(iter(bench.service.population.running)).cancel()
    await bench.settle()
    assert bench.transport.is_closed


def test_an_eager_task_factory_changes_nothing() -> None:
    """Applications may set one; then a request runs, perhaps to its end, inside of spawn()."""
    if not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("needs Python 3.12")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        bench = Bench(hello)
        bench.receive(GET * 2000)
        assert (await bench.settle()).count(b"200 OK") == 2000
        bench.receive(POST % 3 + b"abc" + GET)
        assert (await bench.settle()).count(b"200 OK") == 2
        assert bench.phase is Phase.IDLE

    asyncio.run(main())


def test_a_client_with_many_requests_does_not_keep_others_waiting() -> None:
    count = 10 * EAGER_LIMIT

    async def main() -> None:
        bench = Bench(hello)
        served: list[int] = []
        loop = asyncio.get_running_loop()
        loop.call_soon(bench.receive, GET * count)
        loop.call_soon(lambda: served.append(bench.transport.take().count(b"200 OK")))
        while not served:
            await asyncio.sleep(0)
        assert 0 < served[0] <= EAGER_LIMIT
        while served[0] < count:
            served[0] += (await bench.settle()).count(b"200 OK")
        assert bench.phase is Phase.IDLE

    asyncio.run(main())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_any_split_of_the_bytes_gives_the_same_answers(size: int) -> None:
    raw = (
        GET
        + POST % 5
        + b"hello"
        + b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: v\r\n\r\n"
        + GET
    )

    async def main() -> None:
        bench = Bench(echo)
        written = b""
        for offset in range(0, len(raw), size):
            bench.receive(raw[offset : offset + size])
            written += await bench.settle()
        bodies = [part.partition(b"\r\n\r\n")[2] for part in written.split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"", b"hello", b"abcde", b""]
        assert bench.phase is Phase.IDLE

    asyncio.run(main())


@bench(never_reads)
async def test_representations_show_the_state(bench: Bench) -> None:
    bench.receive(POST % 10 + b"abc")
    shown = repr(bench.connection)
    for part in (
        "192.0.2.1 <Dialogue body",
        "<Cycle POST / client=present",
        "<Reply awaited",
        "size=3",
    ):
        assert part in shown
    assert repr(bench.service) == "<Service <Population connections=1 running=1>>"
    assert repr(Input(bench.transport, Deadlines())) == "<Input deadline=inf>"
    assert (
        repr(Output(bench.transport, bench.service.runtime, 1)) == "<Output written=0 deadline=inf>"
    )
    sockets = Sockets(asyncio.get_running_loop().call_soon, bench.service.seat.log)
    assert repr(Acceptor(bench.service, sockets, [])) == "<Acceptor closed>"
    sockets.close()
    assert repr(FileToSend("/x", bench.service.file_readers)) == "<FileToSend '/x' size=0>"


# The two directions by themselves


def reading(**deadlines: float) -> Input:
    return Input(MemoryTransport(), Deadlines(**deadlines))


def test_a_body_may_take_as_long_as_its_rate_allows() -> None:
    body = reading(body=30, body_rate=500)
    body.wait_for_body(0)
    assert not body.is_late(29.9)
    body.body_received(5000, 10)
    assert not body.is_late(39.9)
    assert body.is_late(40)


def test_a_fast_start_buys_no_hours_of_silence() -> None:
    body = reading(body=30, body_rate=500)
    body.wait_for_body(0)
    body.body_received(100_000_000, 1)
    assert not body.is_late(30.9)
    assert body.is_late(31)


def test_a_stopped_clock_starts_with_the_first_bytes() -> None:
    body = reading(body=30, body_rate=500)
    body.stop()
    assert not body.is_late(1e9)
    body.body_received(1, 100)
    assert body.is_late(130)


def test_the_clock_stands_while_reading_is_paused() -> None:
    transport = MemoryTransport()
    head = Input(transport, Deadlines(head=20))
    began = time.monotonic()
    head.wait_for_head(began)
    head.pause()
    assert head.is_paused
    assert not transport.is_reading
    assert not head.is_late(began + 1e9)
    paused = time.monotonic()
    while time.monotonic() == paused:
        pass
    head.resume()
    assert transport.is_reading
    assert began + 20 < head.deadline <= time.monotonic() + 20
    assert head.is_late(head.deadline)


def test_what_has_ended_is_not_paused() -> None:
    transport = MemoryTransport()
    ended = Input(transport, Deadlines())
    ended.has_ended = True
    ended.pause()
    assert transport.is_reading
    assert repr(ended) == "<Input deadline=inf ended>"


def test_infinite_deadlines_never_pass() -> None:
    body = Input(MemoryTransport(), Deadlines(math.inf, math.inf, math.inf, math.inf, math.inf))
    body.wait_for_body(0)
    body.body_received(10, 5)
    body.pause()
    body.resume()
    assert not body.is_late(1e12)


class SlowPeer(MemoryTransport):
    """Takes some of what is written to it."""

    def take_some(self, count: int) -> None:
        del self.written[:count]


@bench(hello)
async def test_a_client_is_stuck_that_makes_no_progress(bench: Bench) -> None:
    peer = SlowPeer()
    peer.is_stuck = True
    output = Output(peer, bench.service.runtime, timeout=60)
    assert not output.is_stuck(0)
    output.write([b"x" * 1000])
    assert not output.is_stuck(1)
    assert not output.is_stuck(60)
    peer.take_some(1)
    assert not output.is_stuck(60.5)
    output.write([b"x" * 200, b"x" * 300])  # more has come, none has left
    assert not output.is_stuck(120)
    assert output.is_stuck(120.5)


@bench(hello)
async def test_a_client_that_has_taken_everything_is_not_stuck_any_more(bench: Bench) -> None:
    peer = SlowPeer()
    peer.is_stuck = True
    output = Output(peer, bench.service.runtime, timeout=60)
    output.write([b"x" * 1000])
    assert output.is_pending
    assert not output.is_stuck(1)
    peer.take_some(1000)
    assert not output.is_pending
    assert not output.is_stuck(50)
    output.write([b"x" * 1000])
    assert not output.is_stuck(100)
    assert not output.is_stuck(159)
