"""How a worker that was told to drain comes to its end. All times count from the order.

    drain-delay        connections are accepted until then, as load balancers still send some; 0 where a
                       sibling or a successor goes on
    + IDLE_SECONDS     so long the last request of a client is waited for, and served; then connections
                       that wait for their client are closed
    the drain budget   what is left is closed, and the worker ends

Where somebody goes on, connections that wait for their client are left to them at once instead. It is over
sooner when no connection is left.
"""

from __future__ import annotations

import time

from greenuni.shell import Seat, WorkerState
from greenuni.wsgi.departures import Departures
from greenuni.wsgi.overseer import Overseer
from greenuni.wsgi.population import Population
from greenuni.wsgi.services import Services

IDLE_SECONDS = 2.0
TICK = 0.1  # seconds


class Drain:
    """One drain, which begins when it is made. It belongs to the loop."""

    def __init__(
        self,
        seat: Seat,
        services: Services,
        connections: Population,
        departures: Departures | None,
        overseer: Overseer,
        since: float,
    ) -> None:
        """``since`` is when the order came, by ``time.monotonic()``."""
        self._seat = seat
        self._loop = services.loop
        self._gateway = services.gateway
        self._runner = services.runner
        self._log = seat.log
        self._connections = connections
        self._departures = departures
        self._overseer = overseer
        budget = seat.drain_budget()
        delay = 0.0 if seat.is_followed else min(seat.config.drain_delay, budget)
        self._accepts_until = since + delay
        self._idle_until = since + min(delay + IDLE_SECONDS, budget)
        self._ends_at = since + budget
        seat.slot.set_state(WorkerState.DRAINING)
        if seat.siblings is not None:
            seat.siblings.leave()
        self._loop.tick_interval = min(TICK, self._loop.tick_interval)
        self._loop.tick_soon()

    def __repr__(self) -> str:
        return f"<Drain of {self._connections!r} until {self._ends_at:.1f}>"

    @property
    def accepts(self) -> bool:
        """Whether new connections are still taken."""
        return time.monotonic() < self._accepts_until

    def after_turn(self, accepts: bool) -> None:
        """Leave the clients to those who stay, if somebody does; end when there are none."""
        if self._departures is not None and self._seat.is_followed:
            for connection in self._connections.waiting():
                self._departures.retire(connection)
        else:
            self._gateway.closes = True
        if not self._connections and not accepts:
            self._loop.stop()

    def check(self) -> None:
        """At every tick."""
        now = time.monotonic()
        if now >= self._ends_at:
            if self._connections:
                self._log.warning(
                    "The time to drain is over: %d connections are closed, %d of them with a request running",
                    len(self._connections),
                    self._runner.running,
                )
                self._overseer.log_stacks()
            self._loop.stop()
        elif now >= self._idle_until:
            self._connections.expire_waiting()
