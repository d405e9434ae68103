"""What all connections of a worker share: the application, the settings, and who is there.

There is one `Service` a worker. Connections and cycles register themselves with it; the server
reads from it whether there is room for another connection and whether a drain is complete.
"""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from greenuni.asgi.admission import RESERVED_SLOTS, Line, Waiter, most_connections
from greenuni.asgi.interfaces import App, Runtime, Waiting
from greenuni.clock import Clock
from greenuni.config import Config
from greenuni.deadlines import Deadlines
from greenuni.disconnects import DisconnectPolicy
from greenuni.errors import ConfigError
from greenuni.http import Limits, TrustedProxies
from greenuni.http.engine import EngineChoice, choose_engine
from greenuni.http.request import Request
from greenuni.shell import Seat

if TYPE_CHECKING:
    from anyio import CapacityLimiter

# How long, in seconds, an idle connection is left open after a drain has begun: its client may have
# sent a request that we have not read yet, and would see it fail.
DRAIN_IDLE = 2.0

# Threads that read files for http.response.pathsend; of our own, so that a slow disk does not take
# the threads that the application's blocking calls run in.
FILE_READERS = 8

# A connection that has been idle for less than this is in use; it is not closed to make room.
EVICTABLE_AFTER = 1.0


class Resident(Protocol):
    """A connection, as far as the service knows it."""

    idle_since: float  # monotonic seconds; infinite when it is in use

    def check(self, now: float) -> None:
        """Act on deadlines that have passed."""

    def start_drain(self) -> None: ...

    def close_idle(self) -> None:
        """Close, if no request is under way."""

    def leave(self) -> None:
        """The worker ends: close, or break off what is under way."""

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""


class WaysOut(Protocol):
    """How connections go to other workers, open as they are."""

    def keeps(self, connection: Any, request: Request, unread: bytes) -> bool:
        """Whether this worker is to serve a request; if not, its `Connection` has been seen to.

        ``unread`` are all octets received since the first one of the request.
        """

    def retire(self, connection: Any) -> bool:
        """Give a `Connection` that waits for its client to the siblings; False if it has to stay."""

    def keeps_clients(self) -> bool:
        """Whether siblings will take connections that this worker leaves behind."""

    def tick(self) -> None:
        """Once a tick: send those who wait."""


class Running(Protocol):
    """A request whose application call has not returned."""

    def describe(self, now: float) -> str:
        """``GET /path, 12.3 s``."""

    def dismiss(self) -> None:
        """Tell the application, by ``http.disconnect``, to come to an end."""

    def cancel(self) -> None:
        """Cancel the application's task."""

    @property
    def is_event_stream(self) -> bool:
        """Whether its response is a stream of events, which can end after any of them."""

    def cancel_if_deserted(self) -> None:
        """Cancel it, unless there is nothing left to send: its client has gone some time ago."""


