"""What a stuck worker says before it is killed: its stacks, its requests, its asyncio tasks.

The arbiter sends ABRT. ``faulthandler`` writes the stacks of all threads from the C handler itself, so
that they come even when some C code keeps the interpreter's lock; then Python's own handler runs, if it
can, and adds what only Python knows. A crash (SEGV, BUS ...) writes its stacks the same way.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from greenuni.arbiter.exits import ABORTED_STATUS

TASK_FRAMES = 5


class Dump:
    """Writes to a descriptor of its own, which survives that the log files are opened anew.

    ``in_flight`` may be set later; it gives a line for each request.
    """

    def __init__(self, fileno: int) -> None:
        self._descriptor = os.dup(fileno)
        self.in_flight: Callable[[], list[str]] = list

    def install(self) -> None:
        """Take over ABRT and the signals of a crash."""
        # enable() puts itself in front of the handler that it finds, and only once.
        faulthandler.disable()
        signal.signal(signal.SIGABRT, self._on_abort)
        faulthandler.enable(file=self._descriptor, all_threads=True)

    def reopen(self, fileno: int) -> None:
        """The log file has been opened anew; the number that the C handler knows stays valid."""
        os.dup2(fileno, self._descriptor, inheritable=False)

    def _on_abort(self, number: int, frame: FrameType | None) -> None:
        # Not through logging: this may have interrupted it, with its lock held.
        try:
            lines = [f"In flight: {line}" for line in self.in_flight()] + _asyncio_tasks()
            text = "".join(f"{line}\n" for line in lines)
        except Exception:  # noqa: BLE001  # whatever state this interrupted, the worker must end
            text = traceback.format_exc()
        os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
        os._exit(ABORTED_STATUS)

    def __repr__(self) -> str:
        return f"<Dump to {self._descriptor}>"


def _asyncio_tasks() -> list[str]:
    """A line for each task of the loop that runs in this thread, with where it waits."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    try:
        current, tasks = asyncio.current_task(), asyncio.all_tasks()
    except RuntimeError:  # no loop runs here
        return []
    lines = []
    for task in tasks:
        if task is current:
            lines.append(f"Task {task.get_name()} runs; its stack is above")
            continue
        lines.append(f"Task {task.get_name()} waits")
        lines += [f"  {place}" for place in _waiting_at(task.get_coro())[-TASK_FRAMES:]]
    return lines


def _waiting_at(awaitable: Any) -> list[str]:
    """The lines at which a coroutine waits, the innermost last."""
    return [
        f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        for frame in waiting_frames(awaitable)
    ]


def waiting_frames(awaitable: Any) -> list[FrameType]:
    """The frames in which a coroutine, or what stands for one, waits; the innermost last."""
    frames = []
    while hasattr(awaitable, "cr_await"):
        if awaitable.cr_frame is not None:
            frames.append(awaitable.cr_frame)
        awaitable = awaitable.cr_await
    return frames
