"""What a thread asks of an event loop, and a task of a thread, on asyncio, uvloop and trio.

anyio has all of it: ``to_thread`` and ``from_thread``. A hop by them costs 24 microseconds of CPU here, for
each makes a task, a cancel scope or a future with a lock of its own; a call of a loop's own that is
safe in any thread, which can announce several calls at once, and a bare future cost a fifth of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

import anyio

# Seconds that a request may take before anybody listens whether its client is still there. Most are
# over by then, and save the task that listens.
PATIENCE = 0.05


class Future(Protocol):
    """What one task waits for, once. ``asyncio.Future`` is one. Only for the loop's own thread."""

    def done(self) -> bool: ...

    def set_result(self, result: None, /) -> None: ...

    def __await__(self) -> Generator[Any, None, None]: ...


class Loop(Protocol):
    """A running event loop."""

    def call_soon(self, callback: Callable[[], object], /) -> object:
        """Call back from the loop. Safe in any thread; RuntimeError when the loop has ended."""

    def new_future(self) -> Future: ...

    def with_patience(self, future: Future) -> Awaitable[None]:
        """Wait until ``future`` is set, or between one and two times PATIENCE has passed."""

    def time(self) -> float:
        """As ``anyio.current_time``, which can be asked by tasks only."""

    def is_running_here(self) -> bool:
        """Whether the caller runs in this loop."""


class AsyncioLoop:
    """asyncio and uvloop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.call_soon = loop.call_soon_threadsafe
        self.new_future = loop.create_future
        self.time = loop.time
        # One timer for all, and only while somebody waits: futures that were there at its last turn,
        # and younger ones.
        self._old: list[Future] = []
        self._young: list[Future] = []
        self._is_ticking = False

    def __repr__(self) -> str:
        return f"<AsyncioLoop {self._loop!r}>"

    def with_patience(self, future: Future) -> Awaitable[None]:
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(PATIENCE, self._tick)
        self._young.append(future)
        return future

    def _tick(self) -> None:
        for future in self._old:
            if not future.done():
                future.set_result(None)
        self._old, self._young = self._young, []
        if self._old:
            self._loop.call_later(PATIENCE, self._tick)
        else:
            self._is_ticking = False

    def is_running_here(self) -> bool:
        return _running_loop() is self._loop


class TrioLoop:
    """trio."""

    def __init__(self) -> None:
        import trio.lowlevel  # an extra

        self._current_token = trio.lowlevel.current_trio_token
        self._token = trio.lowlevel.current_trio_token()
        self.time = trio.current_time

    def __repr__(self) -> str:
        return f"<TrioLoop {self._token!r}>"

    def call_soon(self, callback: Callable[[], object], /) -> None:
        self._token.run_sync_soon(callback)

    def new_future(self) -> Future:
        return _EventFuture()

    async def with_patience(self, future: Future) -> None:
        with anyio.move_on_after(PATIENCE):
            await future

    def is_running_here(self) -> bool:
        try:
            return self._current_token() is self._token
        except RuntimeError:
            return False


class _EventFuture:
    """An ``anyio.Event`` with the words of a future."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, result: None, /) -> None:
        self._event.set()

    def __await__(self) -> Generator[Any, None, None]:
        return self._event.wait().__await__()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def current_loop() -> Loop:
    """The loop that the caller runs in. Call it once a loop and keep it."""
    loop = _running_loop()
    return TrioLoop() if loop is None else AsyncioLoop(loop)
