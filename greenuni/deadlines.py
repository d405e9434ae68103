"""The waiting clocks of one connection, for both shells; see docs/design.md.

Nothing is armed or cancelled. Whoever begins to wait sets an absolute time, and a coarse tick asks
whether it has passed.
"""

import math
from typing import NamedTuple

from greenuni.config import Config

# What a client is told with 408.
HEAD_LATE = "The request head did not come in time."
BODY_LATE = "The request body did not come in time."

# What a client is told when we are late: with 504 when the application was, with 503 when it had no time.
TOO_LATE = "The application did not answer in time."
TOO_BUSY = "The server is too busy."

# A client that is still sending when we close would be reset, and lose the response that we have
# just written. So we close our side only, and give it this many seconds to read and go.
LINGER_SECONDS = 2.0


class Progress:
    """How far a stream of chunks has come, and since when it has not come further."""

    __slots__ = ("_sent", "quiet_since", "since")

    def __init__(self, now: float) -> None:
        self._sent = -1  # bytes
        self.since = now
        self.quiet_since = now  # the same, but that a comment of ours counts

    def __repr__(self) -> str:
        return f"<Progress {self._sent} since {self.since}>"

    def note(self, sent: int, waits_for_client: bool, now: float) -> None:
        """What has been sent until ``now``; while the client is waited for, the clock stands."""
        if sent != self._sent or waits_for_client:
            self._sent, self.since, self.quiet_since = sent, now, now

    def commented(self, sent: int, now: float) -> None:
        """We have put a comment into the stream, and so much has been sent with it."""
        self._sent, self.quiet_since = sent, now


class Deadlines(NamedTuple):
    """How long a client may keep us waiting, in seconds; infinite when switched off."""

    head: float = 20.0
    body: float = 30.0
    body_rate: float = 500.0  # bytes that buy one second more
    idle: float = 75.0
    send: float = 60.0

    @classmethod
    def of(cls, config: Config) -> "Deadlines":
        """The settings' values; 0 switches a clock off."""
        return cls(
            head=config.header_timeout or math.inf,
            body=config.body_timeout or math.inf,
            body_rate=config.body_min_rate,
            idle=config.keepalive or math.inf,
            send=config.send_timeout or math.inf,
        )

    def after_body_bytes(self, deadline: float, count: int, now: float) -> float:
        """The body's ``deadline`` once ``count`` more bytes of it have come.

        Never more than ``body`` seconds ahead, or a fast start would buy hours of silence.
        """
        return min(deadline + count / self.body_rate, now + self.body)
