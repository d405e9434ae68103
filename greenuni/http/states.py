"""Where the two sides of a connection stand, and how they get on: a table, as in h11.

A cycle is one request and its response. ``Sides.advance`` is the only way to a new state. A step of
ours that is not in the table is illegal; one of theirs that is not changes nothing. Two rules
follow every step:

- A connection that will not persist has no DONE, only MUST_CLOSE.
- When the peer is CLOSED and we are IDLE, our side has nothing to go on to: MUST_CLOSE.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from greenuni.errors import LocalProtocolError


class State(enum.Enum):
    """Where one side is in the current cycle. Names and meanings are h11's."""

    __hash__ = object.__hash__  # Enum's own is Python code, and every step looks a state up

    IDLE = "idle"
    SEND_RESPONSE = "send response"
    SEND_BODY = "send body"
    DONE = "done"
    MUST_CLOSE = "must close"
    CLOSED = "closed"
    ERROR = "error"

    def __repr__(self) -> str:
        return self.name


# Bound once: before Python 3.12, finding a member through its class is a call.
IDLE, SEND_RESPONSE, SEND_BODY, DONE, MUST_CLOSE, CLOSED, ERROR = State


class Step:
    """What happened, and where either side goes from where it is."""

    __slots__ = ("from_ours", "is_last", "name", "ours", "theirs", "to_ours")

    def __init__(
        self,
        name: str,
        ours: Mapping[State, State],
        theirs: Mapping[State, State],
        is_last: bool = False,
    ) -> None:
        self.name = name
        self.ours = dict(ours)
        self.theirs = dict(theirs)
        # Where our side nearly always is: most steps start from one state.
        self.from_ours = next(iter(ours), None)
        self.to_ours = next(iter(ours.values()), IDLE)
        self.is_last = is_last  # the connection does not persist after it

    def __repr__(self) -> str:
        return f"<Step {self.name}>"


_ANSWERED = {IDLE: SEND_RESPONSE}

REQUEST = Step("a request head came", _ANSWERED, {IDLE: SEND_BODY})
WHOLE_REQUEST = Step("a whole request came", _ANSWERED, {IDLE: DONE})
REQUEST_END = Step("the end of the request came", {}, {SEND_BODY: DONE})
EOF = Step(
    "the peer closed between messages",
    {},
    {IDLE: CLOSED, DONE: CLOSED, MUST_CLOSE: CLOSED},
    is_last=True,
)
FAULT = Step("the peer broke HTTP", {}, {IDLE: ERROR, SEND_BODY: ERROR}, is_last=True)
INTERIM = Step("an interim response", {SEND_RESPONSE: SEND_RESPONSE}, {})
HEAD = Step("a response head", {SEND_RESPONSE: SEND_BODY}, {})
END = Step("the end of the response", {SEND_BODY: DONE}, {})
BREAK = Step("a response that stops in the middle", {SEND_BODY: ERROR}, {}, is_last=True)
REFUSAL = Step(
    "an error response",
    {IDLE: MUST_CLOSE, SEND_RESPONSE: MUST_CLOSE},
    {IDLE: MUST_CLOSE, SEND_BODY: MUST_CLOSE},
    is_last=True,
)


class Sides:
    """Both sides of one connection."""

    __slots__ = ("our_state", "persistent", "their_state")

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        """What ``__init__`` does, without being a call of Python's for what derives from this."""
        self.their_state = IDLE
        self.our_state = IDLE
        self.persistent = True

    def __repr__(self) -> str:
        return f"<Sides our_state={self.our_state!r} their_state={self.their_state!r}>"

    def advance(self, step: Step) -> None:
        """Both sides get on by ``step``. Raises LocalProtocolError where it is illegal."""
        if self.our_state is step.from_ours:
            self.our_state = step.to_ours
        elif step.ours:
            self._advance_ours(step)
        if step.theirs:
            self.their_state = step.theirs.get(self.their_state, self.their_state)
        if step.is_last:
            self.persistent = False
        if not self.persistent:
            self._settle()

    def _advance_ours(self, step: Step) -> None:
        ours = step.ours.get(self.our_state)
        if ours is None:
            raise LocalProtocolError(f"{step.name} cannot be sent now: {self!r}")
        self.our_state = ours

    def disable_persistence(self) -> None:
        """This cycle is the last one."""
        self.persistent = False
        self._settle()

    def next_cycle(self) -> None:
        """From DONE and DONE to IDLE and IDLE; LocalProtocolError from anywhere else."""
        if self.our_state is not DONE or self.their_state is not DONE:
            raise LocalProtocolError(f"the connection cannot be used again: {self!r}")
        self.our_state = self.their_state = IDLE

    def _settle(self) -> None:
        if self.their_state is DONE:
            self.their_state = MUST_CLOSE
        if self.our_state is DONE or (self.our_state is IDLE and self.their_state is CLOSED):
            self.our_state = MUST_CLOSE
