"""Requests that are started at once: each in a task as if it were its own, one task where nobody can tell."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

from greenuni.asgi.eager import EagerStarts

Request = Callable[[], Coroutine[Any, Any, None]]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    use_uvloop = request.param == "uvloop"
    if use_uvloop:
        pytest.importorskip("uvloop")
    return lambda main: anyio.run(main, backend_options={"use_uvloop": use_uvloop})


class Starter:
    """Starts requests in one callback of the loop, which is where bytes arrive."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.starts = EagerStarts(self.loop)

    async def start(self, *requests: Request) -> list[asyncio.Task[None] | None]:
        """The tasks of those that wait; the loop has not turned since they were started."""
        done: asyncio.Future[None] = self.loop.create_future()
        tasks: list[asyncio.Task[None] | None] = []

        def turn() -> None:
            assert self.starts.can_start()
            tasks.extend(self.starts.start(contextvars.copy_context(), run()) for run in requests)
            done.set_result(None)

        self.loop.call_soon(turn)
        await done
        return tasks


def current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def test_requests_that_return_at_once_share_a_task(run: Any) -> None:
    seen: list[int] = []

    async def request() -> None:
        assert asyncio.current_task() in asyncio.all_tasks()
        seen.append(id(asyncio.current_task()))
        assert variable.get() == "unset"
        variable.set("set")

    async def main() -> None:
        starter = Starter()
        assert await starter.start(request, request, request) == [None] * 3
        assert len(seen) == 3
        assert len(set(seen)) == 1
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # The task of an earlier turn is over.
        assert await starter.start(request) == [None]

    run(main)


async def keep_reference(kept: list[Any]) -> None:
    kept.append(current_task())


async def keep_as_weak_key(kept: list[Any]) -> None:
    keys: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()
    keys[current_task()] = None
    kept.append(keys)


async def keep_in_traceback(kept: list[Any]) -> None:
    task = current_task()
    try:
        task.result()
    except asyncio.InvalidStateError as error:
        kept.append(error)


async def add_callback(kept: list[Any]) -> None:
    current_task().add_done_callback(lambda task: kept.append(task.done()))


async def set_attribute(kept: list[Any]) -> None:
    current_task().number = 1  # type: ignore[attr-defined]


async def rename(kept: list[Any]) -> None:
    current_task().set_name("mine")


async def cancel(kept: list[Any]) -> None:
    current_task().cancel()


async def enter_scope(kept: list[Any]) -> None:
    with anyio.CancelScope():
        pass


async def raise_cancelled(kept: list[Any]) -> None:
    raise asyncio.CancelledError


HANDS = [
    keep_reference,
    keep_as_weak_key,
    keep_in_traceback,
    add_callback,
    set_attribute,
    rename,
    cancel,
    enter_scope,
    raise_cancelled,
]


@pytest.mark.parametrize("lay_hands", HANDS)
def test_a_task_that_somebody_has_laid_hands_on_is_for_nobody_else(
    run: Any, lay_hands: Callable[[list[Any]], Coroutine[Any, Any, None]]
) -> None:
    kept: list[Any] = []
    before: list[Any] = []

    async def first() -> None:
        # Looks are free: what follows is what makes the difference.
        before.append(id(current_task()))

    async def second() -> None:
        assert id(current_task()) in before
        await lay_hands(kept)

    async def third() -> None:
        task = current_task()
        assert id(task) not in before
        assert task.get_name() == "request"
        assert not hasattr(task, "number")
        await asyncio.sleep(0)

    async def main() -> None:
        starter = Starter()
        tasks = await starter.start(first, second, third)
        assert tasks[:2] == [None, None]
        assert tasks[2] is not None
        await tasks[2]
        assert await starter.start(first) == [None]

    run(main)


def test_a_task_ends_with_the_request_that_had_a_hand_on_it(run: Any) -> None:
    kept: list[Any] = []

    async def main() -> None:
        starter = Starter()
        await starter.start(lambda: keep_reference(kept), lambda: add_callback(kept))
        task = kept.pop()
        await task
        assert kept == []
        await asyncio.sleep(0)
        assert kept == [True]

    run(main)


def test_a_task_is_cancelled_with_the_request_that_had_a_hand_on_it(run: Any) -> None:
    kept: list[Any] = []

    async def request() -> None:
        await keep_reference(kept)
        raise asyncio.CancelledError

    async def main() -> None:
        starter = Starter()
        await starter.start(request)
        with pytest.raises(asyncio.CancelledError):
            await kept[0]
        assert kept[0].cancelled()

    run(main)


def test_a_request_that_waits_is_in_one_task_to_its_end(run: Any) -> None:
    seen: list[Any] = []
    ids: list[int] = []

    async def waiting() -> None:
        ids.append(id(current_task()))
        seen.append(current_task())
        variable.set("mine")
        await asyncio.sleep(0.001)
        seen.append(current_task())
        assert variable.get() == "mine"

    async def other() -> None:
        assert id(current_task()) not in ids
        assert variable.get() == "unset"

    async def main() -> None:
        tasks = await Starter().start(waiting, other, waiting, other)
        assert [task is not None for task in tasks] == [True, False, True, False]
        for task in tasks:
            if task is not None:
                await task
        assert seen == [tasks[0], tasks[2], tasks[0], tasks[2]]

    run(main)


