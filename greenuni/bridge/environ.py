"""From an ASGI scope to a WSGI environ (PEP 3333, "environ Variables").

Choices that PEP 3333 leaves to the server:

- Header fields whose names could be taken for others are dropped; see `greenuni.variables`.
- A repeated field is joined with commas in order, Cookie with semicolons (RFC 6265 4.2.1).
- The body has no coding any more, so there is no HTTP_TRANSFER_ENCODING. Where the length of a body
  is known there is CONTENT_LENGTH; the end is the end in any case: ``wsgi.input_terminated``.
- SCRIPT_NAME is ``root_path``. PATH_INFO is the path below it, or the whole path where a proxy in front
  has removed the prefix already.
- Over a unix socket SERVER_NAME and SERVER_PORT are localhost and 80: they must not be empty.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from greenuni import __version__
from greenuni.bridge.interfaces import Environ, Errors, Scope
from greenuni.bridge.paths import below, octets, octets_of_path
from greenuni.variables import VariableNames

_JOINTS = {"HTTP_COOKIE": "; "}


class EnvironFactory:
    """Makes the environs of one adapter. ``errors`` becomes ``wsgi.errors``; None is sys.stderr."""

    def __init__(self, errors: Errors | None, is_multithreaded: bool) -> None:
        self._errors = errors
        self._names = VariableNames()
        # What does not change from request to request is a dict that is copied.
        self._template: Environ = {
            "SCRIPT_NAME": "",
            "SERVER_SOFTWARE": f"greenuni/{__version__}",
            "wsgi.version": (1, 0),
            "wsgi.multithread": is_multithreaded,
            "wsgi.multiprocess": True,  # for all we know
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }

    def __repr__(self) -> str:
        return f"<EnvironFactory names={len(self._names)}>"

    def make(self, scope: Scope) -> Environ:
        """The environ of an HTTP scope, but for ``wsgi.input``."""
        environ = self._template.copy()
        environ["REQUEST_METHOD"] = scope["method"]
        path = octets_of_path(scope)
        root_path = scope.get("root_path", "")
        if root_path:
            environ["SCRIPT_NAME"] = root = octets(root_path.rstrip("/"))
            path = below(path, root)
        environ["PATH_INFO"] = "" if path == "*" else path  # OPTIONS * is about no path at all
        query = scope["query_string"].decode("latin-1")
        environ["QUERY_STRING"] = query
        if raw := scope.get("raw_path"):
            target = raw.decode("latin-1")
            environ["REQUEST_URI"] = f"{target}?{query}" if query else target
        environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
        environ["wsgi.url_scheme"] = scope.get("scheme", "http")
        environ["wsgi.errors"] = self._errors or sys.stderr
        _add_addresses(environ, scope)
        self._add_fields(environ, scope["headers"])
        return environ

    def _add_fields(self, environ: Environ, headers: Iterable[tuple[bytes, bytes]]) -> None:
        names = self._names
        repeated: dict[str, list[str]] = {}
        for name, value in headers:
            variable = names[name]
            if not variable:
                continue
            text = value.decode("latin-1")
            if variable in environ:
                repeated.setdefault(variable, [environ[variable]]).append(text)
            else:
                environ[variable] = text
        for variable, values in repeated.items():
            environ[variable] = _JOINTS.get(variable, ",").join(values)
        environ.pop("HTTP_TRANSFER_ENCODING", None)  # the body comes without


def _add_addresses(environ: Environ, scope: Scope) -> None:
    server: Any = scope.get("server")
    if server is None or server[1] is None:
        server = ("localhost", 80)
    environ["SERVER_NAME"] = server[0]
    environ["SERVER_PORT"] = str(server[1])
    if client := scope.get("client"):
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])
