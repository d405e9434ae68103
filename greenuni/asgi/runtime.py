"""The event loops behind one small interface: sockets, tasks, waiting, yielding.

anyio has all of this, too; but a request pays for it, and on asyncio its stream, task group, cancel
scope and event together cost more than reading and answering the request. So on asyncio and uvloop
a connection is driven by the loop's own transport and a request is a plain task. On trio, where
every task needs a nursery, connections and requests are children of the server's task group, and
bytes travel by anyio's streams.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, cast

import anyio
from anyio.abc import SocketStream, TaskGroup, UNIXSocketStream
from anyio.lowlevel import checkpoint

from greenuni.asgi.interfaces import Cancellable, Runtime, TransportUser, Waiting
from greenuni.asgi.stream import StreamTransport

Run = Callable[[], Coroutine[Any, Any, None]]


class AsyncioRuntime:
    """asyncio and uvloop."""

    cancelled: type[BaseException] = asyncio.CancelledError

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()  # the loop itself keeps no reference

    def watch(self, listener: socket.socket, callback: Callable[[], object]) -> None:
        self._loop.add_reader(listener.fileno(), callback)

    def unwatch(self, listener: socket.socket) -> None:
        self._loop.remove_reader(listener.fileno())

    def connect(self, accepted: socket.socket, user: TransportUser) -> None:
        task = self._loop.create_task(self._connect(accepted, user))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, accepted: socket.socket, user: TransportUser) -> None:
        protocol = cast(asyncio.Protocol, user)
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, accepted)
        except OSError as error:
            accepted.close()
            user.connection_lost(error)

    def spawn(self, context: Context, run: Run) -> Cancellable:
        # A context can be entered once at a time; entering a copy of it (a constant-time operation)
        # lets an eager task factory of the application spawn the next request from within this one.
        return context.copy().run(self._loop.create_task, run())

    def new_waiting(self) -> Waiting:
        return asyncio.Event()

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(callback)

    def checkpoint(self) -> Awaitable[None]:
        return asyncio.sleep(0)


class TrioRuntime:
    """trio. ``tasks`` must stay open as long as anything here is used."""

    def __init__(self, tasks: TaskGroup, log: logging.Logger) -> None:
        import trio.lowlevel  # an extra

        self.cancelled: type[BaseException] = trio.Cancelled
        self._token = trio.lowlevel.current_trio_token()
        self._tasks = tasks
        self._log = log
        self._watches: dict[int, anyio.CancelScope] = {}  # by descriptor

    def watch(self, listener: socket.socket, callback: Callable[[], object]) -> None:
        scope = self._watches[listener.fileno()] = anyio.CancelScope()
        self._tasks.start_soon(self._watch, scope, listener, callback)

    async def _watch(
        self, scope: anyio.CancelScope, listener: socket.socket, callback: Callable[[], object]
    ) -> None:
        with scope:
            # A task that is already due to run is not cancelled before its next wait, and by then
            # the listener may be closed.
            while not scope.cancel_called:
                await anyio.wait_readable(listener)
                callback()

    def unwatch(self, listener: socket.socket) -> None:
        self._watches.pop(listener.fileno()).cancel()

    def connect(self, accepted: socket.socket, user: TransportUser) -> None:
        self._tasks.start_soon(self._connect, accepted, user)

    async def _connect(self, accepted: socket.socket, user: TransportUser) -> None:
        try:
            accepted.setblocking(False)
            stream: SocketStream
            if accepted.family == socket.AF_UNIX:
                stream = await UNIXSocketStream.from_socket(accepted)
            else:
                stream = await SocketStream.from_socket(accepted)  # sets TCP_NODELAY
        except (OSError, ValueError) as error:
            # ValueError: it is no longer connected.
            accepted.close()
            user.connection_lost(error)
            return
        except self.cancelled:
            accepted.close()
            user.connection_lost(None)
            raise
        await StreamTransport(stream, user, self._log).run()

    def spawn(self, context: Context, run: Run) -> Cancellable:
        scope = anyio.CancelScope()
        context.copy().run(self._tasks.start_soon, _run_in, scope, run)
        return scope

    def new_waiting(self) -> Waiting:
        return anyio.Event()

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._token.run_sync_soon(callback)

    def checkpoint(self) -> Awaitable[None]:
        return checkpoint()


async def _run_in(scope: anyio.CancelScope, run: Run) -> None:
    with scope:
        await run()


def new_runtime(backend: str, tasks: TaskGroup, log: logging.Logger) -> Runtime:
    """The runtime of the loop that runs now; ``backend`` is ``asyncio`` or ``trio``."""
    return TrioRuntime(tasks, log) if backend == "trio" else AsyncioRuntime()
