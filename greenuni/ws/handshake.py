"""The opening handshake, as the server sees it (RFC 6455 4.2)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

from wsproto.utilities import generate_accept_token

from greenuni.errors import RemoteProtocolError
from greenuni.http import Request
from greenuni.http.grammar import TOKEN

VERSION = b"13"

# RFC 9110 15.5.22 and RFC 6455 4.4: what a client that is told 426 should come back with
_UPGRADE_REQUIRED_LINES = b"Upgrade: websocket\r\nSec-WebSocket-Version: %s\r\n" % VERSION

# 16 octets in base64. Nobody needs them, but whoever sends anything else has not read the RFC.
_KEY = re.compile(rb"[0-9A-Za-z+/]{22}==")


class BadHandshake(RemoteProtocolError):
    """Not a handshake that could succeed. ``lines`` are fields for the answer, each with its CRLF."""

    def __init__(self, message: str, status: int = 400, lines: bytes = b"") -> None:
        super().__init__(message, status)
        self.lines = lines


@dataclass(frozen=True)
class Handshake:
    """What the client asks for."""

    key: bytes
    subprotocols: tuple[str, ...]
    extensions: tuple[bytes, ...]  # each as offered: name and parameters


def read_handshake(request: Request) -> Handshake:
    """The handshake in a request for which ``is_websocket`` holds. Raises BadHandshake: 400 or 426."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        fields.setdefault(name, []).append(value)
    if request.has_body:
        raise BadHandshake("A WebSocket handshake has no body.")
    if not any(option.lower() == b"upgrade" for option in _members(fields, b"connection")):
        raise BadHandshake("The WebSocket handshake has no 'Connection: Upgrade'.")
    _check_version(fields.get(b"sec-websocket-version", []))
    return Handshake(
        key=_read_key(fields.get(b"sec-websocket-key", [])),
        subprotocols=tuple(_read_subprotocols(fields)),
        extensions=tuple(_members(fields, b"sec-websocket-extensions")),
    )


def accept_head(handshake: Handshake, subprotocol: str | None, extensions: bytes) -> bytes:
    """The lines of 101 that say that the WebSocket begins; further fields and an empty line follow.

    ``extensions`` is the value of their field, empty for none.
    """
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        b"Sec-WebSocket-Accept: %s\r\n" % generate_accept_token(handshake.key),
    ]
    if subprotocol is not None:
        lines.append(b"Sec-WebSocket-Protocol: %s\r\n" % subprotocol.encode("ascii"))
    if extensions:
        lines.append(b"Sec-WebSocket-Extensions: %s\r\n" % extensions)
    return b"".join(lines)


def _members(fields: dict[bytes, list[bytes]], name: bytes) -> Iterator[bytes]:
    """The members of a list, which may come in several fields (RFC 9110 5.6.1)."""
    for value in fields.get(name, ()):
        for member in value.split(b","):
            if stripped := member.strip(b" \t"):
                yield stripped


def _check_version(versions: list[bytes]) -> None:
    if not versions:
        raise BadHandshake("The WebSocket handshake has no Sec-WebSocket-Version.")
    if versions != [VERSION]:
        raise BadHandshake(
            "The only version of WebSocket supported is 13.", 426, _UPGRADE_REQUIRED_LINES
        )


def _read_key(keys: list[bytes]) -> bytes:
    if len(keys) != 1:
        raise BadHandshake("The WebSocket handshake does not have one Sec-WebSocket-Key.")
    if not _KEY.fullmatch(keys[0]) or len(base64.b64decode(keys[0])) != 16:
        raise BadHandshake("The Sec-WebSocket-Key is not 16 octets in base64.")
    return keys[0]


def _read_subprotocols(fields: dict[bytes, list[bytes]]) -> Iterator[str]:
    for member in _members(fields, b"sec-websocket-protocol"):
        if not TOKEN.fullmatch(member):
            raise BadHandshake("A member of Sec-WebSocket-Protocol is not a token.")
        yield member.decode("ascii")
