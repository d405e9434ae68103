"""The states of a connection, and which may follow which."""

from __future__ import annotations

import enum


class State(enum.IntEnum):
    """Where a connection is."""

    IDLE = 0  # nothing of a request is there, or it came whole and has just been read
    HEAD = 1  # something of a head is there
    BODY = 2  # the head is there and the body is not
    QUEUED = 3  # a whole request waits for a thread
    RUNNING = 4  # the application has it
    FLUSHING = 5  # the client takes the rest of a response
    LINGERING = 6  # the client may read what we said; what it sends is thrown away
    LEAVING = 7  # it waits for room in the queue to another worker
    CLOSED = 8  # or with another worker


TRANSITIONS: dict[State, tuple[State, ...]] = {
    State.IDLE: (
        State.HEAD,
        State.BODY,
        State.QUEUED,
        State.FLUSHING,
        State.LINGERING,
        State.LEAVING,
        State.CLOSED,
    ),
    State.HEAD: (
        State.BODY,
        State.QUEUED,
        State.FLUSHING,
        State.LINGERING,
        State.LEAVING,
        State.CLOSED,
    ),
    State.BODY: (State.QUEUED, State.FLUSHING, State.LINGERING, State.CLOSED),
    State.QUEUED: (State.RUNNING, State.CLOSED),
    State.RUNNING: (State.FLUSHING, State.IDLE, State.HEAD, State.LINGERING, State.CLOSED),
    State.FLUSHING: (State.IDLE, State.HEAD, State.LINGERING, State.CLOSED),
    State.LINGERING: (State.CLOSED,),
    State.LEAVING: (State.FLUSHING, State.LINGERING, State.CLOSED),
    State.CLOSED: (),
}
# The same, one bit for each state that may follow.
FOLLOWING = tuple(sum(1 << state for state in TRANSITIONS[before]) for before in State)
AWAY = (int(State.QUEUED), int(State.RUNNING))  # the loop's thread does not own it
WAITING = (int(State.IDLE), int(State.HEAD))  # no request of it is here as a whole, or its head
