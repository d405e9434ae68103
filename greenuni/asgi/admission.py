"""Which requests wait, and how many connections there may be.

What is admitted is a request, to a slot: ``worker-connections`` calls run at a time. A worker without a
free slot accepts nobody, so that a sibling can. What asks over a connection that is there already stands
in line. With ``queue-timeout`` or ``priority`` a full worker goes on accepting, for only then
it knows for how long somebody has waited, and who goes first.
"""

from __future__ import annotations

import resource
from math import inf
from typing import Protocol

from greenuni.config import Config
from greenuni.http.request import Request

# Descriptors that are not for connections: listeners, logs, files, and what the application opens.
SPARE_DESCRIPTORS = 64

# Requests for priority paths that run beside all others. Some, as one may hang.
RESERVED_SLOTS = 8

# Requests that are turned away in one turn of the loop: a flood of them must not keep it from others.
TURNED_AWAY = 16


class Waiter(Protocol):
    """Whose request waits for a slot: a dialogue."""

    def admit(self, request: Request) -> None:
        """Start the request that it waits with; there is a slot for it."""

    def turn_away(self) -> None:
        """Answer by 503: it has waited for too long."""


class Line:
    """Those that wait, in the order of their coming."""

    def __init__(self, config: Config) -> None:
        self._timeout = config.queue_timeout or inf
        self._priority = frozenset(path.encode() for path in config.priority)
        self._waiting: dict[Waiter, tuple[float, Request]] = {}  # since when, in monotonic seconds
        self.is_inside = bool(config.queue_timeout or config.priority)

    def __repr__(self) -> str:
        return f"<Line of {len(self._waiting)}>"

    def __len__(self) -> int:
        return len(self._waiting)

    def goes_first(self, path: bytes) -> bool:
        """Whether requests for this path have slots of their own."""
        return path in self._priority

    def put(self, waiter: Waiter, request: Request, now: float) -> None:
        self._waiting[waiter] = now, request

    def remove(self, waiter: Waiter) -> None:
        """It waits no more."""
        self._waiting.pop(waiter, None)

    def admit_next(self) -> None:
        """Take the first out, and start its request."""
        waiter = next(iter(self._waiting))
        _, request = self._waiting.pop(waiter)
        waiter.admit(request)

    def turn_away_late(self, now: float) -> bool:
        """Who has waited for longer than ``queue-timeout`` need not wait any more.

        Some at a time; whether there are more of them.
        """
        until = now - self._timeout
        for _ in range(TURNED_AWAY):
            waiter, (since, _) = next(iter(self._waiting.items()), (None, (inf, None)))
            if waiter is None or since > until:
                return False
            del self._waiting[waiter]
            waiter.turn_away()
        return True


def most_connections(config: Config) -> int:
    """How many connections may be open: ``max-connections``, or what the limit of descriptors leaves."""
    if config.max_connections:
        return config.max_connections
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        limit = 2**20
    return max(1, limit - min(SPARE_DESCRIPTORS, limit // 2))
