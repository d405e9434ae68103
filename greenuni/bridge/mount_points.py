"""Where applications are mounted: how that is written, and which one a request belongs to.

::

    /api=main:app                       below a path
    /=mysite.wsgi:application           everything else
    api.example.com/=main:app           by the Host that the client asked for
    api.example.com/v2=main:v2          both

Paths are compared segment by segment (``/api`` is not above ``/apis``), as decoded text. Hosts are compared
without case and port. What is mounted for the host comes before what is mounted for all of them;
within each the longest prefix wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from greenuni.bridge.paths import is_under
from greenuni.errors import ConfigError

_HOST = re.compile(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]"
)
_PORT = re.compile(r":[0-9]*\Z")
_FORM = "write it as /prefix=module:attribute or host/prefix=module:attribute"

T = TypeVar("T")


@dataclass(frozen=True)
class MountPoint:
    """``prefix`` is "" or "/segment...", without a slash at its end; ``host`` in lower case, "" for any."""

    prefix: str
    host: str = ""

    def __str__(self) -> str:
        return f"{self.host}{self.prefix or '/'}"


class Entry(NamedTuple):
    """One ``--mount``, taken apart."""

    point: MountPoint
    target: str


def parse_mount(text: str) -> Entry:
    """``[host]/prefix=target`` taken apart. Raises ConfigError with what to write instead."""
    where, equals, target = text.partition("=")
    where, target = where.strip(), target.strip()
    if not equals:
        raise ConfigError(f"mount {text!r} has no application: {_FORM}")
    if not target:
        raise ConfigError(f"mount {text!r} has nothing behind its '=': {_FORM}")
    host, slash, rest = where.partition("/")
    if not slash:
        hint = f"{where}/={target}" if "." in where or ":" in where else f"/{where}={target}"
        raise ConfigError(f"mount {text!r} has no path: write {hint!r}")
    try:
        return Entry(mount_point(slash + rest, host), target)
    except ConfigError as error:
        raise ConfigError(f"mount {text!r}: {error}") from None


def mount_point(prefix: str, host: str = "") -> MountPoint:
    """Check and normalise. Raises ConfigError."""
    return MountPoint(_checked_prefix(prefix), _checked_host(host) if host else "")


def _checked_prefix(prefix: str) -> str:
    if prefix and not prefix.startswith("/"):
        raise ConfigError(f"the prefix {prefix!r} must begin with '/'")
    stripped = prefix.rstrip("/")
    if "//" in prefix:
        raise ConfigError(f"the prefix {prefix!r} has an empty segment")
    if any(segment in (".", "..") for segment in stripped.split("/")):
        raise ConfigError(f"the prefix {prefix!r} has a segment that clients resolve away")
    for character, what in (("?", "a query"), ("#", "a fragment"), ("%", "percent-encoding")):
        if character in prefix:
            raise ConfigError(f"the prefix {prefix!r} must be a plain path, without {what}")
    if not prefix.isprintable() or " " in prefix:
        raise ConfigError(f"the prefix {prefix!r} has white space or control characters")
    return stripped


def _checked_host(host: str) -> str:
    lowered = host.lower().removesuffix(".")
    if "*" in host:
        raise ConfigError(f"the host {host!r} is a pattern; mount each name by itself")
    if _PORT.search(lowered) and _HOST.fullmatch(_PORT.sub("", lowered)):
        raise ConfigError(f"the host {host!r} has a port, which plays no part: leave it out")
    if not lowered.isascii():
        raise ConfigError(f"the host {host!r} is not ASCII: write it as browsers send it (xn--...)")
    if not _HOST.fullmatch(lowered):
        raise ConfigError(f"the host {host!r} is not a host name")
    return lowered


def host_name(field: str) -> str:
    """A Host field as it is compared: lower case, without port and without the root's dot."""
    return _PORT.sub("", field.strip().lower()).removesuffix(".")


def check_distinct(named: Iterable[tuple[MountPoint, str]]) -> None:
    """Raises ConfigError if two applications, here with their names, are mounted at one point."""
    seen: dict[MountPoint, str] = {}
    for point, name in named:
        if point in seen:
            raise ConfigError(
                f"two applications are mounted at {point}: {seen[point]} and {name}; "
                "give each a prefix or host of its own"
            )
        seen[point] = name


class MountTable(Generic[T]):
    """Finds what is mounted for a host and a path."""

    def __init__(self, mounted: Iterable[tuple[MountPoint, T]]) -> None:
        by_host: dict[str, list[tuple[str, T]]] = {}
        for point, what in mounted:
            by_host.setdefault(point.host, []).append((point.prefix, what))
        for entries in by_host.values():
            entries.sort(key=lambda entry: len(entry[0]), reverse=True)
        self._for_all: Sequence[tuple[str, T]] = by_host.pop("", ())
        self._by_host = by_host

    def __repr__(self) -> str:
        hosts = ", ".join(self._by_host) or "any host"
        return f"<MountTable {[prefix or '/' for prefix, _ in self._for_all]} {hosts}>"

    @property
    def has_hosts(self) -> bool:
        """Whether the host plays any part."""
        return bool(self._by_host)

    def find(self, host: str, path: str) -> tuple[str, T] | None:
        """Prefix and what is mounted there; ``host`` as `host_name` gives it."""
        if self._by_host:
            for entry in self._by_host.get(host, ()):
                if is_under(path, entry[0]):
                    return entry
        for entry in self._for_all:
            if is_under(path, entry[0]):
                return entry
        return None
