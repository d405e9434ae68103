"""The request target: which form, and what path, query and authority it means (RFC 9112 3.2)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from greenuni.errors import RemoteProtocolError
from greenuni.http import grammar

_absolute_form = re.compile(rb"(?i:https?)://([^/?]*)([^?]*)(?:\?(.*))?")


class Target(NamedTuple):
    """What a target says. ``authority`` is None unless the target was in absolute form."""

    raw_path: bytes
    path: bytes
    query: bytes
    authority: bytes | None = None


def parse_target(method: bytes, target: bytes) -> Target:
    """Split ``target`` by the form that it has; raise RemoteProtocolError where none is legal."""
    if b"#" in target:
        raise RemoteProtocolError("The request target has a fragment.")
    if method == b"CONNECT":
        raise RemoteProtocolError("CONNECT is not supported: this is not a proxy.", 501)
    if target.startswith(b"/"):
        raw_path, _, query = target.partition(b"?")
        return Target(raw_path, _decoded(raw_path), query)
    if target == b"*":
        if method != b"OPTIONS":
            raise RemoteProtocolError("The request target * is for OPTIONS only.")
        return Target(b"*", b"*", b"")
    return _parse_absolute(target)


def _parse_absolute(target: bytes) -> Target:
    match = _absolute_form.fullmatch(target)
    if match is None:
        raise RemoteProtocolError("The request target is neither a path nor an http URL.")
    authority, raw_path, query = match.groups(default=b"")
    if not grammar.host.fullmatch(authority):
        raise RemoteProtocolError("The request target has an invalid host.")
    raw_path = raw_path or b"/"
    return Target(raw_path, _decoded(raw_path), query, authority)


def _decoded(raw_path: bytes) -> bytes:
    """Percent-decoded once; an escape that is none stays as it is, as browsers send it."""
    return unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