class Service:
    """See the module. ``context`` and ``state`` are what lifespan startup left behind."""

    def __init__(
        self,
        seat: Seat,
        app: App,
        runtime: Runtime,
        context: contextvars.Context,
        state: dict[str, Any],
    ) -> None:
        config = seat.config
        self.seat = seat
        self.app = app
        self.runtime = runtime
        self.context = context
        self.state = state
        self.access = seat.access
        self.root_path = _root_path(seat)
        self.clock = Clock()
        self.limits, self.proxies, self.engine = _read_policy(config)
        self.deadlines = Deadlines.of(config)
        self.line = Line(config)
        self.population = Population(
            config.worker_connections, most_connections(config), self.line.is_inside
        )
        self.is_full = False  # no slot is free, or somebody stands in line
        self._admits_soon = False
        self._file_readers: CapacityLimiter | None = None
        self.ways_out: WaysOut | None = None  # None where there are no other workers
        # Whether requests may be for other pools
        self.is_shared = seat.pools is not None and seat.pools.is_shared
        self.is_leaving = False  # a drain has been announced
        self.is_draining = False  # and has begun: nobody new comes
        self.farewell: Waiting = runtime.new_waiting()  # set when a drain begins
        self.disconnects = 0  # clients that have gone before they were answered
        self._on_disconnect = DisconnectPolicy(config.on_disconnect)
        self.keeps_streams = config.sse_keepalive > 0  # streams of events get comments and fields
        self.closes = config.keepalive == 0  # responses say Connection: close
        self._slot = seat.slot
        self._requests_left = config.max_requests or -1  # before retirement is asked for; -1: never

    def __repr__(self) -> str:
        return f"<Service {'draining ' * self.is_draining}{self.population!r}>"

    @property
    def idle_timeout(self) -> float:
        """Seconds for which a connection may wait for its next request."""
        return min(self.deadlines.idle, DRAIN_IDLE) if self.is_draining else self.deadlines.idle

    @property
    def file_readers(self) -> CapacityLimiter:
        """Who reads files for responses. anyio's, and made for the first file, as few ever send one."""
        if self._file_readers is None:
            from anyio import CapacityLimiter

            self._file_readers = CapacityLimiter(FILE_READERS)
        return self._file_readers

    def request_started(self, call: Running, method: bytes, path: bytes, since: float) -> None:
        running = self.population.running
        running.add(call)
        count = len(running)
        if count >= self.population.capacity:
            self.is_full = True
        self._slot.begin(method, path, count, since)

    def request_finished(self, call: Running) -> None:
        """The application has returned; asks for retirement when that was the last one due."""
        population = self.population
        population.running.discard(call)
        count = len(population.running)
        self._slot.end(count)
        if self._requests_left > 0:
            self._requests_left -= 1
            if self._requests_left == 0:
                self.seat.retire("max-requests")
        if self.is_full:
            self._free_slot(count)
        elif self.is_draining:
            population.on_change()

    # Admission

    def must_wait(self, waiter: Waiter, request: Request) -> bool:
        """Asked when the worker is full: puts the request in line, unless it has a slot of its own."""
        count = len(self.population.running)
        if self.line.goes_first(request.path) and count < self.population.capacity + RESERVED_SLOTS:
            return False
        self.line.put(waiter, request, time.monotonic())
        return True

    def _free_slot(self, count: int) -> None:
        if self.line:
            # Not now: this is called from within a request, and one may end as soon as it starts.
            self._admit_soon()
        elif count < self.population.capacity:
            self.is_full = False
        self.population.on_change()

    def _admit_soon(self) -> None:
        if not self._admits_soon:
            self._admits_soon = True
            self.runtime.call_soon(self._admit)

    def _admit(self) -> None:
        """Turn those away who have waited for too long, and let those in who have waited longest."""
        self._admits_soon = False
        population = self.population
        if self.line.turn_away_late(time.monotonic()):
            self._admit_soon()
            return
        while self.line and len(population.running) < population.capacity:
            self.line.admit_next()
        self._look_at_line()

    def leave_line(self, waiter: Waiter) -> None:
        """Its client has gone before it was its turn."""
        self.line.remove(waiter)
        self._look_at_line()

    def _look_at_line(self) -> None:
        """Somebody stands in line no more."""
        if not self.line and len(self.population.running) < self.population.capacity:
            self.is_full = False
            self.population.on_change()

    def client_left(self, call: Running, path: bytes) -> None:
        """The client of a call has gone before it was answered."""
        self.disconnects += 1
        self.seat.log.debug("The client has gone: %s", call.describe(time.monotonic()))
        grace = self._on_disconnect.grace(path.decode("utf-8", "replace"))
        if grace != math.inf:
            self.runtime.call_later(grace, call.cancel_if_deserted)

    def check(self) -> None:
        """Once a tick: every deadline of every connection."""
        now = time.monotonic()
        if self.is_leaving:
            self.closes |= not self.keeps_clients()
        if self.ways_out is not None:
            self.ways_out.tick()
        if self.line:
            self._admit_soon()
        for connection in list(self.population.connections):
            connection.check(now)

    def announce_drain(self) -> None:
        """From here on connections leave with their next response, to siblings or for good.

        If it is for good, every response says ``Connection: close``.
        """
        self.is_leaving = True
        self.closes |= not self.keeps_clients()
        self.farewell.set()

    def start_drain(self) -> None:
        """From here on idle connections leave, too."""
        self.is_draining = True
        for connection in list(self.population.connections):
            connection.start_drain()

    def keeps_clients(self) -> bool:
        """Whether siblings will take the connections that this worker leaves behind."""
        return self.ways_out is not None and self.ways_out.keeps_clients()

    def leave(self) -> None:
        """The end: no connection stays."""
        for connection in list(self.population.connections):
            connection.leave()

    def abort(self) -> None:
        """Reset the connections that have not left by themselves."""
        for connection in list(self.population.connections):
            connection.abort()

    def in_flight(self) -> list[str]:
        """One line for every request that runs, for the dump of a stuck worker."""
        now = time.monotonic()
        return [running.describe(now) for running in list(self.population.running)]


def _root_path(seat: Seat) -> str:
    """Where the application is, as it is told: below the settings' root, at the mount of its pool."""
    root = seat.config.root_path
    if seat.pools is None or not seat.pools.prefix:
        return root
    return root.rstrip("/") + seat.pools.prefix.decode()


def _read_policy(config: Config) -> tuple[Limits, TrustedProxies, EngineChoice]:
    """The wire's settings. Raises ConfigError for values that it does not take."""
    try:
        proxies = TrustedProxies(config.forwarded_allow_ips)
        return Limits.of(config), proxies, choose_engine(config.http_engine)
    except ValueError as error:
        raise ConfigError(str(error)) from error


class Population:
    """Who is there: connections, which of them are idle, and requests that run.

    ``on_change`` is called when somebody leaves whose place or absence may be waited for.
    """

    def __init__(self, capacity: int, most_connections: int, admits_when_full: bool) -> None:
        self.connections: dict[Resident, None] = {}  # a set, in the order of their coming
        self.running: set[Running] = set()
        self.on_change: Callable[[], None] = _nothing
        self.capacity = capacity  # calls that run at a time
        self._most_connections = most_connections
        self._admits_when_full = admits_when_full

    def __repr__(self) -> str:
        return f"<Population connections={len(self.connections)} running={len(self.running)}>"

    def has_room(self) -> bool:
        """Whether another connection may be accepted."""
        return len(self.connections) < self._most_connections and (
            len(self.running) < self.capacity or self._admits_when_full
        )

    def is_empty(self) -> bool:
        return not (self.running or self.connections)

    def make_room(self) -> None:
        """Close the connection that has been idle longest, if one has been for a while.

        Idle connections are kept as a courtesy, so they must not keep a new client out.
        """
        oldest = None
        since = time.monotonic() - EVICTABLE_AFTER
        for connection in self.connections:
            if connection.idle_since < since:
                oldest, since = connection, connection.idle_since
        if oldest is not None:
            oldest.close_idle()

    def add(self, connection: Resident) -> None:
        self.connections[connection] = None

    def remove(self, connection: Resident) -> None:
        self.connections.pop(connection, None)
        self.on_change()


def _nothing() -> None:
    """Nobody listens yet."""
