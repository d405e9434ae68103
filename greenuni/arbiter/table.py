"""The table of one pool, which `decide` decides over: its workers, their stages, what is planned.

::

    BOOTING -> READY -> RETIRING      these two serve; RETIRING has asked to be replaced
    BOOTING -> BROKEN                 cannot boot, waits for the next save (--reload)
    BOOTING, READY, RETIRING -> FAILED       has said why and is ending by itself
    any -> STOPPING, ABORTING -> KILLED      has been sent TERM or QUIT, ABRT, KILL

Death, expected or not, takes a worker off the table from any stage. The exact steps: `TRANSITIONS`.
"""

import enum
from collections.abc import Iterator
from typing import NamedTuple

from greenuni.arbiter.exits import Sent
from greenuni.config import Config


class Standing(enum.Enum):
    """What is to become of a pool."""

    STAYING = "staying"
    LEAVING = "leaving"  # not configured any more: it serves until no other pool knows of it
    ENDING = "ending"  # its workers end and nobody follows them


class Stage(enum.Enum):
    """Where a worker is in its life, as far as the arbiter knows."""

    BOOTING = "booting"
    READY = "ready"
    RETIRING = "retiring"
    BROKEN = "broken"
    FAILED = "failed"
    STOPPING = "stopping"
    ABORTING = "aborting"
    KILLED = "killed"


_ENDS = {Stage.STOPPING, Stage.ABORTING, Stage.KILLED}
TRANSITIONS: dict[Stage, set[Stage]] = {
    Stage.BOOTING: {Stage.READY, Stage.BROKEN, Stage.FAILED} | _ENDS,
    Stage.READY: {Stage.RETIRING, Stage.FAILED} | _ENDS,
    Stage.RETIRING: {Stage.FAILED} | _ENDS,
    Stage.BROKEN: {Stage.STOPPING, Stage.KILLED},
    Stage.FAILED: {Stage.STOPPING, Stage.KILLED},
    Stage.STOPPING: _ENDS,  # STOPPING again when a quick stop overtakes a graceful one
    Stage.ABORTING: {Stage.KILLED},
    Stage.KILLED: {Stage.KILLED},
}
SERVING = {Stage.READY, Stage.RETIRING}
BEATING = SERVING | {Stage.STOPPING}  # a draining worker must turn its loop, too
IN_PLACE = {Stage.BOOTING, Stage.READY, Stage.RETIRING, Stage.BROKEN, Stage.FAILED}


class Plan(NamedTuple):
    """What the arbiter itself needs of a generation's configuration. Times in seconds, 0 is "off"."""

    workers: int = 1
    timeout: float = 30.0
    graceful_timeout: float = 30.0
    shutdown_timeout: float = 0.0
    drain_delay: float = 0.0
    boot_timeout: float = 0.0
    surge: int = 1  # successors of a roll that boot at a time
    boot_retries: int = 0  # boots more that may fail before a new generation is given up
    reload: bool = False
    preload: bool = False

    @classmethod
    def of(cls, config: Config) -> "Plan":
        """The plan that a configuration makes."""
        return cls(
            workers=max(1, config.workers),
            timeout=config.timeout,
            graceful_timeout=config.graceful_timeout,
            shutdown_timeout=config.shutdown_timeout,
            drain_delay=config.drain_delay,
            boot_timeout=config.boot_timeout,
            surge=config.surge,
            boot_retries=config.boot_retries,
            reload=config.reload,
            preload=config.preload_app,
        )


class Worker:
    """One worker process. Times are ``time.monotonic()`` seconds."""

    def __init__(
        self, serial: int, number: int, generation: int, plan: Plan, started_at: float
    ) -> None:
        self.serial = serial
        self.number = number
        self.generation = generation
        self.plan = plan
        self.started_at = started_at
        self.pid = 0
        self.stage = Stage.BOOTING
        self.boot_since = started_at  # later if the arbiter did not run meanwhile
        self.boot_told_at = started_at  # when the log last said that it boots
        self.ready_at: float | None = None
        self.seen_at = started_at  # latest known beat, once ready
        self.deadline: float | None = None  # when it is killed if it has not ended
        self.sent: Sent | None = None

    def become(self, stage: Stage) -> None:
        """Change the stage. Raises ``RuntimeError`` where the table of transitions has no such step."""
        if stage not in TRANSITIONS[self.stage]:
            raise RuntimeError(f"{self!r} cannot become {stage.value}")
        self.stage = stage

    def served(self, now: float) -> float:
        """Seconds that it has been ready."""
        return 0.0 if self.ready_at is None else now - self.ready_at

    @property
    def label(self) -> str:
        """How log lines name it. Under ``--preload`` it may have to wait for its fork."""
        return f"worker {self.number} ({f'pid {self.pid}' if self.pid else 'not forked yet'})"

    def __repr__(self) -> str:
        return f"<Worker {self.number} pid={self.pid} gen={self.generation} {self.stage.value}>"


