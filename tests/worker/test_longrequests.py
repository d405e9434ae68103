"""Which requests are named in the log when, and with what stacks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import anyio.to_thread
import pytest

from greenuni.shell import LongRequest
from greenuni.worker.longrequests import REPEAT, LongRequests, stack_of


class Watched:
    """A worker's requests, looked at by a clock of the test's own; ``timeout`` is 10 s."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.requests: list[LongRequest] = []
        self._caplog = caplog
        self._log = logging.getLogger("greenuni.error")
        self.long_requests = LongRequests(10, self._find, self._log)

    def _find(self, before: float) -> Iterator[LongRequest]:
        return (request for request in self.requests if request.since <= before)

    def look(self, now: float) -> list[str]:
        """The first lines of what is logged at that time."""
        self._caplog.clear()
        self.long_requests.check(now)
        writer = self.long_requests._writer
        if writer is not None:
            writer.join(10)
        return [message.splitlines()[0] for message in self._caplog.messages]


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Watched:
    return Watched(caplog)


def test_who_runs_longer_than_timeout_is_named_once_a_minute(watched: Watched) -> None:
    watched.requests = [LongRequest("GET /slow", 1000.0)]
    assert watched.look(1009) == []
    assert watched.look(1012) == ["GET /slow has been running for 12.0 s and goes on"]
    assert watched.look(1012 + REPEAT - 1) == []
    assert watched.look(1012 + REPEAT + 5) == ["GET /slow has been running for 77.0 s and goes on"]


def test_each_request_has_its_own_minute(watched: Watched) -> None:
    watched.requests = [LongRequest("GET /a", 1000.0)]
    watched.look(1012)
    watched.requests.append(LongRequest("GET /b", 1010.0))
    assert watched.look(1025) == ["GET /b has been running for 15.0 s and goes on"]


def test_the_same_path_again_is_another_request(watched: Watched) -> None:
    watched.requests = [LongRequest("GET /a", 1000.0)]
    watched.look(1012)
    watched.requests = [LongRequest("GET /a", 1012.0)]
    assert len(watched.look(1030)) == 1


def test_many_are_counted(watched: Watched) -> None:
    watched.requests = [LongRequest(f"GET /{number}", 1000.0 + number) for number in range(9)]
    lines = watched.look(1050)
    assert [line.split()[1] for line in lines[:5]] == ["/0", "/1", "/2", "/3", "/4"]
    assert lines[5:] == ["4 more requests have been running for over 10 s"]


def test_it_does_not_look_at_every_turn(watched: Watched) -> None:
    watched.look(1000)
    watched.requests = [LongRequest("GET /a", 900.0)]
    assert watched.look(1001) == []
    assert len(watched.look(1003)) == 1


def test_a_log_that_is_held_keeps_nobody(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.requests = [LongRequest("GET /a", 1000.0)]
    with caplog.handler.lock:  # type: ignore[union-attr]
        watched.long_requests.check(1012.0)
        watched.requests.append(LongRequest("GET /b", 1000.0))
        watched.long_requests.check(1020.0)  # what is to be written waits
        assert caplog.messages == []
    watched.look(1021)
    assert "GET /b" in watched.look(1030)[-1]


def test_without_a_timeout_nobody_is_named(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[float] = []

    def find(before: float) -> list[LongRequest]:
        asked.append(before)
        return []

    LongRequests(0, find, logging.getLogger("greenuni.error")).check(1000.0)
    assert asked == []


def blocked(entered: threading.Event, go_on: threading.Event) -> None:
    entered.set()
    go_on.wait(10)


def test_the_stack_of_a_thread() -> None:
    entered, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=blocked, args=(entered, go_on))
    thread.start()
    entered.wait(10)
    stack = "".join(stack_of(LongRequest("GET /", 0.0, thread.ident or 0)))
    go_on.set()
    thread.join()
    assert "in blocked" in stack
    assert "threading.py" not in stack


def test_a_request_that_waits_for_a_thread_says_so() -> None:
    assert stack_of(LongRequest("GET /", 0.0)) == ["  it waits for a thread\n"]


def stack_in_loop(main: Any) -> str:
    """The stack of a task, asked by another thread while its loop runs or waits."""

    async def run() -> str:
        task = asyncio.create_task(main())
        await asyncio.sleep(0.01)
        request = LongRequest("GET /", 0.0, threading.get_ident(), task)
        stack = await asyncio.to_thread(stack_of, request)
        task.cancel()
        await asyncio.wait([task])
        return "".join(stack)

    return asyncio.run(run())


def test_the_stack_of_a_task_that_waits() -> None:
    async def ask_the_model() -> None:
        await asyncio.sleep(60)

    async def endpoint() -> None:
        await ask_the_model()

    stack = stack_in_loop(endpoint)
    assert stack.index("in endpoint") < stack.index("in ask_the_model")


def test_the_stack_of_a_task_includes_the_thread_that_it_waits_for() -> None:
    entered, go_on = threading.Event(), threading.Event()

    async def endpoint() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(blocked, entered, go_on)

    async def run() -> str:
        task = asyncio.create_task(endpoint())
        while not entered.is_set():
            await asyncio.sleep(0.01)
        stack = stack_of(LongRequest("GET /", 0.0, threading.get_ident(), task))
        go_on.set()
        await task
        return "".join(stack)

    stack = asyncio.run(run())
    assert stack.index("in endpoint") < stack.index("in blocked")


def test_the_stack_of_a_task_that_runs_is_that_of_its_thread() -> None:
    found: list[str] = []
    entered, go_on = threading.Event(), threading.Event()

    async def endpoint() -> None:
        request = LongRequest("GET /", 0.0, threading.get_ident(), asyncio.current_task())

        def ask() -> None:
            entered.wait(10)
            found.extend(stack_of(request))
            go_on.set()

        asker = threading.Thread(target=ask)
        asker.start()
        blocked(entered, go_on)
        asker.join()

    asyncio.run(endpoint())
    assert "in blocked" in "".join(found)


def test_a_task_of_another_library_has_no_stack() -> None:
    assert stack_of(LongRequest("GET /", 0.0, 1, object())) == []
