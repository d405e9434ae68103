"""What one setting declares about itself, kept as metadata of its dataclass field."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from greenuni.config.kinds import Kind, Seconds, Switch

METADATA_KEY = "greenuni"


class Applies(enum.Enum):
    """What a setting means something to. Any application may run on any worker, so there are two sides."""

    BOTH = "all applications"
    WSGI = "WSGI applications and workers"
    ASGI = "ASGI applications and workers"
    WSGI_WORKER = "WSGI workers"
    ASGI_APPLICATION = "ASGI applications"


class Scope(enum.Enum):
    """Where a setting may be given when there are several pools."""

    ANYWHERE = "anywhere"  # above the pools for all of them, or in one
    SERVER = "server"  # one value for all processes
    POOL = "pool"  # means something in a pool only


@dataclass(frozen=True)
class Alias:
    """A flag of another server that says the same as one of ours, perhaps in other words."""

    server: str  # "gunicorn", "uvicorn", "granian"
    flag: str
    template: str = "{}"  # what the flag's value becomes, "unix:{}"
    constant: tuple[object, ...] = ()  # one item: the flag takes no value and means this

    @property
    def key(self) -> str:
        """The name under which a file may hold it."""
        return key_of(self.flag)

    @property
    def is_rename(self) -> bool:
        """Whether the value means the same under our name."""
        return self.template == "{}" and not self.constant


@dataclass(frozen=True)
class Difference:
    """Where our default is not gunicorn's, and why."""

    gunicorn: str
    why: str


@dataclass(frozen=True)
class Setting:
    """The whole declaration of a setting. Everything that users see of it is derived from here."""

    name: str  # of the attribute and of the key in files
    default: Any
    kind: Kind
    help: str  # one sentence without its full stop
    flags: tuple[str, ...] = ()
    environment: str = ""
    unit: str = ""  # of numbers, where the kind does not say it
    aliases: tuple[Alias, ...] = ()
    applies: Applies = Applies.BOTH
    scope: Scope = Scope.ANYWHERE
    differs: Difference | None = None
    since: str = "0.1"

    @property
    def flag(self) -> str:
        """The flag to name in messages; the key when there is none."""
        return next((flag for flag in self.flags if flag.startswith("--")), self.name)

    @property
    def is_switch(self) -> bool:
        return isinstance(self.kind, Switch)

    @property
    def off_flags(self) -> tuple[str, ...]:
        """Flags that turn a switch off: the negation of each long flag."""
        if not self.is_switch:
            return ()
        return tuple(_negated(flag) for flag in self.flags if flag.startswith("--"))

    def parse(self, raw: object) -> Any:
        """The value that a source's ``raw`` spells. Raises ``ValueError`` with the reason."""
        if raw is None and self.default is None:
            return None
        return self.kind.parse(raw)

    def show(self, value: Any) -> str:
        """A value of this setting, as a reader would write it."""
        return "none" if value is None else self.kind.show(value)

    def display(self, value: Any) -> str:
        """The value with its unit, as people read it: "75 s"."""
        unit = "s" if isinstance(self.kind, Seconds) else self.unit
        return f"{self.show(value)} {unit}".rstrip()


def key_of(flag: str) -> str:
    """``--keep-alive`` as a key: ``keep_alive``."""
    return flag.lstrip("-").replace("-", "_")


def _negated(flag: str) -> str:
    return f"--{flag[5:]}" if flag.startswith("--no-") else f"--no-{flag[2:]}"


def setting(default: Any, kind: Kind, *flags: str, help: str, **declaration: Any) -> Any:
    """A dataclass field that carries a `Setting`; its name is the attribute's."""
    metadata = {METADATA_KEY: {"kind": kind, "flags": flags, "help": help, **declaration}}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def declared(section: type[Any]) -> Iterator[Setting]:
    """The settings that a section's dataclass declares, in their order."""
    for field in dataclasses.fields(section):
        if METADATA_KEY in field.metadata:
            factory = field.default_factory
            default = field.default if factory is dataclasses.MISSING else factory()
            yield Setting(name=field.name, default=default, **field.metadata[METADATA_KEY])
