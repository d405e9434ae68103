"""What one source of settings holds, before the sources are merged: raw values and their origin."""

import enum
from collections.abc import Iterator
from typing import Any, NamedTuple

from greenuni.config.declare import Setting
from greenuni.errors import ConfigError

OWN_FILES = ("greenuni.conf.py", "greenuni.toml")
GUNICORN_FILE = "gunicorn.conf.py"
PROJECT_FILE = "pyproject.toml"


class Rank(enum.IntEnum):
    """The sources in the order of their authority; a higher one wins."""

    FILE = 1
    ENVIRONMENT = 2
    ARGUMENTS_IN_ENVIRONMENT = 3
    COMMAND_LINE = 4
    POOL = 5  # what a pool says of itself is closer to it than what is said of all


class Origin(NamedTuple):
    """Where a value was written: in which source, and under which name."""

    rank: Rank
    place: str  # "command line", "environment", "GREENUNI_CMD_ARGS", "greenuni.toml"
    name: str  # "--workers", "WEB_CONCURRENCY", "workers"

    def describe(self) -> str:
        """For ``--print-config``: "command line --workers", "greenuni.toml", "greenuni.toml pools.api"."""
        if self.rank is Rank.FILE:
            return self.place
        name = self.name.rpartition(".")[0] if self.rank is Rank.POOL else self.name
        return f"{self.place} {name}"

    def subject(self) -> str:
        """For the start of an error message: "--workers", "workers in greenuni.toml"."""
        if self.rank is Rank.COMMAND_LINE:
            return self.name
        if self.rank is Rank.ENVIRONMENT:
            return f"environment variable {self.name}"
        return f"{self.name} in {self.place}"


class Given(NamedTuple):
    """One value as a source has it, not parsed yet."""

    setting: Setting
    raw: object
    origin: Origin

    def parse(self) -> Any:
        """The value. Raises `ConfigError` with where it stands and what is wrong with it."""
        try:
            return self.setting.parse(self.raw)
        except ValueError as reason:
            raise ConfigError(f"{self.origin.subject()}: {reason}") from None


class Layer:
    """Everything that one source says, and lines about it that should be shown at start."""

    def __init__(self) -> None:
        self.values: dict[str, Given] = {}
        self.notes: list[str] = []
        self.file: str | None = None  # that it was read from
        self.pools: dict[str, Layer] = {}  # what it says of each pool

    def give(self, given: Given) -> None:
        """Add a value. Repeated flags of a repeatable setting add up; otherwise the last one counts."""
        earlier = self.values.get(given.setting.name)
        if earlier is not None and given.setting.kind.repeatable:
            raw = [*_as_list(earlier.raw), *_as_list(given.raw)]
            given = Given(given.setting, raw, given.origin)
        self.values[given.setting.name] = given

    def note(self, line: str | None) -> None:
        """Keep a line to show at start, if there is one."""
        if line is not None:
            self.notes.append(line)

    def __iter__(self) -> Iterator[Given]:
        return iter(self.values.values())


def _as_list(raw: object) -> list[object]:
    return list(raw) if isinstance(raw, list | tuple) else [raw]
