"""The program of an ASGI worker: start the application, accept, drain, shut it down.

Everything that happens by the clock happens in one tick, once a second unless ``timeout`` is short:
the worker beats, every deadline of every connection is compared, and accepting is tried again if it
had to stop. The beat comes from the loop that it vouches for; a loop that does not turn does not beat.

A drain has ``seat.drain_budget()`` seconds; `departure` says what happens in it, and here it is done.
Where siblings will serve on, nobody is told to close: connections go to them, idle ones at once, the
others when their response is complete.
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator

from greenuni.asgi.accept import Acceptor, Door
from greenuni.asgi.arrivals import Arrivals
from greenuni.asgi.departure import Departure, Step
from greenuni.asgi.departures import Departures
from greenuni.asgi.interfaces import App, Runtime
from greenuni.asgi.news import News
from greenuni.asgi.overseer import Overseer, long_requests
from greenuni.asgi.runtime import run
from greenuni.asgi.service import Service
from greenuni.asgi.transport import Sockets
from greenuni.lifespan import Lifespan
from greenuni.loops import choose_loop
from greenuni.shell import TICK, Interface, Seat, WorkerState, beat_interval

FAREWELL = 0.1  # for the last bytes of connections that are closed in the end

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)


class Server:
    """One worker's server. ``run`` returns when it has drained; raises BootError, ConfigError.

    ``drain`` and ``quick_stop`` do what TERM and INT do, and may be called from any other thread
    once ``run`` has come to its loop. RuntimeError before, and after the loop has ended.
    """

    def __init__(self, seat: Seat, tick: float | None = None) -> None:
        self._seat = seat
        self._tick_seconds = tick or beat_interval(seat.config.timeout)
        self._loop = choose_loop(seat.config)
        self._runtime: Runtime | None = None
        self._service: Service | None = None
        self._sockets: Sockets | None = None
        self._acceptors: list[Acceptor] = []  # of the listeners, and of what other workers send
        self._overseer: Overseer | None = None
        self._departure: Departure | None = None  # set once we are to leave
        self._news: News  # of those who leave, the departure and the lifespan

    def __repr__(self) -> str:
        return f"<Server {self._loop} {self._service!r}>"

    def run(self) -> None:
        """Serve until told to stop, and drained."""
        with _deaf_afterwards():
            run(self._loop, self._main)
        if self._sockets is not None:
            # Not earlier: on trio a task may still be waiting for the descriptor.
            self._sockets.close()

    def drain(self) -> None:
        """Begin to drain; thread-safe."""
        self._call_soon(False)

    def quick_stop(self) -> None:
        """Stop at once; thread-safe."""
        self._call_soon(True)

    def _call_soon(self, quickly: bool) -> None:
        if self._runtime is None:
            raise RuntimeError("the server has not been started")
        self._runtime.call_soon_threadsafe(functools.partial(self._leave, quickly))

    # Tasks

    async def _main(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._news = News(runtime, self._tick, self._tick_seconds)
        with _obeyed_signals(runtime, self._obey):
            await self._live(runtime)

    def _obey(self, number: signal.Signals) -> None:
        if number == signal.SIGUSR1:
            self._seat.reopen_logs()
        else:
            self._leave(number != signal.SIGTERM)

    def _tick(self) -> None:
        self._seat.slot.beat()
        if self._service is not None:
            self._service.check()
        if self._overseer is not None:
            self._overseer.check(time.monotonic())
        for acceptor in self._acceptors:
            acceptor.tick()

    def _leave(self, quickly: bool) -> None:
        """TERM, INT or QUIT. The first decides, but that a quick stop cuts a drain short."""
        departure = self._departure
        if departure is None:
            self._departure = Departure.quick() if quickly else self._plan_drain()
        elif quickly:
            self._departure = min(departure, Departure.quick(), key=lambda plan: plan.end)
        self._news.tell()

    def _plan_drain(self) -> Departure:
        seat = self._seat
        keeps_clients = self._service is not None and self._service.keeps_clients()
        delay = 0.0 if keeps_clients else seat.config.drain_delay
        return Departure.after(seat.drain_budget(), seat.config, delay)

    async def _live(self, runtime: Runtime) -> None:
        seat = self._seat
        app: App = seat.app.callable
        if seat.app.interface is Interface.ASGI2:
            # For these only: it imports asgiref's threads.
            from asgiref.compatibility import double_to_single_callable

            app = double_to_single_callable(app)  # type: ignore[no-untyped-call]
        is_required = seat.config.lifespan == "on"
        lifespan = Lifespan(
            app,
            runtime.new_waiting,
            runtime.cancelled,
            is_required=is_required,
            on_change=self._news.tell,
        )
        if seat.config.lifespan != "off":
            runtime.accompany(lifespan.run, "lifespan")
            while lifespan.is_starting and self._departure is None:
                await self._news.wait(math.inf)
            if not lifespan.is_starting:
                lifespan.check_startup()
        if self._departure is None:
            service = Service(seat, app, runtime, lifespan.context, lifespan.state)
            await self._serve(service, runtime)
        await self._shut_down(lifespan)

    async def _shut_down(self, lifespan: Lifespan) -> None:
        self._seat.pulse.in_app = True  # its code may keep the loop, within the time that it has
        lifespan.stop()
        began = time.monotonic()
        while self._departure is not None and lifespan.is_up:
            until = max(self._departure.end, began + self._departure.lifespan_seconds)
            if time.monotonic() >= until:
                self._seat.log.warning("Abandoned, as it does not finish: the lifespan shutdown")
                return
            await self._news.wait(until)
        if lifespan.failure:
            self._seat.log.error("The lifespan shutdown failed: %s", lifespan.failure)

    # Serving and draining

    async def _serve(self, service: Service, runtime: Runtime) -> None:
        seat = self._seat
        sockets = self._sockets = Sockets(runtime.call_soon, seat.log)
        if seat.pools is not None:
            service.ways_out = Departures(service, seat.pools, sockets)
        service.population.on_change = self._somebody_left
        seat.in_flight = service.in_flight
        seat.long_requests = functools.partial(long_requests, service, threading.get_ident())
        seat.loop = str(self._loop)
        self._service, self._acceptors = service, _new_acceptors(service, sockets)
        self._overseer = Overseer.maybe_new(service)
        for acceptor in self._acceptors:
            acceptor.start()
        runtime.watch(sockets.fileno(), sockets.turn)
        seat.slot.set_state(WorkerState.SERVING)
        seat.ready()
        while self._departure is None:
            await self._news.wait(math.inf)
        seat.slot.set_state(WorkerState.DRAINING)
        service.announce_drain()
        while (starts_at := self._departure.starts_at) > time.monotonic():
            await self._news.wait(starts_at)
        self._stop_accepting(service, sweep=self._departure.cancel_at > time.monotonic())
        service.start_drain()
        await self._wait_until_empty(service)
        self._go(service)
        farewell = time.monotonic() + FAREWELL
        while service.population.connections and time.monotonic() < farewell:
            await self._news.wait(farewell)
        service.abort()
        runtime.unwatch(sockets.fileno())

    def _stop_accepting(self, service: Service, *, sweep: bool) -> None:
        """Close the listeners. What other workers have sent is left to siblings, if there are any."""
        listeners, *arrivals = self._acceptors
        listeners.stop(sweep=sweep)
        for acceptor in arrivals:
            if service.keeps_clients():
                acceptor.stop(sweep=False)
            elif sweep:
                acceptor.sweep()

    def _somebody_left(self) -> None:
        for acceptor in self._acceptors:
            acceptor.somebody_left()
        if self._departure is not None:
            self._news.tell()

    async def _wait_until_empty(self, service: Service) -> None:
        """Wait for the last connection and request, helping them along as the departure says."""
        running = service.population.running
        has_cancelled = False
        while self._departure is not None and not service.population.is_empty():
            now = time.monotonic()
            step = self._departure.step(now)
            if step is Step.OVER or (step is Step.CANCELLED and not running):
                return
            if step is Step.CANCELLED and not has_cancelled:
                has_cancelled = True
                in_flight = "; ".join(service.in_flight())
                self._seat.log.warning("Cancelled, to stop in time: %s", in_flight)
            _help_along(service, step)
            # A request that was plain when streams were told may be a stream a moment later.
            await self._news.wait(min(self._departure.next_step_at(now), now + TICK))

    def _go(self, service: Service) -> None:
        """What is left now is left behind."""
        stuck = service.in_flight()
        if stuck:
            self._seat.log.warning("Abandoned, as they do not stop: %s", "; ".join(stuck))
        service.leave()


def _help_along(service: Service, step: Step) -> None:
    """Do to the requests that run what is due."""
    for request in list(service.population.running):
        if step is Step.CANCELLED:
            request.cancel()
        elif step is Step.DISMISSED or (step is Step.STREAMS_DISMISSED and request.is_event_stream):
            request.dismiss()


def _new_acceptors(service: Service, sockets: Sockets) -> list[Acceptor]:
    """One for the listeners, and one for the queue of connections that other workers have sent."""
    seat, proxies = service.seat, service.proxies
    doors = [Door(listener, proxies) for listener in seat.listeners]
    acceptors = [Acceptor(service, sockets, doors, seat.siblings)]
    if seat.pools is not None:
        arrivals = Arrivals(seat.pools.arrivals, proxies)
        acceptors.append(Acceptor(service, sockets, [arrivals]))
    return acceptors


@contextlib.contextmanager
def _obeyed_signals(runtime: Runtime, obey: Callable[[signal.Signals], None]) -> Iterator[None]:
    """In the main thread; others cannot have any."""
    if threading.current_thread() is threading.main_thread():
        runtime.on_signals(SIGNALS, obey)
        try:
            yield
        finally:
            # What comes from now on waits: the loop leaves the default behind, which is death.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    else:
        yield


@contextlib.contextmanager
def _deaf_afterwards() -> Iterator[None]:
    """Ignore, when the loop has gone, what comes second: it ends already.

    Ctrl-C reaches the worker by itself, and QUIT follows from the arbiter.
    """
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