FIRST_DELAY = 0.5  # seconds before the second attempt in a crash loop
LONGEST_DELAY = 30.0
SHORT_LIFE = 1.0  # a worker that has served for less makes the loop longer
LONG_LIFE = 10.0  # one that has served for as long ends it


class CrashLoop:
    """Deaths in quick succession in one place: the first is made good at once, further ones wait."""

    def __init__(self) -> None:
        self.deaths = 0
        self.not_before = 0.0

    def __repr__(self) -> str:
        return f"<CrashLoop {self.deaths} deaths, not before {self.not_before}>"

    def note_death(self, served: float, now: float) -> float:
        """A worker died that had served for so many seconds; returns how long its place stays empty."""
        if served >= LONG_LIFE:
            self.deaths = 0
        delay = 0.0
        if served < SHORT_LIFE:
            if self.deaths:
                delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (self.deaths - 1))
            self.deaths += 1
        self.not_before = now + delay
        return delay


class Table:
    """All that is known of a pool. Changed by `decide`, and its ``standing`` by the fleet as well.

    ``target`` is the generation that every worker should be of; ``proven`` the latest of which a worker
    became ready. They differ while a roll has not had its first success. ``serials`` are never used twice,
    in any pool.
    """

    def __init__(self, plan: Plan, name: str, generation: int, serials: Iterator[int]) -> None:
        """A pool that begins with ``generation``; ``name`` is empty when it is the only one."""
        self.plans = {generation: plan}
        self.name = name
        self.serials = serials
        self.standing = Standing.STAYING
        self.first = generation
        self.target = generation
        self.planned = generation  # the latest that was to be the target
        self.proven: int | None = None
        self.settled: int | None = None
        self.count = plan.workers
        self.workers: dict[int, Worker] = {}
        self.crash_loops: dict[int, CrashLoop] = {}
        self.boot_failures = 0  # of the target, while no worker of it has become ready
        self.failures_told: set[tuple[int, str]] = set()
        self.exit_status = 0  # of the failure for which it has never served; 0 is none

    def add(self, number: int, generation: int, now: float) -> Worker:
        """Enter a worker that is about to be forked."""
        plan = self.plans[generation]
        worker = Worker(next(self.serials), number, generation, plan, now)
        self.workers[worker.serial] = worker
        return worker

    def having(self, stages: set[Stage]) -> list[Worker]:
        """The workers in one of these stages, in order of place and age."""
        found = (worker for worker in self.workers.values() if worker.stage in stages)
        return sorted(found, key=lambda worker: (worker.number, worker.serial))

    def in_place(self, number: int) -> Iterator[Worker]:
        """Those who hold, or are to hold, place ``number``."""
        return (worker for worker in self.having(IN_PLACE) if worker.number == number)

    def crash_loop(self, number: int) -> CrashLoop:
        """The crash loop of a place."""
        return self.crash_loops.setdefault(number, CrashLoop())

    @property
    def drain_delay(self) -> float:
        """Seconds for which some of its workers go on accepting when the server is told to stop."""
        return max((worker.plan.drain_delay for worker in self.having(SERVING)), default=0.0)

    @property
    def is_ending(self) -> bool:
        """Whether its workers are on their way out."""
        return self.standing is Standing.ENDING

    @property
    def is_down(self) -> bool:
        """Whether it has shown that it cannot serve: one death is made good before anybody need know."""
        if self.exit_status:
            return True
        has_failed = any(loop.deaths > 1 for loop in self.crash_loops.values())
        return (has_failed or bool(self.having({Stage.BROKEN}))) and not self.having(SERVING)

    def __repr__(self) -> str:
        name = f" of {self.name}" if self.name else ""
        return f"<Table{name} {self.standing.value} target={self.target} {list(self.workers.values())}>"


def counted(number: int, noun: str) -> str:
    """ "1 worker", "2 workers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
