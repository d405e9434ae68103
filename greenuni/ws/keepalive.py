"""Whether the client is still there: pings, and how long its pong may take.

Only time counts in which a pong could have been read. The loop may have been held up by the
application, reading may be paused because the application is behind, or our ping may still wait
behind what the client has not taken; none of this is the client's fault.

A pong cannot come in the middle of a frame. So bytes that come fast enough buy time, as those of a
request's body do; a client that sends one byte a second does not get far.
"""

from __future__ import annotations

import enum

# Seconds between two looks from which on we count none: somebody has held the loop.
HELD_UP = 2.5


class Life(enum.Enum):
    """What is to be done."""

    NOTHING = "nothing"
    PING = "send a ping"
    LOST = "give the client up"


class Keepalive:
    """``interval`` seconds between pings, 0 for none; ``timeout`` seconds for a pong, 0 for ever."""

    __slots__ = ("_interval", "_looked_at", "_rate", "_seconds", "_timeout", "is_waiting")

    def __init__(self, interval: float, timeout: float, rate: float, now: float) -> None:
        """``rate`` is the bytes that buy one second more; ``now`` monotonic seconds."""
        self._interval = interval
        self._timeout = timeout
        self._rate = rate
        self._looked_at = now
        self.is_waiting = False  # for a pong
        self._seconds = 0.0  # since the last ping, or the last pong

    def __repr__(self) -> str:
        state = "waiting" if self.is_waiting else "content"
        return f"<Keepalive {state} for {self._seconds:.1f} s>"

    def pong(self) -> None:
        """A pong has come, asked for or not."""
        if self.is_waiting:
            self.is_waiting = False
            self._seconds = 0.0

    def received(self, count: int) -> None:
        """Bytes have come while a pong is waited for."""
        self._seconds = max(self._seconds - count / self._rate, 0.0)

    def check(self, now: float, is_listening: bool) -> Life:
        """Once a tick. ``is_listening`` says that a pong could have been asked for and read."""
        elapsed = now - self._looked_at
        self._looked_at = now
        if not self._interval or not is_listening or elapsed > HELD_UP:
            return Life.NOTHING
        self._seconds += elapsed
        if not self.is_waiting:
            if self._seconds < self._interval:
                return Life.NOTHING
            self.is_waiting = True
            self._seconds = 0.0
            return Life.PING
        return Life.LOST if self._timeout and self._seconds >= self._timeout else Life.NOTHING
