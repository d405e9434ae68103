"""The transport over anyio streams behaves like asyncio's: same calls, same order."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from greenuni.asgi.stream import HIGH_WATER, StreamTransport

LOG = logging.getLogger("greenuni.error")


class Diary:
    """A transport's user that writes down what it is told."""

    def __init__(self, *, keeps_open: bool = False) -> None:
        self.entries: list[str] = []
        self.data = b""
        self.transport: StreamTransport
        self._keeps_open = keeps_open

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.entries.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.entries.append("eof")
        return self._keeps_open

    def connection_lost(self, error: Exception | None) -> None:
        self.entries.append("lost" if error is None else f"lost: {type(error).__name__}")

    def pause_writing(self) -> None:
        self.entries.append("pause")

    def resume_writing(self) -> None:
        self.entries.append("resume")


@asynccontextmanager
async def connected(diary: Diary) -> AsyncIterator[SocketStream]:
    """The far end of a connection whose near end serves ``diary``."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    stream = await SocketStream.from_socket(near)
    async with anyio.create_task_group() as tasks, await SocketStream.from_socket(far) as peer:
        tasks.start_soon(StreamTransport(stream, diary, LOG).run)
        await until(lambda: diary.entries == ["made"])
        with anyio.fail_after(5):
            yield peer
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.001)


async def read_all(stream: SocketStream) -> int:
    """How many bytes come until the far end closes."""
    received = 0
    try:
        async for data in stream:
            received += len(data)
    except anyio.BrokenResourceError:
        pass
    return received


def on_trio(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        anyio.run(test, backend="trio")

    run.__name__ = test.__name__
    return run


@on_trio
async def test_bytes_go_both_ways() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        await peer.send(b"hello")
        await until(lambda: diary.data == b"hello")
        diary.transport.write(b"good")
        diary.transport.write(b"bye")
        assert diary.transport.get_write_buffer_size() == 7
        assert await peer.receive() == b"goodbye"
        await until(lambda: diary.transport.get_write_buffer_size() == 0)


@on_trio
async def test_close_flushes_first() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        diary.transport.write(b"x" * 1_000_000)
        diary.transport.close()
        assert await read_all(peer) == 1_000_000
        await until(lambda: diary.entries[-1] == "lost")


@on_trio
async def test_abort_does_not() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        diary.transport.write(b"x" * 10_000_000)
        diary.transport.abort()
        await until(lambda: diary.entries[-1] == "lost")
        assert await read_all(peer) < 10_000_000


@on_trio
async def test_writing_pauses_and_resumes() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        while "pause" not in diary.entries:
            diary.transport.write(b"x" * 10_000)
        assert diary.transport.get_write_buffer_size() > HIGH_WATER
        while "resume" not in diary.entries:
            await peer.receive()
        assert diary.entries == ["made", "pause", "resume"]


@on_trio
async def test_reading_pauses_at_once() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        await peer.send(b"one")
        await until(lambda: diary.data == b"one")
        diary.transport.pause_reading()
        await peer.send(b"two")
        await anyio.wait_all_tasks_blocked()
        assert diary.data == b"one"
        diary.transport.resume_reading()
        await until(lambda: diary.data == b"onetwo")


@on_trio
async def test_eof_closes_unless_it_is_kept_open() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        await peer.send_eof()
        await until(lambda: diary.entries == ["made", "eof", "lost"])
    diary = Diary(keeps_open=True)
    async with connected(diary) as peer:
        await peer.send_eof()
        await until(lambda: diary.entries == ["made", "eof"])
        diary.transport.write(b"still here")
        assert await peer.receive() == b"still here"
        diary.transport.close()
        await until(lambda: diary.entries == ["made", "eof", "lost"])


@on_trio
async def test_write_eof_comes_after_what_was_written() -> None:
    diary = Diary()
    async with connected(diary) as peer:
        diary.transport.write(b"last words")
        diary.transport.write_eof()
        assert await peer.receive() == b"last words"
        with pytest.raises(anyio.EndOfStream):
            await peer.receive()
        await peer.send(b"heard")
        await until(lambda: diary.data == b"heard")


@on_trio
async def test_a_broken_connection_is_lost_with_its_error() -> None:
    diary = Diary(keeps_open=True)
    async with connected(diary) as peer:
        await peer.aclose()
        diary.transport.write(b"x")
        await until(lambda: diary.entries[-1].startswith("lost"))
    assert diary.entries[-1] == "lost: BrokenResourceError"


@on_trio
async def test_a_fault_of_ours_ends_that_connection_only() -> None:
    class Faulty(Diary):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    diary = Faulty()
    async with connected(diary) as peer:
        await peer.send(b"hello")
        await until(lambda: diary.entries == ["made", "lost"])
