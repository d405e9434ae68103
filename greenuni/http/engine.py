"""Which engine reads requests: the compiled one where it is built, else the reference."""

from __future__ import annotations

from typing import Final, NamedTuple

from greenuni.http.message import load_h11
from greenuni.http.reference import Engine

try:
    from greenuni.http.fast import FastEngine
except ImportError:
    _FAST: Engine | None = None
else:
    _FAST = FastEngine()

ENGINE_NAMES: Final = ("auto", "h11", "fast")

_NOT_BUILT = "the compiled engine is not built"


class EngineChoice(NamedTuple):
    """The engine in use. ``reason`` says why it is not the compiled one though it might be."""

    name: str
    engine: Engine
    reason: str = ""


REFERENCE = EngineChoice("h11", Engine())
AUTOMATIC = EngineChoice("h11", REFERENCE.engine, _NOT_BUILT)
if _FAST is not None:
    AUTOMATIC = EngineChoice("fast", _FAST)


def choose_engine(name: str = "auto") -> EngineChoice:
    """The engine by that name; "auto" takes the compiled one where it is built.

    Raises ValueError for a name that is none, and for "fast" where it is not built.
    """
    if name not in ENGINE_NAMES:
        raise ValueError(f"{name!r} is no engine: one of {', '.join(ENGINE_NAMES)}")
    if name == "fast" and _FAST is None:
        raise ValueError(_NOT_BUILT)
    choice = REFERENCE if name == "h11" else AUTOMATIC
    if choice.name == "h11":
        load_h11()  # now, and not at the first request
    return choice
