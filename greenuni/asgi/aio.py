"""asyncio and uvloop behind `interfaces.Runtime`. Compiled, because each request starts a task."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from signal import Signals
from typing import Any

from greenuni.asgi.eager import EagerStarts
from greenuni.asgi.interfaces import Cancellable, Waiting

# Without an eager start each request would cost one more turn through the loop's queue.
_CAN_START_EAGERLY = sys.version_info >= (3, 12)
_TASKS_TAKE_CONTEXT = sys.version_info >= (3, 11)

_NAME = "request"  # of every task

# Requests started at once in one turn of the loop. A client may send thousands in one piece, and
# everybody else would wait for all of them.
EAGER_LIMIT = 64

_Task: Callable[..., asyncio.Task[None]] = asyncio.Task  # its signature depends on the version

_EAGER_LIMIT = EAGER_LIMIT


class AsyncioRuntime:
    """See the module."""

    __slots__ = ("_eager_starts", "_loop", "_started", "cancelled", "companions")

    def __init__(self) -> None:
        self.cancelled: type[BaseException] = asyncio.CancelledError
        self.companions: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self._eager_starts = EagerStarts(self._loop)
        self._started = 0  # requests, in this turn of the loop

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        self._loop.add_reader(fd, callback)

    def unwatch(self, fd: int) -> None:
        self._loop.remove_reader(fd)

    def on_signals(self, numbers: Sequence[Signals], callback: Callable[[Signals], object]) -> None:
        for number in numbers:
            self._loop.add_signal_handler(number, callback, number)

    def spawn(self, context: Context, run: Coroutine[Any, Any, None]) -> Cancellable | None:
        # A context can be entered once at a time. Copying it takes constant time, and lets a request
        # be started from within another one.
        context = context.copy()
        loop = self._loop
        if loop.get_task_factory() is not None:
            return context.run(loop.create_task, run)
        if not self._started:
            loop.call_soon(self._end_turn)
        self._started += 1
        if self._started <= _EAGER_LIMIT:
            if _CAN_START_EAGERLY:
                return _Task(run, loop=loop, context=context, eager_start=True)
            if self._eager_starts.can_start():
                return self._eager_starts.start(context, run)
        if not _TASKS_TAKE_CONTEXT:
            return context.run(loop.create_task, run)
        # Before Python 3.12 a number for a name is formatted at once, which costs more than the rest.
        return _Task(run, loop=loop, context=context, name=_NAME)

    def _end_turn(self) -> None:
        self._started = 0

    def accompany(self, run: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self.companions.append(self._loop.create_task(run(), name=name))

    def new_waiting(self) -> Waiting:
        return asyncio.Event()

    def call_soon(self, callback: Callable[[], object]) -> object:
        return self._loop.call_soon(callback)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        return self._loop.call_later(seconds, callback)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object:
        return self._loop.call_soon_threadsafe(callback)

    def checkpoint(self) -> Awaitable[None]:
        return asyncio.sleep(0)