def test_whom_a_request_starts_before_it_yields_runs_before_it_goes_on(run: Any) -> None:
    order: list[str] = []

    async def child() -> None:
        order.append("child")

    async def request() -> None:
        task = asyncio.ensure_future(child())
        await asyncio.sleep(0)
        order.append("request")
        await task

    async def main() -> None:
        (task,) = await Starter().start(request)
        assert task is not None
        await task
        assert order == ["child", "request"]

    run(main)


def test_requests_may_wait_for_the_same(run: Any) -> None:
    results: list[str] = []

    async def main() -> None:
        starter = Starter()
        future: asyncio.Future[str] = starter.loop.create_future()

        async def request() -> None:
            results.append(await future)

        tasks = await starter.start(request, request, request)
        await asyncio.sleep(0.001)
        assert not any(task.done() for task in tasks if task)
        future.set_result("it")
        await asyncio.gather(*filter(None, tasks))
        assert results == ["it"] * 3

    run(main)


def test_what_is_no_future_is_an_error_in_the_request(run: Any) -> None:
    errors: list[str] = []

    class Odd:
        def __await__(self) -> Any:
            yield "a string"

    async def request() -> None:
        try:
            await Odd()
        except RuntimeError as error:
            errors.append(str(error))

    async def main() -> None:
        (task,) = await Starter().start(request)
        assert task is not None
        await task
        assert errors == ["Task got bad yield: 'a string'"]

    run(main)


@pytest.mark.parametrize("what", ["pending", "done", "yield"])
def test_a_request_can_be_cancelled_before_its_task_has_stepped(run: Any, what: str) -> None:
    messages: list[Any] = []

    async def main() -> None:
        starter = Starter()
        future: asyncio.Future[None] = starter.loop.create_future()

        async def request() -> None:
            try:
                await (asyncio.sleep(0) if what == "yield" else future)
            except asyncio.CancelledError as error:
                messages.extend(error.args)
                raise

        async def cancel() -> None:
            """In the same turn."""
            (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "victim")
            if what == "done":
                future.set_result(None)
            task.cancel("enough")

        async def victim() -> None:
            current_task().set_name("victim")
            await request()

        task, _ = await starter.start(victim, cancel)
        assert task is not None
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert future.cancelled() is (what == "pending")
        assert messages == ["enough"]

    run(main)


def test_a_request_that_cancels_itself_is_cancelled_when_it_waits(run: Any) -> None:
    async def request() -> None:
        current_task().cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(60)

    async def main() -> None:
        (task,) = await Starter().start(request)
        assert task is not None
        await task

    run(main)


def test_everybody_can_be_cancelled_before_the_task_has_stepped(run: Any) -> None:
    async def nothing() -> None:
        pass

    async def main() -> None:
        await Starter().start(nothing)
        others = asyncio.all_tasks() - {current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others) if others else None
        assert all(task.cancelled() for task in others)

    run(main)


def test_scopes_that_were_entered_at_once_hold_later(run: Any) -> None:
    order: list[str] = []

    async def request() -> None:
        with anyio.move_on_after(0.001):
            await anyio.sleep(60)
        order.append("late")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 60)
            await anyio.sleep(0)
            tasks.cancel_scope.cancel()
        order.append("grouped")

    async def main() -> None:
        (task,) = await Starter().start(request)
        assert task is not None
        await task
        assert order == ["late", "grouped"]

    run(main)


def test_a_task_shows_the_coroutine_of_its_request(run: Any) -> None:
    async def request() -> None:
        coroutine: Any = current_task().get_coro()
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_RUNNING
        await asyncio.sleep(0)

    async def main() -> None:
        (task,) = await Starter().start(request)
        assert task is not None
        coroutine: Any = task.get_coro()
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_SUSPENDED
        assert coroutine.cr_code is request.__code__
        assert request.__qualname__ in repr(task)
        assert request.__qualname__ in repr(coroutine)
        assert task.get_stack()
        await task

    run(main)


def test_nothing_is_started_within_a_task(run: Any) -> None:
    async def main() -> None:
        assert not Starter().starts.can_start()

    run(main)


def test_closing_the_coroutine_of_a_task_closes_the_request() -> None:
    order: list[str] = []

    async def request() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            order.append("closed")

    loop = asyncio.new_event_loop()
    starts = EagerStarts(loop)
    kept: list[Any] = []

    def start() -> None:
        kept.append(starts.start(contextvars.copy_context(), request()))
        loop.stop()

    loop.call_soon(start)
    loop.run_forever()
    kept[0].get_coro().close()
    assert order == ["closed"]
    kept[0].cancel()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        loop.run_until_complete(kept[0])
    loop.close()
