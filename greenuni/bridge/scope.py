"""From a WSGI environ to the HTTP scope of ASGI 3.0, and from its response to WSGI's words.

``spec_version`` is 2.3: from 2.4 on an application expects ``send`` to raise when the client has gone, and
Starlette then no longer listens for ``http.disconnect`` beside a stream.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from greenuni.bridge.interfaces import Environ, Headers, Scope
from greenuni.bridge.paths import text_of

HTTP_SPEC_VERSION = "2.3"

# About the connection, not about the response: PEP 3333 forbids them to applications.
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def make_scope(environ: Environ, state: dict[str, Any]) -> Scope:
    """The scope of one request; the lifespan's ``state`` is copied one level deep."""
    root_path = environ.get("SCRIPT_NAME", "")
    path = root_path + environ.get("PATH_INFO", "")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": HTTP_SPEC_VERSION},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").partition("/")[2],
        "server": (environ["SERVER_NAME"], _port(environ["SERVER_PORT"])),
        "client": _client(environ),
        "scheme": environ["wsgi.url_scheme"],
        "method": environ["REQUEST_METHOD"],
        "root_path": text_of(root_path),
        "path": text_of(path) or "/",
        "raw_path": _raw_path(environ, path),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": _headers(environ),
        "state": dict(state),
        "extensions": {},
    }


def _port(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _client(environ: Environ) -> tuple[str, int] | None:
    address = environ.get("REMOTE_ADDR")
    return (address, _port(str(environ.get("REMOTE_PORT", "")))) if address else None


def _raw_path(environ: Environ, path: str) -> bytes:
    """As sent, where the server says it (no standard has a name for it); else encoded anew."""
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    raw = target.partition("?")[0] if target.startswith("/") else quote(path.encode("latin-1"))
    return raw.encode("latin-1")


def _headers(environ: Environ) -> Headers:
    headers = []
    for variable, value in environ.items():
        if variable.startswith("HTTP_"):
            name = variable[5:]
        elif variable in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = variable
        else:
            continue
        headers.append((name.replace("_", "-").lower().encode("latin-1"), value.encode("latin-1")))
    return headers


def status_line(status: int) -> str:
    """``"200 OK"``; PEP 3333 wants a reason."""
    return f"{status} {_REASONS.get(status, 'Unknown')}"


def native_headers(headers: Any) -> list[tuple[str, str]]:
    """The fields of a response as PEP 3333 wants them, less those that are the server's."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name.lower() not in _HOP_BY_HOP
    ]
