"""When what happens in a drain: one plan for TERM, HUP, recycling and TTOU; INT and QUIT shorten it.

0                    the application is told (`RequestControl.shutting_down`); every response says
                     Connection: close, or its connection goes to a sibling
drain-delay          until then connections are accepted, as load balancers still send some. Only
                     where no sibling goes on: otherwise it is 0
then                 stop accepting; idle connections are closed after a while
+ stream-drain       http.disconnect to streams of events
end - 2 s            http.disconnect to everybody
end - 1 s            cancel
end                  go, whatever is left
+ shutdown-timeout   the lifespan shutdown has what is left until ``end``, and this long in any case
"""

from __future__ import annotations

import enum
import time
from math import inf
from typing import NamedTuple

from greenuni.config import Config
from greenuni.shell import QUICK_STOP_BUDGET

DISMISS_BEFORE_END = 2.0
CANCEL_BEFORE_END = 1.0
LIFESPAN_MINIMUM = 1.0  # seconds that the lifespan shutdown has in a quick stop


class Step(enum.IntEnum):
    """How far a drain has come."""

    ANNOUNCED = 0  # connections are still accepted
    DRAINING = 1
    STREAMS_DISMISSED = 2
    DISMISSED = 3
    CANCELLED = 4
    OVER = 5


class Departure(NamedTuple):
    """The times of one drain, in monotonic seconds, and what the lifespan has in any case, in seconds."""

    starts_at: float
    dismiss_streams_at: float
    dismiss_at: float
    cancel_at: float
    end: float
    lifespan_seconds: float

    @classmethod
    def after(cls, budget: float, config: Config, delay: float = 0.0) -> Departure:
        """In order, within ``budget`` seconds from now; a short one is shared out.

        One that is shorter than ``graceful-timeout`` leaves less to the lifespan, too.
        """
        now = time.monotonic()
        end = now + budget
        dismiss_at = end - min(DISMISS_BEFORE_END, budget / 2)
        starts_at = min(now + delay, dismiss_at)
        is_hurried = budget < (config.graceful_timeout or inf)
        return cls(
            starts_at=starts_at,
            dismiss_streams_at=min(starts_at + (config.stream_drain or inf), dismiss_at),
            dismiss_at=dismiss_at,
            cancel_at=end - min(CANCEL_BEFORE_END, budget / 4),
            end=end,
            lifespan_seconds=LIFESPAN_MINIMUM if is_hurried else config.shutdown_timeout,
        )

    @classmethod
    def quick(cls) -> Departure:
        """What INT and QUIT leave."""
        now = time.monotonic()
        end = now + QUICK_STOP_BUDGET - LIFESPAN_MINIMUM
        return cls(now, now, now, now, end, LIFESPAN_MINIMUM)

    def step(self, now: float) -> Step:
        """Where the drain should be."""
        times = (self.starts_at, self.dismiss_streams_at, self.dismiss_at, self.cancel_at, self.end)
        return Step(sum(now >= at for at in times))

    def next_step_at(self, now: float) -> float:
        """When it should go further; infinite when it has come to its end."""
        times = (self.starts_at, self.dismiss_streams_at, self.dismiss_at, self.cancel_at, self.end)
        return min((at for at in times if at > now), default=inf)
