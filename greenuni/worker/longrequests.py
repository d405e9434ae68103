"""Requests that run for longer than ``timeout``: they live, and are named in the log once a minute.

The watcher's thread looks, because the thread that would have to is perhaps the one that waits. It takes the
stacks and leaves the writing to a thread of its own: the log's lock may be held by a main thread that is
stuck, and the watcher has more to do.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from greenuni.errors import is_user_code
from greenuni.shell import LongRequest
from greenuni.worker.dump import waiting_frames

LONGEST_PAUSE = 5.0  # seconds between two looks
REPEAT = 60.0  # seconds until a request is named again
MOST_NAMED = 5  # requests in one report; of a worker that is stuck as a whole the rest is the same
_NOT_SHOWN = (threading.__file__, "<frozen runpy>")  # how a thread begins
_Find = Callable[[float], Iterable[LongRequest]]
_Key = tuple[str, float]  # of a request: its title, and when it began


class LongRequests:
    """``find`` is given a monotonic time, and gives the requests that run since before it."""

    def __init__(self, timeout: float, find: _Find, log: logging.Logger) -> None:
        self._timeout = timeout  # seconds, 0 for never
        self._find = find
        self._log = log
        self._named: dict[_Key, float] = {}  # when, by monotonic time, as all times here
        self._next_at = 0.0
        self._writer: threading.Thread | None = None

    def check(self, now: float) -> None:
        """Name those that are due."""
        if not self._timeout or now < self._next_at:
            return
        self._next_at = now + min(LONGEST_PAUSE, self._timeout / 4)
        if self._writer is not None and self._writer.is_alive():
            return
        found = self._find(now - self._timeout)
        running = {_key(request): request for request in found}
        self._named = {key: at for key, at in self._named.items() if key in running}
        due = [
            request for key, request in running.items() if now >= self._named.get(key, 0.0) + REPEAT
        ]
        if due:
            self._named.update((_key(request), now) for request in due)
            self._write(self._report(due, now))

    def _report(self, due: list[LongRequest], now: float) -> list[str]:
        due.sort(key=lambda request: request.since)
        lines = [
            f"{request.title} has been running for {now - request.since:.1f} s and goes on\n"
            + "".join(stack_of(request))
            for request in due[:MOST_NAMED]
        ]
        if len(due) > MOST_NAMED:
            more = len(due) - MOST_NAMED
            lines.append(f"{more} more requests have been running for over {self._timeout:g} s")
        return lines

    def _write(self, lines: list[str]) -> None:
        def write() -> None:
            for line in lines:
                self._log.warning("%s", line.rstrip())

        self._writer = threading.Thread(target=write, name="greenuni-long-requests", daemon=True)
        self._writer.start()

    def __repr__(self) -> str:
        return f"<LongRequests over {self._timeout:g} s, {len(self._named)} named>"


def _key(request: LongRequest) -> _Key:
    return request.title, request.since


def stack_of(request: LongRequest) -> list[str]:
    """Where a request is, as a traceback writes it; empty when that cannot be found out."""
    if request.task is None:
        return thread_stack(request.thread) or ["  it waits for a thread\n"]
    coroutine = getattr(request.task, "get_coro", lambda: None)()
    frames = waiting_frames(coroutine)
    if not frames:
        return []
    if getattr(coroutine, "cr_running", False):  # then it is on the stack of the loop's thread
        return thread_stack(request.thread)
    places = [(frame, frame.f_lineno) for frame in frames if is_user_code(frame.f_code.co_filename)]
    stack = traceback.StackSummary.extract(iter(places))
    return [*stack.format(), *thread_stack(_thread_waited_for(frames[-1]))]


def thread_stack(ident: int) -> list[str]:
    """What a thread does, but for our own code and that of threading itself."""
    frame = sys._current_frames().get(ident)
    if frame is None:
        return []
    stack = [
        summary
        for summary in traceback.extract_stack(frame)
        if not summary.filename.startswith(_NOT_SHOWN) and is_user_code(summary.filename)
    ]
    return traceback.StackSummary.from_list(stack).format()


def _thread_waited_for(frame: FrameType) -> int:
    """The thread that a coroutine of anyio waits for, as with a ``def`` endpoint of FastAPI; else 0."""
    if frame.f_code.co_name != "run_sync_in_worker_thread":
        return 0
    worker: Any = frame.f_locals.get("worker")
    ident: int = getattr(worker, "ident", None) or 0
    return ident
