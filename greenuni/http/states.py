"""Where the two sides of a connection stand, and how they get on: a table, as in h11.

A cycle is one request and its response. ``Sides.take`` is the only way to a new state. A step of
ours that is not in the table is illegal; one of theirs that is not changes nothing. Two rules
follow every step:

- A connection that will not persist has no DONE, only MUST_CLOSE.
- When the peer is CLOSED or in ERROR, our side has nothing to go on to: MUST_CLOSE.
"""

from __future__ import annotations

import enum

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


class Step(enum.Enum):
    """What happened."""

    __hash__ = object.__hash__

    REQUEST = "a request head came"
    REQUEST_END = "the end of the request came"
    EOF = "the peer closed between messages"
    FAULT = "the peer broke HTTP"
    INTERIM = "an interim response"
    HEAD = "a response head"
    END = "the end of the response"
    BREAK = "a response that stops in the middle"
    REFUSAL = "an error response"


_THEIRS = {
    (State.IDLE, Step.REQUEST): State.SEND_BODY,
    (State.SEND_BODY, Step.REQUEST_END): State.DONE,
    (State.IDLE, Step.EOF): State.CLOSED,
    (State.DONE, Step.EOF): State.CLOSED,
    (State.MUST_CLOSE, Step.EOF): State.CLOSED,
    (State.CLOSED, Step.EOF): State.CLOSED,
    (State.IDLE, Step.FAULT): State.ERROR,
    (State.SEND_BODY, Step.FAULT): State.ERROR,
    (State.IDLE, Step.REFUSAL): State.MUST_CLOSE,
    (State.SEND_BODY, Step.REFUSAL): State.MUST_CLOSE,
}
_OURS = {
    (State.IDLE, Step.REQUEST): State.SEND_RESPONSE,
    (State.SEND_RESPONSE, Step.INTERIM): State.SEND_RESPONSE,
    (State.SEND_RESPONSE, Step.HEAD): State.SEND_BODY,
    (State.SEND_BODY, Step.END): State.DONE,
    (State.SEND_BODY, Step.BREAK): State.ERROR,
    (State.IDLE, Step.REFUSAL): State.MUST_CLOSE,
    (State.SEND_RESPONSE, Step.REFUSAL): State.MUST_CLOSE,
}
_OUR_STEPS = frozenset(step for _, step in _OURS)
_LAST_STEPS = frozenset((Step.EOF, Step.FAULT, Step.BREAK, Step.REFUSAL))


class Sides:
    """Both sides of one connection."""

    __slots__ = ("ours", "persistent", "theirs")

    def __init__(self) -> None:
        self.theirs = State.IDLE
        self.ours = State.IDLE
        self.persistent = True

    def __repr__(self) -> str:
        return f"<Sides ours={self.ours!r} theirs={self.theirs!r}>"

    def take(self, step: Step) -> None:
        """Both sides get on by ``step``. Raises LocalProtocolError where it is illegal."""
        ours = _OURS.get((self.ours, step))
        if ours is not None:
            self.ours = ours
        elif step in _OUR_STEPS:
            raise LocalProtocolError(f"{step.value} cannot be sent now: {self!r}")
        self.theirs = _THEIRS.get((self.theirs, step), self.theirs)
        if step in _LAST_STEPS:
            self.persistent = False
        self._settle()

    def disable_persistence(self) -> None:
        """This cycle is the last one."""
        self.persistent = False
        self._settle()

    def start_next_cycle(self) -> None:
        """From DONE and DONE to IDLE and IDLE; LocalProtocolError from anywhere else."""
        if self.ours is not State.DONE or self.theirs is not State.DONE:
            raise LocalProtocolError(f"the connection cannot be used again: {self!r}")
        self.ours = self.theirs = State.IDLE

    def _settle(self) -> None:
        if self.persistent:
            return
        if self.theirs is State.DONE:
            self.theirs = State.MUST_CLOSE
        if self.ours is State.DONE or (self.ours is State.IDLE and self.theirs is State.CLOSED):
            self.ours = State.MUST_CLOSE
