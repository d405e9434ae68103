"""What the interpreter is asked for: in Python and, where it was built, in C, with the same behaviour."""

from __future__ import annotations

import asyncio
import contextvars
import types
import weakref
from collections.abc import Generator
from types import ModuleType
from typing import Any

import pytest

from greenuni.asgi import lending as installed
from tests.support.sources import from_source

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


BOTH = pytest.mark.parametrize(
    "lending", [installed, from_source("asgi.lending")], ids=["installed", "source"]
)


@types.coroutine
def yielding(value: object) -> Generator[object, None, None]:
    yield value


@BOTH
def test_a_step_gives_what_is_waited_for_until_it_is_over(lending: ModuleType) -> None:
    marks = object(), None

    async def run() -> None:
        for mark in marks:
            await yielding(mark)

    coroutine = run()
    context = contextvars.Context()
    assert lending.step(context, coroutine) is marks[0]
    assert lending.step(context, coroutine) is None
    assert lending.step(context, coroutine) is lending.OVER


@BOTH
def test_a_step_is_in_its_context(lending: ModuleType) -> None:
    async def run() -> None:
        assert variable.get() == "given"
        variable.set("changed")

    context = contextvars.Context()
    context.run(variable.set, "given")
    assert lending.step(context, run()) is lending.OVER
    assert variable.get() == "unset"
    assert context[variable] == "changed"


@BOTH
def test_an_error_leaves_the_context_too(lending: ModuleType) -> None:
    async def run() -> None:
        variable.set("changed")
        raise asyncio.CancelledError("why")

    context = contextvars.Context()
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError, match="why"):
            lending.step(context, run())
        assert variable.get() == "unset"


@BOTH
def test_a_context_is_not_entered_twice(lending: ModuleType) -> None:
    async def run() -> None:
        raise AssertionError("must not run")

    context = contextvars.Context()
    coroutine = run()
    with pytest.raises(RuntimeError, match="already entered"):
        context.run(lending.step, context, coroutine)
    coroutine.close()


class Subject:
    def __init__(self) -> None:
        self.values: list[Any] = []


@BOTH
def test_ties_are_references_of_any_kind(lending: ModuleType) -> None:
    subject = Subject()
    before = lending.count_ties(subject)
    kept = [subject]
    assert lending.count_ties(subject) == before + 1
    kept.clear()
    keys = weakref.WeakKeyDictionary({subject: 1})
    assert lending.count_ties(subject) == before + 1
    keys.clear()
    assert lending.count_ties(subject) == before
    values = subject.values
    before = lending.count_ties(values)
    values.extend([1000, "value"])
    assert lending.count_ties(values) == before + 2
    assert lending.count_ties(object()) == lending.count_ties(object())
