"""`Config`, the frozen sum of all settings, and the table that everything else is derived from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from greenuni.config.address import Address, parse_address
from greenuni.config.declare import Setting, declared, key_of
from greenuni.config.http_settings import (
    EngineSettings,
    LimitSettings,
    ProxySettings,
    TimeSettings,
)
from greenuni.config.process_settings import (
    ApplicationSettings,
    CommandSettings,
    LogSettings,
    ProcessSettings,
    SocketSettings,
    WorkerSettings,
)
from greenuni.config.request_settings import RequestSettings
from greenuni.config.websocket_settings import WebSocketSettings
from greenuni.routing import Mounted, parse_mounted

DEFAULT_SOURCE = "default"


class Config(
    ApplicationSettings,
    SocketSettings,
    WorkerSettings,
    TimeSettings,
    RequestSettings,
    LimitSettings,
    WebSocketSettings,
    EngineSettings,
    ProxySettings,
    ProcessSettings,
    LogSettings,
    CommandSettings,
):
    """The settings of one server. Times are seconds and sizes bytes; 0 is "off" for every timeout.

    ``sources`` says where each value that is not a default came from, ``written`` how it was written
    there if that was text, ``notes`` are lines to show once at start, and ``workers_arithmetic`` is the
    sentence behind ``workers = auto``.

    With several pools this is what is said of all of them, and ``pools`` holds one for each: the same
    overlaid by what the pool says of itself (``given_in_pool``), with ``pool`` as its name. ``bind`` of a
    pool is all that its workers listen on, and its ``mount`` is None when that leaves out the shared port.
    """

    pool: str
    pools: tuple[Config, ...]
    given_in_pool: frozenset[str]
    sources: Mapping[str, str]
    written: Mapping[str, str]
    notes: tuple[str, ...]
    workers_arithmetic: str

    def __init__(self, **given: Any) -> None:
        """What is not ``given`` has its default. Raises ``TypeError`` for a name that is no setting."""
        unknown = given.keys() - SETTINGS.keys() - WITHOUT_SETTING.keys()
        if unknown:
            raise TypeError(f"Config has no {', '.join(sorted(unknown))}")
        defaults = {setting.name: setting.default for setting in SETTINGS.values()}
        vars(self).update({**WITHOUT_SETTING, **defaults, **given})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of a Config cannot be set: make another one, with replace")

    def __eq__(self, other: object) -> bool:
        """Whether they say the same, wherever they have it from."""
        if not isinstance(other, Config):
            return NotImplemented
        return all(
            getattr(self, name) == getattr(other, name) for name in (*SETTINGS, "pool", "pools")
        )

    def replace(self, **changed: Any) -> Config:
        """The same but for what has ``changed``."""
        return Config(**(vars(self) | changed))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """``bind``, parsed."""
        return tuple(parse_address(text) for text in self.bind)

    @property
    def served(self) -> str:
        """What is served, as the user wrote it: an application, or those that are mounted."""
        return self.wsgi_app or ", ".join(self.mounts)

    @property
    def mounted(self) -> tuple[Mounted, ...]:
        """``mounts``, parsed."""
        return tuple(parse_mounted(text) for text in self.mounts)

    @property
    def each_pool(self) -> tuple[Config, ...]:
        """The configuration of each pool; without pools the server is a single one."""
        return self.pools or (self,)

    def owners(self) -> dict[Address, Config]:
        """Every address that the server listens on, and whose it is: its own, or that of one pool."""
        shared = set(self.addresses)
        return {
            address: self if address in shared else pool
            for pool in self.each_pool
            for address in pool.addresses
        }

    def source_of(self, name: str) -> str:
        """Where the value of setting ``name`` came from, "default" if it was not given."""
        return self.sources.get(name, DEFAULT_SOURCE)

    def subject_of(self, name: str) -> str:
        """A setting that was given, for the start of a sentence: "--threads (greenuni.toml pools.api)"."""
        return f"{SETTINGS[name].flag} ({self.source_of(name)})"

    def __repr__(self) -> str:
        given = ", ".join(
            f"{setting.name}={getattr(self, setting.name)!r}"
            for setting in SETTINGS.values()
            if getattr(self, setting.name) != setting.default
        )
        name = f"Config of pool {self.pool}" if self.pool else "Config"
        return f"<{name} {given}>" if given else f"<{name} of defaults>"


# What a configuration is told of itself, and its default.
WITHOUT_SETTING: Mapping[str, Any] = {
    "pool": "",
    "pools": (),
    "given_in_pool": frozenset(),
    "sources": {},
    "written": {},
    "notes": (),
    "workers_arithmetic": "",
}
SECTIONS: Mapping[str, type[Any]] = {
    "Application": ApplicationSettings,
    "Server socket": SocketSettings,
    "Workers": WorkerSettings,
    "Timeouts": TimeSettings,
    "Requests": RequestSettings,
    "Limits": LimitSettings,
    "WebSocket": WebSocketSettings,
    "HTTP engine": EngineSettings,
    "Proxies": ProxySettings,
    "Processes": ProcessSettings,
    "Logs": LogSettings,
    "Command": CommandSettings,
}


def settings_by_section() -> Iterator[tuple[str, tuple[Setting, ...]]]:
    """Each section's title with its settings, in the order in which people should read them."""
    for title, section in SECTIONS.items():
        yield title, tuple(declared(section))


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting for _, settings in settings_by_section() for setting in settings
}


def _keys() -> Iterator[tuple[str, Setting]]:
    for setting in SETTINGS.values():
        yield from ((alias.key, setting) for alias in setting.aliases if alias.is_rename)
        yield from ((key_of(flag), setting) for flag in setting.flags if flag.startswith("--"))
    yield from SETTINGS.items()


KEYS: Mapping[str, Setting] = dict(_keys())
"""Every name under which a TOML file may hold a setting: its own, those of its flags and renames."""
