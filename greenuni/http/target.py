"""The request target: which form it has, and what path, query and host it means (RFC 9112 3.2)."""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import NamedTuple

from greenuni.errors import RemoteProtocolError
from greenuni.http.grammar import HOST

_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_ABSOLUTE_FORM = re.compile(rb"(?i:https?)://([^/?]*)([^?]*)(?:\?(.*))?")


class Target(NamedTuple):
    """What a target says. ``authority`` is None unless the target was in absolute form."""

    raw_path: bytes
    path: bytes
    query: bytes
    authority: bytes | None = None


def parse_target(method: bytes, target: bytes) -> Target:
    """Split ``target`` by the form that it has.

    Raises RemoteProtocolError: 400 where the form is not legal, 501 for CONNECT.
    """
    if b"#" in target:
        raise RemoteProtocolError("The request target has a fragment.")
    if method == b"CONNECT":
        raise RemoteProtocolError("CONNECT is for proxies, and this is not one.", 501)
    if target.startswith(b"/"):
        raw_path, _, query = target.partition(b"?")
        return Target(raw_path, decoded(raw_path), query)
    if target == b"*":
        if method != b"OPTIONS":
            raise RemoteProtocolError("The request target * is for OPTIONS only.")
        return Target(b"*", b"*", b"")
    return _parse_absolute_form(target)


def _parse_absolute_form(target: bytes) -> Target:
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise RemoteProtocolError("The request target is neither a path nor an http URL.")
    authority, raw_path, query = match.groups(default=b"")
    if not HOST.fullmatch(authority):
        raise RemoteProtocolError("The request target has an invalid host.")
    raw_path = raw_path or b"/"
    return Target(raw_path, decoded(raw_path), query, authority)


def decoded(raw_path: bytes) -> bytes:
    """Percent-decoded once. An escape that is none stays as it is: browsers do send ``/50%off``."""
    return _ESCAPES.sub(_octets, raw_path) if b"%" in raw_path else raw_path


def _octets(escapes: re.Match[bytes]) -> bytes:
    return unhexlify(escapes[0].replace(b"%", b""))
