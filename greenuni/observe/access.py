"""The access log: gunicorn's atoms, compiled once into a list of small functions, or JSON.

A format such as ``%(h)s "%(r)s" %(s)s`` becomes literals and getters when the log is opened, so that a
line costs one call per atom used and nothing per atom unused. Everything that a client chose is escaped
(CVE-2020-7694): a request cannot forge a line, close a quote or paint a terminal.
"""

import logging
import os
import re
import time
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from greenuni.errors import ConfigError

Headers = Sequence[tuple[bytes, bytes]]

JSON_FORMAT = "json"


class Exchange(NamedTuple):
    """One request and the response it got, as a shell saw them when the response had ended."""

    client: str  # address of the peer, or "" over a UNIX socket
    method: bytes
    target: bytes  # as sent, query included
    http_version: bytes  # b"1.1"
    headers: Headers
    status: int
    response_headers: Headers
    body_bytes: int  # payload bytes sent, framing not counted
    seconds: float  # from the first byte of the request to the last byte given to the socket
    environ: Mapping[str, Any] | None = None  # WSGI only; for %({name}e)s
    close_code: int | None = None  # of a WebSocket that was accepted, when it has ended


Atom = Callable[[Exchange], str]

_UNSAFE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def _escape_one(match: re.Match[str]) -> str:
    char = match.group()
    return "\\" + char if char in '"\\' else f"\\x{ord(char):02x}"


def escape(value: bytes | str) -> str:
    """Printable ASCII stays; quotes and back-slashes get a back-slash, all else becomes ``\\xHH``."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return _UNSAFE.sub(_escape_one, text)


def find_header(headers: Headers, name: bytes) -> str:
    """The escaped value of the first header of that lower-case name, or ``-``."""
    for key, value in headers:
        if key.lower() == name:
            return escape(value)
    return "-"


def _user(exchange: Exchange) -> str:
    """The user name of Basic credentials (RFC 7617), or ``-``."""
    for name, value in exchange.headers:
        if name == b"authorization" and value[:6].lower() == b"basic ":
            from base64 import b64decode  # which few need

            try:
                return escape(b64decode(value[6:], validate=True).split(b":", 1)[0]) or "-"
            except Base64Error:
                return "-"
    return "-"


def _request_line(exchange: Exchange) -> str:
    return (
        f"{escape(exchange.method)} {escape(exchange.target)} HTTP/{escape(exchange.http_version)}"
    )


def _local_time(_: Exchange) -> str:
    return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")


ATOMS: dict[str, Atom] = {
    "h": lambda e: e.client or "-",
    "l": lambda e: "-",
    "u": _user,
    "t": _local_time,
    "r": _request_line,
    "m": lambda e: escape(e.method),
    "U": lambda e: escape(e.target.partition(b"?")[0]),
    "q": lambda e: escape(e.target.partition(b"?")[2]),
    "H": lambda e: f"HTTP/{escape(e.http_version)}",
    "s": lambda e: str(e.status),
    "B": lambda e: str(e.body_bytes),
    "b": lambda e: str(e.body_bytes) if e.body_bytes else "-",
    "f": lambda e: find_header(e.headers, b"referer"),
    "a": lambda e: find_header(e.headers, b"user-agent"),
    "T": lambda e: str(int(e.seconds)),
    "M": lambda e: str(int(e.seconds * 1_000)),
    "D": lambda e: str(int(e.seconds * 1_000_000)),
    "L": lambda e: f"{e.seconds:.6f}",
    "p": lambda e: f"<{os.getpid()}>",
    "c": lambda e: "-" if e.close_code is None else str(e.close_code),
}

_DIRECTIVE = re.compile(r"%\((?:\{(?P<name>[^}]+)\}(?P<kind>[ioe])|(?P<atom>\w))\)[sd]|%%")


def _named_atom(name: str, kind: str) -> Atom:
    """``{name}i`` a request header, ``{name}o`` a response header, ``{name}e`` a WSGI variable."""
    if kind == "e":
        return lambda e: escape(str(e.environ.get(name, "-"))) if e.environ else "-"
    key = name.lower().encode("latin-1", "replace")
    if kind == "i":
        return lambda e: find_header(e.headers, key)
    return lambda e: find_header(e.response_headers, key)


def _literal(text: str) -> Atom:
    return lambda _: text


def compile_format(template: str) -> Callable[[Exchange], str]:
    """A function that renders ``template``. Raises ConfigError at a directive that does not exist."""
    parts: list[Atom] = []
    position = 0
    for match in _DIRECTIVE.finditer(template):
        _add_literal(parts, template, position, match.start())
        position = match.end()
        if match["kind"]:
            parts.append(_named_atom(match["name"], match["kind"]))
        elif match["atom"] is None:
            parts.append(_literal("%"))
        elif match["atom"] in ATOMS:
            parts.append(ATOMS[match["atom"]])
        else:
            raise _unknown_directive(template, match.start())
    _add_literal(parts, template, position, len(template))
    return lambda exchange: "".join([part(exchange) for part in parts])


def _add_literal(parts: list[Atom], template: str, start: int, end: int) -> None:
    literal = template[start:end]
    stray = literal.find("%")
    if stray >= 0:
        raise _unknown_directive(template, start + stray)
    if literal:
        parts.append(_literal(literal))


def _unknown_directive(template: str, position: int) -> ConfigError:
    known = " ".join(sorted(ATOMS))
    return ConfigError(
        f"access-logformat: {template[position : position + 12]!r} is not a directive; "
        f"write %(x)s with x one of {known}, or %({{name}}i)s, %({{name}}o)s, %({{name}}e)s, "
        f"or the single word json"
    )


def render_json(exchange: Exchange) -> str:
    """One JSON object; durations in seconds, sizes in bytes, time as ISO 8601 with offset."""
    import json  # which not even the arbiter needs

    return json.dumps(
        {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "client": exchange.client or None,
            "user": None if (user := _user(exchange)) == "-" else user,
            "method": escape(exchange.method),
            "target": escape(exchange.target),
            "protocol": f"HTTP/{escape(exchange.http_version)}",
            "status": exchange.status,
            **({} if exchange.close_code is None else {"close_code": exchange.close_code}),
            "bytes": exchange.body_bytes,
            "seconds": round(exchange.seconds, 6),
            "referer": _or_none(find_header(exchange.headers, b"referer")),
            "user_agent": _or_none(find_header(exchange.headers, b"user-agent")),
            "pid": os.getpid(),
        }
    )


def _or_none(value: str) -> str | None:
    return None if value == "-" else value


class AccessLog:
    """Writes one line per exchange to the logger ``greenuni.access``."""

    def __init__(self, template: str, logger: logging.Logger) -> None:
        """``template`` is a format of atoms or ``json``. Raises ConfigError if it is neither."""
        self._render = render_json if template == JSON_FORMAT else compile_format(template)
        self._logger = logger

    def write(self, exchange: Exchange) -> None:
        self._logger.info("%s", self._render(exchange))
