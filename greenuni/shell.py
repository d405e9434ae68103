"""The seam between the life of a worker process and the shell that serves its application.

A *shell* is a module with one function::

    def serve(seat: Seat) -> None

It accepts on ``seat.listeners``, runs ``seat.app``, calls ``seat.ready()`` once it can answer, and
returns when it has drained. The worker (``greenuni.worker``) owns everything else: signals at boot,
privileges, loading, the message pipe and the scoreboard. Tests sit a shell on the fakes in
``greenuni.testing``.

Signals, while a shell serves: TERM drains within ``seat.drain_budget()`` seconds; INT and QUIT stop
at once (``QUICK_STOP_BUDGET``); USR1 calls ``seat.reopen_logs()``. The shell installs those three
itself, because how a signal wakes a loop is the loop's business. ABRT is the worker's.
"""

import enum
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from greenuni.config import Config
from greenuni.handoff import HOPS_LIMIT, UNREAD_LIMIT
from greenuni.observe import AccessLog
from greenuni.pulse import Pulse
from greenuni.routing import NOBODY, ROOT, Mount, Router
from greenuni.siblings import Siblings

__all__ = [
    "NOBODY",
    "QUICK_STOP_BUDGET",
    "TICK",
    "Application",
    "Interface",
    "LongRequest",
    "Pools",
    "Pulse",
    "Refusal",
    "Seat",
    "Slot",
    "WorkerState",
    "beat_interval",
]

TICK = 1.0  # seconds between the turns of a loop that has nothing to do
QUICK_STOP_BUDGET = 1.5  # seconds a worker may still take after INT or QUIT, lifespan included


def beat_interval(timeout: float) -> float:
    """Seconds between two beats, so that ``timeout`` never passes without one; 0 is no timeout."""
    return min(TICK, timeout / 4) if timeout else TICK


class Interface(str, enum.Enum):
    """How an application is called."""

    WSGI = "wsgi"
    ASGI3 = "asgi"
    ASGI2 = "asgi2"


class Application(NamedTuple):
    """A loaded application: what to call, how, and what to say of it in the banner.

    Or several, each where it is mounted; then there is nothing to call until they are hosted, and
    the interface is that of the worker which suits them.
    """

    callable: Any
    interface: Interface
    target: str  # as the user wrote it, "main:app"
    description: str  # "Flask instance", "async function"
    mounted: tuple[tuple[Mount, "Application"], ...] = ()

    @property
    def parts(self) -> tuple["Application", ...]:
        """The applications of the user: those that are mounted, else this one."""
        return tuple(app for _, app in self.mounted) or (self,)

    @property
    def interfaces(self) -> tuple[str, ...]:
        """How each of them is called."""
        return tuple(part.interface.value for part in self.parts)


class WorkerState(enum.IntEnum):
    """What a worker is doing, as its scoreboard slot shows it."""

    EMPTY = 0
    BOOTING = 1
    SERVING = 2
    DRAINING = 3


class Buffer(Protocol):
    """Bytes that somebody else may change: an mmap, a bytearray."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, byte: int, /) -> None: ...


class Refusal(NamedTuple):
    """What a client is told whose request goes to no application."""

    status: int
    detail: str


NO_POOL = Refusal(404, "There is no application at this address.")
POOL_IS_DOWN = Refusal(503, "The application at this address cannot be reached now.")
POOL_IS_BUSY = Refusal(503, "The application at this address is too busy.")
HEAD_TOO_LARGE = Refusal(431, f"The request head is larger than {UNREAD_LIMIT // 2} bytes.")


class Slot(Protocol):
    """The worker's own slot in the scoreboard. Written by one process, read by the arbiter.

    Times are ``time.monotonic()`` seconds, which all processes of a machine share.
    """

    def beat(self) -> None:
        """Say that the loop has turned; at least every ``beat_interval`` while it does."""

    def set_state(self, state: WorkerState) -> None: ...

    def begin(self, method: bytes, path: bytes, in_flight: int, since: float) -> None:
        """A request starts; ``GET /path``, cut to fit, is what a log line or a dump will name."""

    def end(self, in_flight: int) -> None:
        """A request has ended; adds one to the worker's total."""

    @property
    def requests(self) -> int:
        """Requests ended so far by this worker."""


