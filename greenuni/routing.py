"""Which of several applications a request is for: where each is mounted, and the one rule to search them.

A mount is ``/prefix``, ``host/`` or ``host/prefix``. The longest prefix wins, and only on the boundary of a
segment: ``/api`` has ``/api`` and ``/api/users``, not ``/apiary``. Mounts of the request's host come before
those of any host, whatever their length.

This is a leaf: configuration, arbiter and shells ask the same question here.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

NOBODY = -1  # no mount covers the request

_LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\]")
_PORT = re.compile(r":[0-9]+\Z")
_FORMS = "write it as /prefix=module:attribute or host/prefix=module:attribute"
# What stands in addresses and never in a path that has been taken out of one and decoded.
_NOT_IN_A_PATH = {"?": "a query", "#": "a fragment", "%": "percent-encoding", "*": "a pattern"}


class Mount(NamedTuple):
    """Where an application hangs. ``str()`` of it is what `parse_mount` takes."""

    host: str = ""  # lower case, without port; empty is any host
    prefix: str = ""  # "/api", percent-decoded, without a slash at its end; empty is the root

    def __str__(self) -> str:
        return f"{self.host}{self.prefix or '/'}"


class Mounted(NamedTuple):
    """What is mounted where. ``str()`` of it is what `parse_mounted` takes."""

    mount: Mount
    target: str  # "main:app"

    def __str__(self) -> str:
        return f"{self.mount}={self.target}"


ROOT = Mount()


def mount_at(prefix: str, host: str = "") -> Mount:
    """Check and normalise. Raises ``ValueError`` with the reason."""
    return Mount(_checked_host(host) if host else "", _checked_prefix(prefix))


def parse_mount(text: str) -> Mount:
    """The mount that ``text`` spells. Raises ``ValueError`` with the reason, in one sentence."""
    where = text.strip()
    host, slash, path = where.partition("/")
    if not slash or not _could_be_host(host):
        meant = f"{where}/" if where and not slash and _could_be_host(host) else f"/{where}"
        raise ValueError(
            f"{text!r} is not a mount: write a path with its slash in front, such as {meant}, "
            "or a host name before that slash"
        )
    try:
        return mount_at(slash + path, host)
    except ValueError as reason:
        raise ValueError(f"{text!r} is not a mount: {reason}") from None


def parse_mounted(text: str) -> Mounted:
    """``where=target`` taken apart. Raises ``ValueError`` with what to write instead."""
    where, equals, target = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError(f"{text!r} has no application: {_FORMS}")
    if not target:
        raise ValueError(f"{text!r} has nothing behind its '=': {_FORMS}")
    return Mounted(parse_mount(where), target)


def check_distinct(mounted: Iterable[Mounted]) -> None:
    """Raises ``ValueError`` if two applications are mounted at one place."""
    seen: dict[Mount, str] = {}
    for mount, target in mounted:
        if mount in seen:
            raise ValueError(
                f"two applications are mounted at {mount}: {seen[mount]} and {target}; "
                "give each a prefix or host of its own"
            )
        seen[mount] = target


def _could_be_host(host: str) -> bool:
    """Only with a dot or a bracket: a slash may have been forgotten ("api/v1")."""
    return not host or host.lower() == "localhost" or any(mark in host for mark in ".[:*")


def _checked_prefix(prefix: str) -> str:
    if prefix and not prefix.startswith("/"):
        raise ValueError(f"its path {prefix!r} does not begin with a slash")
    for character, what in _NOT_IN_A_PATH.items():
        if character in prefix:
            raise ValueError(f"its path is plain text, without {what}")
    if not prefix.isprintable():
        raise ValueError("its path has control characters or unusual white space")
    path = prefix.removesuffix("/")
    if path and {"", ".", ".."} & set(path[1:].split("/")):
        raise ValueError("a segment of its path is empty, . or ..")
    return path


def _checked_host(host: str) -> str:
    name = host.lower().removesuffix(".")
    if "*" in host:
        raise ValueError(f"the host {host!r} is a pattern: mount each name by itself")
    if _HOST.fullmatch(_PORT.sub("", name)) and not _HOST.fullmatch(name):
        raise ValueError(f"the host {host!r} has a port, which plays no part: leave it out")
    if not name.isascii():
        raise ValueError(f"the host {host!r} is not ASCII: write it as browsers send it (xn--...)")
    if not _HOST.fullmatch(name):
        raise ValueError(f"{host!r} is not a host name")
    return name


class Router:
    """Finds the mount of a request. Answers are positions in the sequence that it was made from."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = tuple(mounts)
        self._anywhere = self._candidates("")
        self._by_host = {
            host.encode(): self._candidates(host) + self._anywhere
            for host in {mount.host for mount in mounts if mount.host}
        }

    def _candidates(self, host: str) -> list[tuple[bytes, bytes, int]]:
        """The mounts of one host, longest prefix first: prefix, what lies below begins with, position."""
        found = []
        for index, mount in enumerate(self._mounts):
            if mount.host == host:
                prefix = mount.prefix.encode()
                found.append((prefix, prefix + b"/" if prefix else b"", index))
        return sorted(found, key=lambda candidate: -len(candidate[0]))

    def find(self, host: bytes, path: bytes) -> int:
        """The position of the mount that covers a request, else `NOBODY`.

        ``host`` is the value of the Host field, with or without a port; ``path`` is percent-decoded.
        The ``*`` of ``OPTIONS *`` belongs to the root.
        """
        candidates = self._anywhere
        if self._by_host:
            candidates = self._by_host.get(host_name(host), candidates)
        for prefix, below, index in candidates:
            if path.startswith(below) or path == prefix:
                return index
        return NOBODY

    def __repr__(self) -> str:
        return f"<Router {' '.join(map(str, self._mounts))}>"


def host_name(host: bytes) -> bytes:
    """The name in a Host field, as mounts have it: lower case, without port and final dot."""
    if host.startswith(b"["):
        name, bracket, _ = host.partition(b"]")
        return (name + bracket).lower()
    return host.partition(b":")[0].rstrip(b".").lower()
