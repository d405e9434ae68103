"""A job in a copy of a context: in Python and, where it was built, in C, with the same behaviour."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from types import ModuleType

import pytest

from greenuni.wsgi import isolation as installed
from greenuni.wsgi.job import Job
from tests.support.sources import from_source

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


BOTH = pytest.mark.parametrize(
    "isolation", [installed, from_source("wsgi.isolation")], ids=["installed", "source"]
)


class Task(Job):
    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run

    def run(self) -> None:
        self._run()


def new_context() -> contextvars.Context:
    """One in which the variable is set."""
    context = contextvars.Context()
    context.run(variable.set, "given")
    return context


@BOTH
def test_a_job_sees_the_context_and_changes_only_its_copy(isolation: ModuleType) -> None:
    context, seen = new_context(), []

    def run() -> None:
        seen.append(variable.get())
        variable.set("changed")

    for _ in range(2):
        isolation.run_in_copy(context, Task(run))
    assert seen == ["given", "given"]
    assert context[variable] == "given"
    assert variable.get() == "unset"


@BOTH
def test_an_error_leaves_the_copy_too(isolation: ModuleType) -> None:
    def run() -> None:
        raise SystemExit(variable.get())

    with pytest.raises(SystemExit, match="given"):
        isolation.run_in_copy(new_context(), Task(run))
    assert variable.get() == "unset"


@BOTH
def test_jobs_may_run_within_each_other(isolation: ModuleType) -> None:
    context, seen = new_context(), []

    def outer() -> None:
        variable.set("outer")
        isolation.run_in_copy(context, Task(lambda: seen.append(variable.get())))
        seen.append(variable.get())

    isolation.run_in_copy(context, Task(outer))
    assert seen == ["given", "outer"]
