"""Which of several applications a request is for: where each is mounted, and the one rule to search them.

A mount is ``/prefix``, ``host/`` or ``host/prefix``. The longest prefix wins, and only on the boundary of a
segment: ``/api`` has ``/api`` and ``/api/users``, not ``/apiary``. Mounts of the request's host come before
those of any host, whatever their length.

This is a leaf: configuration, arbiter and shells ask the same question here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NOBODY = -1  # no mount covers the request

# A name with a dot, so that a forgotten slash ("api/v1") is not taken for a host.
_HOST = re.compile(r"localhost|[a-z0-9_-]+(\.[a-z0-9_-]+)+|\[[0-9a-f:.]+\]")
_NOT_IN_A_PATH = re.compile(r"[?#%*\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Mount:
    """Where an application hangs. ``str()`` of it is what `parse_mount` takes."""

    host: str = ""  # lower case, without port; empty is any host
    prefix: str = ""  # "/api", percent-decoded, without a slash at its end; empty is the root

    def __str__(self) -> str:
        return f"{self.host}{self.prefix or '/'}"


ROOT = Mount()


def parse_mount(text: str) -> Mount:
    """The mount that ``text`` spells. Raises ``ValueError`` with the reason."""
    host, slash, path = text.strip().partition("/")
    host = host.lower()
    if not slash or (host and not _HOST.fullmatch(host)):
        raise ValueError(
            f"{text!r} is not a mount: write a path with its slash in front, such as /api, "
            "or a host name before that slash"
        )
    path = path.rstrip("/")
    if _NOT_IN_A_PATH.search(path):
        raise ValueError(f"{text!r} is not a mount: a path is plain text without ? # % *")
    if path and {"", ".", ".."} & set(path.split("/")):
        raise ValueError(f"{text!r} is not a mount: a segment of its path is empty, . or ..")
    return Mount(host, f"/{path}" if path else "")


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
