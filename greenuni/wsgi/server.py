"""The WSGI shell put together, and the orders that it gets.

Everything here but ``run``, ``drain`` and ``stop`` belongs to the thread that runs the loop. What
comes from elsewhere (signals, ``drain()`` from another thread, connections that the application is
done with) waits in a queue until the wake-up pipe turns the loop.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque

from greenuni.poller import READ
from greenuni.shell import Seat, beat_interval
from greenuni.wsgi.admission import Admission
from greenuni.wsgi.application import QuickStop
from greenuni.wsgi.departures import Departures
from greenuni.wsgi.drain import Drain
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


class Server:
    """One serving worker. ``run`` serves; ``drain`` and ``stop`` may be called from any thread."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._orders: deque[tuple[Order, float]] = deque()
        self._drain: Drain | None = None
        self._wakeup = Wakeup(self._on_wake)
        self._returns: Mailbox[Job] = Mailbox(self._wakeup)
        self._loop = Loop(
            seat.log,
            beat_interval(seat.config.timeout),
            on_tick=self._tick,
            on_interrupt=self._obey,
            after_turn=self._turned,
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
        self._admission = Admission(seat, self._services, self._connections, self._departures)
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

    def _new_relief(self) -> Relief | None:
        """What looks after the connections that have to wait, if there is anybody to give them to."""
        if self._departures is None:
            return None
        if not (self._departures.has_siblings or self._services.routes):
            return None
        if isinstance(self._runner, ThreadRunner):
            if not self._admission.waits_inside:
                self._runner.on_crowded = self._admission.crowd
            return None
        assert isinstance(self._runner, InlineRunner)
        return Relief(
            self._runner,
            self._loop,
            self._departures,
            self._admission.doors,
            self._wakeup,
            self._seat.log,
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
            self._admission.listen(True)
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
            self._services.gateway.closes |= not self._seat.is_followed
            self._services.gateway.is_leaving = True
        self._loop.interrupt()

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
        self._drain = Drain(
            self._seat, self._services, self._connections, self._departures, self._overseer, since
        )
        if not self._seat.is_followed:
            self._admission.take_arrivals()

    # At every turn, and at every tick

    def _turned(self) -> None:
        drain = self._drain
        is_open = drain is None or drain.accepts
        self._admission.listen(is_open)
        if drain is not None:
            drain.after_turn(is_open)

    def _tick(self) -> None:
        self._seat.slot.beat()
        self._obey()  # a signal handler may have run just after the loop was woken for it
        self._connections.check_deadlines()
        if self._threads is not None:
            self._overseer.check()
        if self._departures is not None:
            self._departures.flush()
        if self._drain is not None:
            self._drain.check()
            return
        if self._seat.siblings is not None:
            self._seat.siblings.note(len(self._connections))
        if self._admission.is_full:
            self._connections.evict()

    def _close(self) -> None:
        self._runner.stop()
        if self._relief is not None:
            self._relief.stop()
        self._admission.close()
        self._connections.close(returned=self._returns.close())
        self._loop.close()
        self._wakeup.close()
