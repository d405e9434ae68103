"""The vocabulary of the wire: what a connection says, and the names of the states.

Names and meanings are h11's, so that its documentation is ours:
https://h11.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from greenuni.http.states import State

Headers = list[tuple[bytes, bytes]]


class Signal(enum.Enum):
    """What ``next_event`` returns when there is no event."""

    NEED_DATA = "need data"  # nothing more without receive_data()
    PAUSED = "paused"  # bytes are waiting, but not before start_next_cycle(), perhaps never

    def __repr__(self) -> str:
        return self.name


class Data(NamedTuple):
    """Some bytes of a body, without any framing."""

    data: bytes


class EndOfMessage(NamedTuple):
    """The end of a message, with the trailer fields of a chunked one."""

    headers: Headers


class ConnectionClosed(NamedTuple):
    """The peer will send nothing more, and stopped at the end of a message."""


IDLE: Final = State.IDLE
SEND_RESPONSE: Final = State.SEND_RESPONSE
SEND_BODY: Final = State.SEND_BODY
DONE: Final = State.DONE
MUST_CLOSE: Final = State.MUST_CLOSE
CLOSED: Final = State.CLOSED
ERROR: Final = State.ERROR
NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED
