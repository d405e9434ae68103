"""The WSGI shell put together: accepting, running, handing on, draining.

Everything here but ``run``, ``drain`` and ``stop`` belongs to the thread that runs the loop. What
comes from elsewhere (signals, ``drain()`` from another thread, connections that the application is
done with) waits in a queue until the wake-up pipe turns the loop.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from dataclasses import dataclass

from greenuni.observe.errorstream import ErrorStream
from greenuni.poller import READ
from greenuni.shell import Seat, WorkerState, beat_interval
from greenuni.wsgi.acceptor import Acceptor
from greenuni.wsgi.application import QuickStop
from greenuni.wsgi.arrivals import AT_ONCE, Arrivals, Places
from greenuni.wsgi.connection import Connection
from greenuni.wsgi.departures import Departures
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.gateway import Gateway
from greenuni.wsgi.job import Job
from greenuni.wsgi.loop import Loop
from greenuni.wsgi.overseer import Overseer
from greenuni.wsgi.population import Population
from greenuni.wsgi.relief import Relief
from greenuni.wsgi.runner import InlineRunner
from greenuni.wsgi.services import Services, keep_all
from greenuni.wsgi.signals import Order, SignalHandlers
from greenuni.wsgi.threads import ThreadRunner
from greenuni.wsgi.wakeup import Mailbox, Wakeup

DRAIN_IDLE_SECONDS = 2.0  # how long a draining worker waits for the last request of an idle client
DRAIN_TICK = 0.1  # seconds


@dataclass(frozen=True)
class Drain:
    """Until when a drain accepts, waits for clients between requests, and lasts at all."""

    accepts_until: float
    idle_until: float
    until: float


class Server:
    """One serving worker. ``run`` serves; ``drain`` and ``stop`` may be called from any thread."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._orders: deque[tuple[Order, float]] = deque()
        self._drain: Drain | None = None
        self._room = seat.config.worker_connections
        self._callers = seat.config.threads
        self._is_crowded = False  # all threads have a call, so who comes now is sent to siblings
        self._is_queues_turn = False
        self._waits_inside = self._callers > 1 and seat.config.queue_timeout > 0
        self._wakeup = Wakeup(self._on_wake)
        self._returns: Mailbox[Job] = Mailbox(self._wakeup)
        self._loop = Loop(
            seat.log,
            beat_interval(seat.config.timeout),
            on_tick=self._tick,
            on_interrupt=self._obey,
            after_turn=self._admit,
        )
        self._connections = Population(self._loop)
        self._departures = self._new_departures()
        self._threads = (
            ThreadRunner(seat, self._loop, self._returns) if seat.config.threads > 1 else None
        )
        self._runner = self._threads or InlineRunner(seat)  # no hand-over is cheaper than any
        self._services = self._new_services()
        self._overseer = Overseer(seat, self._runner.calls, self._services.gateway)
        self._services.settle = self._overseer.settle
        if self._threads is None:
            seat.pulse.on_beat = self._overseer.check
        self._places = Places(
            seat.config, ErrorStream(seat.log), seat.pools.prefix if seat.pools else b""
        )
        self._acceptors = self._new_acceptors()
        self._arrivals = self._new_arrivals()
        self._doors = [*self._acceptors, *([self._arrivals] if self._arrivals else [])]
        self._relief = self._new_relief()

    def _new_departures(self) -> Departures | None:
        seat = self._seat
        if seat.pools is None:
            return None
        return Departures(seat.pools, self._loop, seat.log, seat.config.workers > 1)

    def _new_services(self) -> Services:
        seat = self._seat
        config = seat.config
        gateway = Gateway(
            seat.app.callable,
            seat.log,
            config.sendfile,
            closes=config.keepalive == 0,
            is_timed=config.threads > 1,
            keeps_streams=config.sse_keepalive > 0,
        )
        return Services(
            self._loop,
            gateway,
            config,
            seat.access,
            self._runner,
            closed=self._connections.discard,
            keeps=self._departures.keeps if self._departures else keep_all,
            routes=seat.pools is not None and seat.pools.is_shared,
        )

    def _new_acceptors(self) -> list[Acceptor]:
        seat = self._seat
        return [
            Acceptor(
                self._loop,
                listener,
                self._places.at(listener.getsockname()),
                self._accepted,
                seat.log,
                seat.siblings,
                held=self._connections.__len__,
            )
            for listener in seat.listeners
        ]

    def _new_arrivals(self) -> Arrivals | None:
        seat = self._seat
        if seat.pools is None:
            return None
        return Arrivals(
            self._loop, seat.pools.arrivals, self._places, self._arrived, seat.log, seat.config
        )

    def _new_relief(self) -> Relief | None:
        """What looks after the connections that have to wait, if there is anybody to give them to."""
        if self._departures is None:
            return None
        if not (self._departures.has_siblings or self._services.routes):
            return None
        if isinstance(self._runner, ThreadRunner):
            if not self._waits_inside:
                self._runner.on_crowded = self._crowd
            return None
        assert isinstance(self._runner, InlineRunner)
        return Relief(
            self._runner, self._loop, self._departures, self._doors, self._wakeup, self._seat.log
        )

    def __repr__(self) -> str:
        state = "draining" if self._drain else "serving"
        return (
            f"<Server {state} connections={len(self._connections)} running={self._runner.running}>"
        )

    def run(self) -> None:
        """Serve until drained or stopped."""
        threads = self._threads
        with SignalHandlers(self._on_signal, threads.bell if threads else self._wakeup):
            self._loop.poller.register(self._wakeup.read_fd, READ)
            self._loop.handlers[self._wakeup.read_fd] = self._wakeup
            self._seat.in_flight = self._runner.in_flight
            own = 0 if threads else threading.get_ident()
            self._seat.long_requests = functools.partial(self._runner.long_requests, own)
            self._admit()
            try:
                self._seat.ready()
                if threads is None:
                    self._loop.run()
                else:
                    threads.run(self._wakeup)
            finally:
                self._close()

    def drain(self) -> None:
        """Have ``run`` finish what is in flight, and return."""
        self._give(Order.DRAIN)
        self._wakeup.wake()

    def stop(self) -> None:
        """Have ``run`` return at once."""
        self._give(Order.STOP)
        self._wakeup.wake()

    # Orders

    def _give(self, order: Order) -> None:
        self._orders.append((order, time.monotonic()))
        if order is Order.DRAIN:
            # At once, for a request that runs inside the loop: its response can still say so.
            self._services.gateway.closes |= not self._is_followed
            self._services.gateway.is_leaving = True
        self._loop.interrupt()

    @property
    def _is_followed(self) -> bool:
        """Whether somebody takes the connections over that this worker leaves."""
        return self._departures is not None and self._departures.is_open

    def _on_signal(self, order: Order) -> None:
        self._give(order)
        if order is Order.STOP and self._seat.pulse.in_app:
            raise QuickStop(0)

    def _on_wake(self) -> None:
        self._obey()
        for job in self._returns.take_all():
            self._take_back(job)

    def _take_back(self, job: Job) -> None:
        assert self._threads is not None
        try:
            self._threads.taken_back(job)
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._loop.close_failed(job, error)

    def _obey(self) -> None:
        while self._orders:
            order, given_at = self._orders.popleft()
            if order is Order.DRAIN:
                self._begin_drain(given_at)
            elif order is Order.STOP:
                self._loop.stop()
            else:
                self._seat.reopen_logs()

    def _begin_drain(self, since: float) -> None:
        if self._drain is not None:
            return
        budget = self._seat.drain_budget()
        delay = 0.0 if self._is_followed else min(self._seat.config.drain_delay, budget)
        idle = min(delay + DRAIN_IDLE_SECONDS, budget)
        self._drain = Drain(since + delay, since + idle, since + budget)
        self._seat.slot.set_state(WorkerState.DRAINING)
        if self._seat.siblings is not None:
            self._seat.siblings.leave()
        self._loop.tick_interval = min(DRAIN_TICK, self._loop.tick_interval)
        self._loop.tick_soon()
        if self._arrivals is not None and not self._is_followed:
            while self._arrivals.take():
                pass  # nobody else will

    # Connections and requests

    def _admit(self) -> None:
        """Listen while there is room: a connection more, and a thread that is free to serve it.

        Otherwise new connections are left to siblings, and wait for whoever has time first. With
        ``queue-timeout`` they wait here, as else nobody would know for how long.
        """
        if self._is_crowded and self._runner.running < self._callers:
            self._uncrowd()
        is_open = self._drain is None or time.monotonic() < self._drain.accepts_until
        has_room = (
            is_open
            and len(self._connections) < self._room
            and (self._runner.running < self._callers or self._waits_inside)
        )
        for door in self._doors:
            door.listen(has_room)
        if self._drain is not None:
            self._send_off()
            if not self._connections and not is_open:
                self._loop.stop()

    def _send_off(self) -> None:
        """Leave the clients to those who stay, if somebody does."""
        if self._departures is not None and self._departures.is_open:
            for connection in self._connections.waiting():
                self._departures.retire(connection)
        else:
            self._services.gateway.closes = True

    def _crowd(self) -> None:
        """All threads have a call, so who comes now is better off with a sibling."""
        self._set_crowded(True)
        assert self._arrivals is not None
        self._arrivals.listen(False)  # at once: what arrives in this turn would be sent back

    def _uncrowd(self) -> None:
        """A thread is free, every other time for those in the queue.

        Else the client that has just been answered would be the next one, for as long as it is quick, and the
        others would wait. The times between are for new connections.
        """
        self._set_crowded(False)
        self._is_queues_turn = not self._is_queues_turn
        if not self._is_queues_turn:
            return
        assert self._arrivals is not None
        for _ in range(AT_ONCE):
            has_room = self._drain is None and len(self._connections) < self._room
            if self._runner.running >= self._callers or not has_room or not self._arrivals.take():
                return

    def _set_crowded(self, is_crowded: bool) -> None:
        assert self._departures is not None
        self._is_crowded = self._departures.is_crowded = is_crowded
        self._services.is_choosy = is_crowded or self._services.routes

    def _accepted(self, fd: int, address: SocketName, environs: EnvironFactory) -> None:
        self._admit_one(Connection(self._services, fd, address, environs))

    def _admit_one(self, connection: Connection) -> None:
        self._connections.add(connection)
        try:
            connection.on_event(READ)  # its first bytes are often there already
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._loop.close_failed(connection, error)

    def _arrived(
        self, fd: int, address: SocketName, environs: EnvironFactory, unread: bytes, hops: int
    ) -> None:
        connection = Connection(self._services, fd, address, environs)
        self._connections.add(connection)
        try:
            connection.arrive(unread, hops)
        except Exception as error:  # noqa: BLE001 - one connection of many
            self._loop.close_failed(connection, error)

    # At every tick

    def _tick(self) -> None:
        self._seat.slot.beat()
        self._obey()  # a signal handler may have run just after the loop was woken for it
        self._connections.check_deadlines()
        if self._threads is not None:
            self._overseer.check()
        if self._departures is not None:
            self._departures.flush()
        if self._drain is not None:
            self._drain_further(self._drain)
            return
        if self._seat.siblings is not None:
            self._seat.siblings.note(len(self._connections))
        if self._is_full:
            self._connections.evict()

    @property
    def _is_full(self) -> bool:
        return len(self._connections) >= self._room or any(
            door.is_exhausted for door in self._doors
        )

    def _drain_further(self, drain: Drain) -> None:
        now = time.monotonic()
        if now >= drain.until:
            if self._connections:
                self._seat.log.warning(
                    "The time to drain is over: %d connections are closed, %d of them with a request running",
                    len(self._connections),
                    self._runner.running,
                )
                self._overseer.log_stacks()
            self._loop.stop()
        elif now >= drain.idle_until:
            self._connections.expire_waiting()

    def _close(self) -> None:
        self._runner.stop()
        if self._relief is not None:
            self._relief.stop()
        for door in self._doors:
            door.close()
        self._connections.close(returned=self._returns.close())
        self._loop.close()
        self._wakeup.close()
