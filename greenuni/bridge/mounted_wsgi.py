"""Several WSGI applications as one. Knows nothing of ASGI, so that it loads nothing of it."""

from __future__ import annotations

from collections.abc import Iterable

from greenuni.bridge.interfaces import Environ, StartResponse, WSGIApp
from greenuni.bridge.mount_points import MountPoint, MountTable, host_name
from greenuni.bridge.paths import octets

NOT_FOUND = b"Nothing is mounted here.\n"


class MountedWSGI:
    """Gives a request to the application that is mounted where it goes, or answers 404.

    SCRIPT_NAME grows by the prefix, PATH_INFO is what is left (PEP 3333). ``passed_on`` are applications
    that look for themselves and get the environ as it is.
    """

    def __init__(
        self, mounted: Iterable[tuple[MountPoint, WSGIApp]], passed_on: Iterable[WSGIApp] = ()
    ) -> None:
        unchanged = {id(app) for app in passed_on}
        self._table = MountTable(
            (MountPoint(octets(point.prefix), point.host), (app, id(app) in unchanged))
            for point, app in mounted
        )

    def __repr__(self) -> str:
        return f"<MountedWSGI {self._table!r}>"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        host = host_name(environ.get("HTTP_HOST", "")) if self._table.has_hosts else ""
        found = self._table.find(host, path)
        if found is None:
            return _not_found(start_response)
        prefix, (app, is_passed_on) = found
        if prefix and not is_passed_on:
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path[len(prefix) :]
        return app(environ, start_response)


def _not_found(start_response: StartResponse) -> Iterable[bytes]:
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(NOT_FOUND))),
    ]
    start_response("404 Not Found", fields)
    return [NOT_FOUND]
