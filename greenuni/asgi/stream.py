"""A transport over an anyio byte stream, for the loops that have no transports of their own: trio.

Two tasks serve a connection: one reads, one writes what ``write`` has queued. What the connection
is told, and when, is what an asyncio transport would tell it.
"""

from __future__ import annotations

import logging
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute

from greenuni.asgi.interfaces import TransportUser

READ_SIZE = 65536

# The water marks of asyncio's transports: writing pauses above one and resumes at the other.
HIGH_WATER = 65536
LOW_WATER = 16384

# What is given to the stream at a time. A slow client's progress is seen between two of them.
WRITE_SIZE = 65536


class StreamTransport:
    """See `interfaces.Transport`. ``run`` is the connection's life."""

    def __init__(self, stream: ByteStream, user: TransportUser, log: logging.Logger) -> None:
        self._stream = stream
        self._user = user
        self._log = log
        self._outgoing = bytearray()
        self._in_flight = 0  # bytes that the stream has been given and not taken yet
        self._is_full = False
        self._is_closing = False
        self._has_eof_queued = False
        self._work = anyio.Event()  # there is something to write, or an end
        self._can_read = anyio.Event()
        self._can_read.set()
        self._tasks = anyio.create_task_group()
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<StreamTransport buffered={self.get_write_buffer_size()}>"

    async def run(self) -> None:
        """Serve the connection until it is closed, from whichever side."""
        try:
            async with self._stream, self._tasks:
                self._user.connection_made(self)
                self._tasks.start_soon(self._write_out)
                await self._read_in()
        except Exception:  # noqa: BLE001 - ours, and must not end the others of this task group
            self._log.exception("Unexpected error; the connection is closed")
        finally:
            self._user.connection_lost(self._error)

    async def _read_in(self) -> None:
        while True:
            await self._can_read.wait()
            try:
                data = await self._stream.receive(READ_SIZE)
            except anyio.EndOfStream:
                if not self._user.eof_received():
                    self.close()
                return
            except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                self._break(error)
                return
            # Reading may have been paused while we were already in it.
            await self._can_read.wait()
            self._user.data_received(data)

    async def _write_out(self) -> None:
        while True:
            if self._outgoing:
                await self._write_some()
            elif self._is_closing:
                self._tasks.cancel_scope.cancel()
                return
            elif self._has_eof_queued:
                self._has_eof_queued = False
                await self._attempt(self._stream.send_eof)
            else:
                self._work = anyio.Event()
                await self._work.wait()

    async def _write_some(self) -> None:
        data = bytes(self._outgoing[:WRITE_SIZE])
        del self._outgoing[:WRITE_SIZE]
        self._in_flight = len(data)
        await self._attempt(self._stream.send, data)
        self._in_flight = 0
        if self._is_full and len(self._outgoing) <= LOW_WATER:
            self._is_full = False
            self._user.resume_writing()

    async def _attempt(self, call: Any, *arguments: Any) -> None:
        try:
            await call(*arguments)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            self._break(error)

    def _break(self, error: Exception) -> None:
        self._error = error
        self.abort()

    # The transport

    def write(self, data: bytes) -> None:
        self._outgoing += data
        self._work.set()
        if not self._is_full and self.get_write_buffer_size() > HIGH_WATER:
            self._is_full = True
            self._user.pause_writing()

    def write_eof(self) -> None:
        self._has_eof_queued = True
        self._work.set()

    def pause_reading(self) -> None:
        if self._can_read.is_set():
            self._can_read = anyio.Event()

    def resume_reading(self) -> None:
        self._can_read.set()

    def get_write_buffer_size(self) -> int:
        return len(self._outgoing) + self._in_flight

    def get_extra_info(self, name: str) -> Any:
        return self._stream.extra(SocketAttribute.raw_socket, None) if name == "socket" else None

    def close(self) -> None:
        self._is_closing = True
        self._work.set()

    def abort(self) -> None:
        self._tasks.cancel_scope.cancel()
