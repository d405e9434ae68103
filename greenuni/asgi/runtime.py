"""The event loop of a worker, from its first turn to its last; the program sees it as `interfaces.Runtime`.

anyio has all that this needs; but a request pays for it, and on asyncio its task group, cancel scope
and event together cost more than reading and answering the request. So on asyncio and uvloop a
request is a plain task, and anyio is not even imported: a worker is larger by 2.9 MiB with it. On trio,
where every task needs a nursery, it is a child of the program's task group (`nursery`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from greenuni.asgi.aio import AsyncioRuntime
from greenuni.asgi.interfaces import Runtime
from greenuni.loops import LoopChoice, import_backend

CANCEL_AGAIN = 0.1  # seconds that a task has for what it does when it is cancelled

Main = Callable[[Runtime], Awaitable[None]]


def run(choice: LoopChoice, main: Main) -> None:
    """Run ``main`` in a loop of its own, and end what it has started when it returns."""
    import_backend(choice)
    if choice.backend == "trio":
        from greenuni.asgi.nursery import run_on_trio

        run_on_trio(main)
    else:
        _run_on_asyncio(_program(main), choice)


def _run_on_asyncio(program: Coroutine[Any, Any, None], choice: LoopChoice) -> None:
    if sys.version_info < (3, 11):
        import anyio  # which brings the Runner that asyncio does not have yet

        anyio.run(lambda: program, backend_options=choice.options)
    else:
        with asyncio.Runner(loop_factory=_loop_factory(choice)) as runner:
            runner.run(program)


def _loop_factory(choice: LoopChoice) -> Callable[[], asyncio.AbstractEventLoop]:
    if choice.use_uvloop:
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


async def _program(main: Main) -> None:
    runtime = AsyncioRuntime()
    try:
        await main(runtime)
    finally:
        await _end(runtime.companions)


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended, for an application may catch a cancellation and go on."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN)
