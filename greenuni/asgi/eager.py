"""Starting requests at once on asyncio and uvloop, as eager tasks do from Python 3.12 on.

To make a task costs more than to read a request, and most requests return without having waited for
anything. So the first step of a request is made before there is a task of its own: as a task that has
been made, and whose own first step is still in the loop's queue (`Loan`). While the request's step
runs, that task is `asyncio.current_task`, by the functions that asyncio documents for those who
extend it. If the request then

    waits                                       the task is the request's until it ends
    has returned, nobody had a hand on the task the next request has it
    has returned, somebody had                  the task ends in its own step

A task that a request keeps takes over what the request waits for in its own step, as if its coroutine
had asked for that just then (`Remainder`). So an application sees what it sees in any task: it is in
the same one from its first step to its last, and nobody else is. Whatever would let it see more is
looked for before the next request has the task: references of any kind, callbacks, attributes, a
cancellation, a name (`Loan.is_new`).

No task is lent in more than one turn of the loop: its own step comes after that, and is its end if no
request has kept it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import tasks
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from greenuni.asgi.lending import OVER, count_ties, step

_TASKS_TAKE_CONTEXT = sys.version_info >= (3, 11)

_NAME = "request"  # of every task; a number for each would be formatted at once

_Task: Callable[..., asyncio.Task[None]] = asyncio.Task  # its signature depends on the version

# From Python 3.14 on it is not there, nor asked for.
_current_tasks: dict[asyncio.AbstractEventLoop, Any] = getattr(tasks, "_current_tasks", {})
_enter_task = tasks._enter_task
_leave_task = tasks._leave_task

_OVER = OVER


class EagerStarts:
    """Starts requests in tasks of ``loop``."""

    __slots__ = ("_loop", "_spare")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spare: Loan | None = None

    def can_start(self) -> bool:
        """Whether no task runs, so that another one can be the current one."""
        return self._loop not in _current_tasks

    def start(self, context: Context, run: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Make the first step of ``run`` in ``context``, if `can_start`.

        Returns the task that runs what is left of it, None if it has returned.
        """
        loan = self._spare
        if loan is None or loan.remainder.has_ended:
            loan = Loan(self._loop, context.copy())
        self._spare = None  # or a loop that the application runs within this one would lend it, too
        _enter_task(self._loop, loan.task)
        try:
            is_over = loan.remainder.begin(context, run)
        finally:
            _leave_task(self._loop, loan.task)
        if not is_over:
            return loan.task
        if loan.is_new():
            self._spare = loan
        return None


class Loan:
    """A task for whichever request needs it."""

    __slots__ = ("_ties", "remainder", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self.remainder = Remainder()
        if _TASKS_TAKE_CONTEXT:
            self.task = _Task(self.remainder, loop=loop, context=context, name=_NAME)
        else:
            self.task = context.run(_make_task, self.remainder, loop)
        self._ties = count_ties(self.task)

    def is_new(self) -> bool:
        """Whether nobody can tell, now or later, that the task has been lent to a request."""
        return (
            self.remainder.error is None
            and not self.task._must_cancel  # type: ignore[attr-defined]
            and self.task.get_name() is _NAME
            # Callbacks, attributes and keys of a WeakKeyDictionary are ties, too.
            and count_ties(self.task) == self._ties
        )


def _make_task(remainder: Remainder, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    return _Task(remainder, loop=loop, name=_NAME)


class Remainder:
    """The coroutine of a task that is lent: what is left of a request's after its first step.

    It asks for what the request waits for, and goes on with the request when it has come.
    """

    __slots__ = (
        "_awaited",
        "_context",
        "_has_asked",
        "_is_blocking",
        "_is_over",
        "_run",
        "error",
        "has_ended",
    )

    def __init__(self) -> None:
        self._context: Any = None
        self._run: Any = None
        self._awaited: Any = None  # what the request's first step has led to
        self._is_blocking = False  # a future, by asyncio's protocol
        self._has_asked = False
        self._is_over = False
        self.error: BaseException | None = None  # raised by the request's first step
        self.has_ended = False  # the task's own step has come, and no request had kept it

    def __repr__(self) -> str:
        return f"<Remainder of {self._run!r}>"

    def __getattr__(self, name: str) -> Any:
        """What is told of coroutines (``cr_frame`` ...) is the request's."""
        return getattr(self._run, name)

    def begin(self, context: Context, run: Coroutine[Any, Any, None]) -> bool:
        """Make the first step of ``run``; whether it was the last."""
        self._context = context
        self._run = run
        try:
            awaited: Any = step(context, run)
        except BaseException as error:  # noqa: BLE001 - as a task does
            self.error = error
            self._is_over = True
            return True
        self._is_over = awaited is _OVER
        if not self._is_over:
            self._awaited = awaited
            self._is_blocking = bool(getattr(awaited, "_asyncio_future_blocking", False))
            if self._is_blocking:
                # The mark is for one task only, and others may want to wait for the same.
                awaited._asyncio_future_blocking = False
        return self._is_over

    # What the task calls

    def send(self, value: object) -> object:
        if self._has_asked:
            return self._context.run(self._run.send, value)
        self._has_asked = True
        if not self._is_over:
            return self._ask()
        self.has_ended = True
        if self.error is not None:
            raise self.error
        raise StopIteration

    def throw(self, error: BaseException) -> object:
        if self._is_over:
            self.has_ended = True
            raise error
        if not self._has_asked:
            # Cancelled before it was known to wait: what is asked for is cancelled first, as ever.
            self._has_asked = True
            if self._is_blocking and self._awaited.cancel(*error.args):
                return self._ask()
        return self._context.run(self._run.throw, error)

    def _ask(self) -> object:
        awaited, self._awaited = self._awaited, None
        if self._is_blocking:
            awaited._asyncio_future_blocking = True
        return awaited

    def close(self) -> None:
        self._run.close()

    def __await__(self) -> Remainder:
        return self
