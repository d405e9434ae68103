"""What `eager` asks the interpreter for. ``lending.pyx`` is the same in C, at a quarter of the cost."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from contextvars import Context
from gc import get_referents
from typing import Any
from weakref import getweakrefcount

OVER = object()


def step(context: Context, run: Coroutine[Any, Any, None]) -> object:
    """Let ``run`` go on in ``context``: what it waits for, `OVER` when it returns. Raises what it raises."""
    try:
        return context.run(run.send, None)
    except StopIteration:
        return OVER


def count_ties(subject: object) -> int:
    """The references to ``subject``, strong and weak, and of it. Only for comparing with itself."""
    return sys.getrefcount(subject) + getweakrefcount(subject) + len(get_referents(subject))
