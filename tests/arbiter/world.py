"""A world for `decide` to act upon: forks succeed at once, time passes when the test says so."""

from __future__ import annotations

import signal
from typing import TypeVar

from greenuni.arbiter.decide import decide, next_deadline
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
from greenuni.arbiter.messages import Failed, Message, Ready
from greenuni.arbiter.scoreboard import Reading
from greenuni.arbiter.table import Plan, Stage, Table, Worker

Kind = TypeVar("Kind")


class World:
    """Feeds events to `decide` and keeps the commands of the latest step in ``commands``."""

    def __init__(self, workers: int = 1, ready: bool = True, **plan: float | bool) -> None:
        self.plan = Plan(workers=workers, **plan)  # type: ignore[arg-type]
        self.table = Table.start(self.plan)
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
        for command in decide(self.table, self.now, event):
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
        for worker in self.table.having({Stage.BOOTING}):
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
        new = Plan(**{**vars(self.plan), **plan})  # type: ignore[arg-type]
        return self.feed(Configured(generation, new))

    def wait(self, seconds: float, beating: bool = True, **reading: object) -> list[Command]:
        """Let time pass; the loop ticks at the end of it, on time."""
        self.now += seconds
        beat = self.now if beating else 0.0
        readings = {s: Reading(beat=beat, **reading) for s in self.table.workers}  # type: ignore[arg-type]
        return self.feed(Tick(readings, self.now))

    # What there is

    def workers(self, *stages: Stage) -> list[Worker]:
        return self.table.having(set(stages or Stage))

    def serials(self, *stages: Stage) -> list[int]:
        return sorted(worker.serial for worker in self.workers(*stages))

    @property
    def deadline(self) -> float | None:
        return next_deadline(self.table, self.now)

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
