"""trio behind `interfaces.Runtime`, by way of anyio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from signal import Signals
from typing import Any

import anyio
import trio
import trio.lowlevel
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from greenuni.asgi.interfaces import Cancellable, Runtime, Waiting
from greenuni.errors import GreenuniError

Run = Coroutine[Any, Any, None]


class TrioRuntime:
    """``tasks`` must stay open as long as anything here is used."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.cancelled: type[BaseException] = trio.Cancelled
        self._token = trio.lowlevel.current_trio_token()
        self._tasks = tasks
        self._watches: dict[int, anyio.CancelScope] = {}  # by descriptor

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        scope = self._watches[fd] = anyio.CancelScope()
        self._tasks.start_soon(_watch, scope, fd, callback)

    def unwatch(self, fd: int) -> None:
        self._watches.pop(fd).cancel()

    def on_signals(self, numbers: Sequence[Signals], callback: Callable[[Signals], object]) -> None:
        self._tasks.start_soon(_receive_signals, numbers, callback)

    def spawn(self, context: Context, run: Run) -> Cancellable:
        scope = anyio.CancelScope()
        context.copy().run(self._tasks.start_soon, _run_in, scope, run)
        return scope

    def accompany(self, run: Callable[[], Run], name: str) -> None:
        self._tasks.start_soon(run, name=name)

    def new_waiting(self) -> Waiting:
        return anyio.Event()

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._token.run_sync_soon(callback)

    call_soon_threadsafe = call_soon

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        scope = anyio.CancelScope()
        self._tasks.start_soon(_call_later, scope, seconds, callback)
        return scope

    def checkpoint(self) -> Awaitable[None]:
        return checkpoint()


async def _watch(scope: anyio.CancelScope, fd: int, callback: Callable[[], object]) -> None:
    with scope:
        while True:
            await anyio.wait_readable(fd)
            callback()


async def _receive_signals(
    numbers: Sequence[Signals], callback: Callable[[Signals], object]
) -> None:
    with anyio.open_signal_receiver(*numbers) as signals:
        async for number in signals:
            callback(number)


async def _call_later(
    scope: anyio.CancelScope, seconds: float, callback: Callable[[], object]
) -> None:
    with scope:
        await anyio.sleep(seconds)
        callback()


async def _run_in(scope: anyio.CancelScope, run: Run) -> None:
    with scope:
        await run


def run_on_trio(main: Callable[[Runtime], Awaitable[None]]) -> None:
    """As `runtime.run`."""
    anyio.run(_program, main, backend="trio")


async def _program(main: Callable[[Runtime], Awaitable[None]]) -> None:
    failure: GreenuniError | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await main(TrioRuntime(tasks))
        except GreenuniError as error:
            # Out of a task group it would come as part of an exception group.
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