class Pools:
    """The pools behind a worker's listeners, itself among them, and the ways from one to the other.

    ``route`` says whose a request is. If that is not ``own``, its connection goes through ``queues[index]``
    (see `handoff`), unless ``why_not`` has a reason to refuse it. What is sent to ``queues[own]`` goes to
    whichever sibling takes it first. The worker's own queue is read from ``arrivals``, by all workers of its
    pool. Queues outlive workers and generations. While a HUP changes mounts, two workers may have different
    tables, so what arrives may be another's again.
    """

    def __init__(
        self,
        own: int,
        names: tuple[str, ...],
        mounts: tuple[Mount, ...],
        queues: tuple[socket.socket, ...],
        arrivals: socket.socket,
        down: tuple[Buffer, ...],
    ) -> None:
        self.own = own
        self.names = names  # "site", by index
        self.mounts = mounts
        self.queues = queues  # sending ends, by index
        self.arrivals = arrivals  # receiving end of the own queue
        self.down = down  # a byte each, which all processes see: not 0 when it is down
        self._router = Router(mounts)

    def __repr__(self) -> str:
        return f"<Pools {' '.join(map(str, self.mounts))}, own {self.own}>"

    @property
    def is_shared(self) -> bool:
        """Whether requests have to be routed; if not, all that come are for this worker's pool."""
        return self.mounts != (ROOT,)

    def route(self, host: bytes, path: bytes) -> int:
        """The index of the pool that has a request, or `routing.NOBODY`; see `Router.find`."""
        return self._router.find(host, path)

    def why_not(self, index: int, hops: int) -> Refusal | None:
        """Why a request that `route` gave this index cannot be sent there after so many ``hops``."""
        if index == NOBODY:
            return NO_POOL
        return None if self.is_up(index) and hops < HOPS_LIMIT else POOL_IS_DOWN

    def lets_go(self, connection: Any, index: int) -> bool:
        """Count the hop of a connection to the pool of this index, or refuse its request."""
        refusal = self.why_not(index, connection.hops)
        if refusal is None:
            connection.hops += 1
            return True
        connection.refuse(refusal.status, refusal.detail)
        return False

    def is_up(self, index: int) -> bool:
        """False while a pool keeps ending before it can serve, or could not start at all, or is to end.

        A pool that boots is up: what waits in its queue is served as soon as it is ready.
        """
        return self.down[index][0] == 0

    def keeps_clients(self) -> bool:
        """Whether somebody will take connections out of the own queue when this worker has ended."""
        return self.is_up(self.own)

    def forsake(self) -> None:
        """The arbiter has gone, so nobody follows the workers that there are."""
        for down in self.down:
            down[0] = 1

    @property
    def prefix(self) -> bytes:
        """What the paths of this worker's own requests begin with: ``b"/api"``, or empty at the root."""
        return self.mounts[self.own].prefix.encode()

    def close(self) -> None:
        """Give the queues up: this process neither takes nor hands over connections any more."""
        for queue in (*self.queues, self.arrivals):
            queue.close()


class LongRequest(NamedTuple):
    """A request that the application has had for long, and where to find its stack."""

    title: str  # "GET /path"
    since: float  # when it began, by time.monotonic()
    thread: int = 0  # the thread that runs it, or its loop, by threading.get_ident(); 0 is none yet
    task: object = None  # of asyncio, if there is one


def no_long_requests(before: float) -> list[LongRequest]:
    """What a shell has that does not tell."""
    return []


class Seat:
    """All that a shell is given, and what it tells. Callables are to be called from one thread at a time."""

    def __init__(
        self,
        *,
        config: Config,
        app: Application,
        listeners: Sequence[socket.socket],
        log: logging.Logger,
        access: AccessLog | None,
        slot: Slot,
        pulse: Pulse,
        ready: Callable[[], None],
        retire: Callable[[str], None],
        drain_budget: Callable[[], float],
        reopen_logs: Callable[[], None],
        siblings: Siblings | None = None,
        pools: Pools | None = None,
    ) -> None:
        self.config = config
        self.app = app
        self.listeners = listeners  # non-blocking, listening, shared with siblings
        self.log = log  # "greenuni.error"
        self.access = access  # None when the access log is off
        self.slot = slot
        self.pulse = pulse
        self.ready = ready  # tells the arbiter that this worker answers requests
        self.retire = retire  # asks to be replaced, with the reason; TERM follows when due
        self.drain_budget = drain_budget  # seconds, at the moment a drain begins
        self.reopen_logs = reopen_logs
        self.siblings = siblings  # who accepts from the same listeners, if anybody does
        self.pools = pools  # None only in tests, and in whatever else runs a shell by itself

        # Set by the shell. Lines for the dump of a stuck worker; the requests that have run since before
        # a monotonic time, asked for by another thread; on which event loop it runs, if on one, before it
        # is ready.
        self.in_flight: Callable[[], list[str]] = list
        self.long_requests: Callable[[float], list[LongRequest]] = no_long_requests
        self.loop = ""

    def __repr__(self) -> str:
        return f"<Seat of {self.app.target}>"

    @property
    def is_followed(self) -> bool:
        """Whether a sibling or a successor takes over the connections that this worker leaves."""
        return self.pools is not None and self.pools.keeps_clients()
