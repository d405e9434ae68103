"""The event loops behind one small interface: readiness, tasks, waiting, yielding.

anyio has all of this, too; but a request pays for it, and on asyncio its task group, cancel scope
and event together cost more than reading and answering the request. So on asyncio and uvloop a
request is a plain task. On trio, where every task needs a nursery, it is a child of the server's
task group.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from greenuni.asgi.aio import AsyncioRuntime
from greenuni.asgi.interfaces import Cancellable, Runtime, Waiting

Run = Coroutine[Any, Any, None]


class TrioRuntime:
    """trio. ``tasks`` must stay open as long as anything here is used."""

    def __init__(self, tasks: TaskGroup) -> None:
        import trio.lowlevel  # an extra

        self.cancelled: type[BaseException] = trio.Cancelled
        self._token = trio.lowlevel.current_trio_token()
        self._tasks = tasks
        self._watches: dict[int, anyio.CancelScope] = {}  # by descriptor

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        scope = self._watches[fd] = anyio.CancelScope()
        self._tasks.start_soon(self._watch, scope, fd, callback)

    async def _watch(
        self, scope: anyio.CancelScope, fd: int, callback: Callable[[], object]
    ) -> None:
        with scope:
            while True:
                await anyio.wait_readable(fd)
                callback()

    def unwatch(self, fd: int) -> None:
        self._watches.pop(fd).cancel()

    def spawn(self, context: Context, run: Run) -> Cancellable:
        scope = anyio.CancelScope()
        context.copy().run(self._tasks.start_soon, _run_in, scope, run)
        return scope

    def new_waiting(self) -> Waiting:
        return anyio.Event()

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._token.run_sync_soon(callback)

    call_soon_threadsafe = call_soon

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        self._tasks.start_soon(_call_later, seconds, callback)

    def checkpoint(self) -> Awaitable[None]:
        return checkpoint()


async def _call_later(seconds: float, callback: Callable[[], object]) -> None:
    await anyio.sleep(seconds)
    callback()


async def _run_in(scope: anyio.CancelScope, run: Run) -> None:
    with scope:
        await run


def new_runtime(backend: str, tasks: TaskGroup) -> Runtime:
    """The runtime of the loop that runs now; ``backend`` is ``asyncio`` or ``trio``."""
    return TrioRuntime(tasks) if backend == "trio" else AsyncioRuntime()
