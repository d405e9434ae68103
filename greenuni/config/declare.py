"""What one setting declares about itself, as an attribute of the class that it stands in."""

import enum
from collections.abc import Iterator
from typing import Any, NamedTuple

from greenuni.config.kinds import Kind, Seconds, Switch


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


class Alias(NamedTuple):
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


class Difference(NamedTuple):
    """Where our default is not gunicorn's, and why."""

    gunicorn: str
    why: str


class Setting:
    """The whole declaration of a setting. Everything that users see of it is derived from here.

    ``unit`` is that of numbers, where the kind does not say it.
    """

    name = ""  # of the attribute that it stands in, and of the key in files

    def __init__(
        self,
        default: Any,
        kind: Kind,
        flags: tuple[str, ...],
        *,
        help: str,  # one sentence without its full stop
        environment: str = "",
        unit: str = "",
        aliases: tuple[Alias, ...] = (),
        applies: Applies = Applies.BOTH,
        scope: Scope = Scope.ANYWHERE,
        differs: Difference | None = None,
        since: str = "0.1",
    ) -> None:
        self.default = default
        self.kind = kind
        self.flags = flags
        self.help = help
        self.environment = environment
        self.unit = unit
        self.aliases = aliases
        self.applies = applies
        self.scope = scope
        self.differs = differs
        self.since = since

    def __set_name__(self, section: type[Any], name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Setting {self.name}>"

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
    """A `Setting` to stand in a class under its name; an instance of `Config` has the value there."""
    return Setting(default, kind, flags, help=help, **declaration)


def declared(section: type[Any]) -> Iterator[Setting]:
    """The settings that a class declares, in their order."""
    return (value for value in vars(section).values() if isinstance(value, Setting))
