"""Several WSGI applications as one. Knows nothing of ASGI, so that it loads nothing of it."""

from __future__ import annotations

from collections.abc import Iterable

from greenuni.bridge.interfaces import Environ, StartResponse, WSGIApp
from greenuni.bridge.paths import octets
from greenuni.routing import NOBODY, Mount, Router

NOT_FOUND = b"Nothing is mounted here.\n"


class MountedWSGI:
    """Gives a request to the application that is mounted where it goes, or answers 404.

    SCRIPT_NAME grows by the prefix, PATH_INFO is what is left (PEP 3333). ``passed_on`` are applications
    that look for themselves and get the environ as it is.
    """

    def __init__(
        self, mounted: Iterable[tuple[Mount, WSGIApp]], passed_on: Iterable[WSGIApp] = ()
    ) -> None:
        mounted = list(mounted)
        unchanged = {id(app) for app in passed_on}
        self._router = Router([mount for mount, _ in mounted])
        self._mounted = [
            ("" if id(app) in unchanged else octets(mount.prefix), app) for mount, app in mounted
        ]

    def __repr__(self) -> str:
        return f"<MountedWSGI {self._router!r}>"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        host = environ.get("HTTP_HOST", "").encode("latin-1")
        found = self._router.find(host, path.encode("latin-1"))
        if found == NOBODY:
            return _not_found(start_response)
        prefix, app = self._mounted[found]
        if prefix:
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
