"""A world for the supervisor to act upon: forks succeed at once, time passes when the test says so."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TypeVar

from greenuni.arbiter.events import (
    Command,
    Configured,
    Died,
    Event,
    Finish,
    Forked,
    Log,
    ReloadConfig,
    Said,
    Send,
    Signalled,
    Spawn,
    Tick,
)
from greenuni.arbiter.exits import Exit
from greenuni.arbiter.fleet import Fleet, direct, next_deadline
from greenuni.arbiter.messages import Failed, Message, Ready
from greenuni.arbiter.scoreboard import Reading
from greenuni.arbiter.table import Plan, Stage, Worker

Kind = TypeVar("Kind")


class World:
    """Feeds events to `direct` and keeps the commands of the latest step in ``commands``."""

    def __init__(
        self,
        workers: int = 1,
        ready: bool = True,
        pools: Sequence[str] = ("",),
        signal_pool: str | None = None,
        **plan: float | bool,
    ) -> None:
        self.plan = Plan(workers=workers, **plan)  # type: ignore[arg-type]
        self.fleet = Fleet(dict.fromkeys(pools, self.plan), signal_pool)
        self.table = self.fleet.tables[0]
        self.now = 1000.0
        self.commands: list[Command] = []
        self.feed(Tick())
        if ready:
            self.all_ready()

    def feed(self, *events: Event) -> list[Command]:
        self.commands = []
        for event in events:
            self._feed(event)
        return self.commands

    def _feed(self, event: Event) -> None:
        for command in direct(self.fleet, self.now, event):
            self.commands.append(command)
            if isinstance(command, Spawn):
                self._feed(Forked(command.serial, 100 + command.serial))

    # What happens

    def signal(self, number: signal.Signals) -> list[Command]:
        return self.feed(Signalled(number))

    def say(self, serial: int, message: Message) -> list[Command]:
        return self.feed(Said(serial, message))

    def ready(self, serial: int) -> list[Command]:
        return self.say(serial, Ready("app:app"))

    def all_ready(self) -> None:
        for worker in self.workers(Stage.BOOTING):
            self.ready(worker.serial)

    def fail(self, serial: int, message: str = "no module", status: int = 3) -> list[Command]:
        return self.say(serial, Failed(message, "Traceback of the user", status))

    def die(
        self, serial: int, status: int | None = None, number: int | None = None
    ) -> list[Command]:
        if status is None and number is None:
            status = 0
        return self.feed(Died(serial, Exit(status, number), 7))

    def hup(self, **plan: float | bool) -> list[Command]:
        """A HUP whose new configuration can be used."""
        commands = self.signal(signal.SIGHUP)
        (reload,) = only(ReloadConfig, commands)
        return self.configured(reload.generation, **plan)

    def configured(self, generation: int, **plan: float | bool) -> list[Command]:
        new = self.plan._replace(**plan)  # type: ignore[arg-type]
        return self.feed(Configured(generation, {"": new}))

    def reload(self, **plans: Plan) -> list[Command]:
        """A HUP whose new configuration has these pools."""
        (reload,) = only(ReloadConfig, self.signal(signal.SIGHUP))
        return self.feed(Configured(reload.generation, plans))

    def wait(self, seconds: float, beating: bool = True, **reading: object) -> list[Command]:
        """Let time pass; the loop ticks at the end of it, on time."""
        self.now += seconds
        beat = self.now if beating else 0.0
        readings = {s: Reading(beat=beat, **reading) for s in self.serials()}  # type: ignore[arg-type]
        return self.feed(Tick(readings, self.now))

    # What there is

    def workers(self, *stages: Stage) -> list[Worker]:
        """Of all pools, one after the other."""
        wanted = set(stages or Stage)
        return [worker for table in self.fleet.tables for worker in table.having(wanted)]

    def of(self, pool: str, *stages: Stage) -> list[int]:
        """The serials of one pool's workers."""
        tables = [table for table in self.fleet.tables if table.name == pool]
        wanted = set(stages or Stage)
        return sorted(worker.serial for table in tables for worker in table.having(wanted))

    @property
    def pools(self) -> list[str]:
        return [table.name for table in self.fleet.tables]

    def serials(self, *stages: Stage) -> list[int]:
        return sorted(worker.serial for worker in self.workers(*stages))

    @property
    def deadline(self) -> float | None:
        return next_deadline(self.fleet, self.now)

    @property
    def spawned(self) -> list[Spawn]:
        return only(Spawn, self.commands)

    @property
    def sent(self) -> list[tuple[int, signal.Signals]]:
        return [(send.serial, send.signal) for send in only(Send, self.commands)]

    @property
    def finished(self) -> list[int]:
        return [finish.status for finish in only(Finish, self.commands)]

    @property
    def text(self) -> str:
        """The log lines of the latest step."""
        return "\n".join(f"{log.text}\n{log.details}" for log in only(Log, self.commands))


def only(kind: type[Kind], commands: list[Command]) -> list[Kind]:
    return [command for command in commands if isinstance(command, kind)]
