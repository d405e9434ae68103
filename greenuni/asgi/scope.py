"""The HTTP scope of ASGI 3.0: https://asgi.readthedocs.io/en/latest/specs/www.html

``spec_version`` is 2.3 on purpose. From 2.4 on an application expects ``send`` to raise when the
client has gone, and Starlette then no longer listens for ``http.disconnect`` beside a stream: the
client of a stream that is silent for a while could leave without anybody noticing.

``path`` is what the client asked for, decoded; ``root_path`` is announced beside it and neither
added nor removed. A proxy that strips the prefix and one that does not both work, because
frameworks take ``root_path`` off the front of ``path`` if it is there.
"""

from __future__ import annotations

from typing import Any

from greenuni.asgi.interfaces import Scope
from greenuni.asgi.service import Service
from greenuni.http import TrustedProxies
from greenuni.http.events import Headers
from greenuni.http.proxy import is_forwarded
from greenuni.http.request import Request

HTTP_SPEC_VERSION = "2.3"

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}

# The keys in the order in which they are documented, and what most requests have there. A copy of it
# costs less than a dict that grows key by key.
_TEMPLATE: dict[str, Any] = dict.fromkeys(
    (
        "type",
        "asgi",
        "http_version",
        "server",
        "client",
        "scheme",
        "method",
        "root_path",
        "path",
        "raw_path",
        "query_string",
        "headers",
        "state",
        "extensions",
    )
)
_TEMPLATE.update(type="http", http_version="1.1", scheme="http")
_ASGI = {"version": "3.0", "spec_version": HTTP_SPEC_VERSION}

Address = tuple[str, int]
ServerAddress = tuple[str, int | None]  # a path and None for a UNIX socket


class Peer:
    """The two ends of a connection, and whether the far one speaks for its clients."""

    __slots__ = ("client", "is_trusted", "server")

    def __init__(
        self, client: Address | None, server: ServerAddress | None, is_trusted: bool
    ) -> None:
        self.client = client  # None over a UNIX socket
        self.server = server
        self.is_trusted = is_trusted  # a proxy whose X-Forwarded-* are believed

    def __repr__(self) -> str:
        return f"<Peer {self.name}{' trusted' * self.is_trusted}>"

    @property
    def name(self) -> str:
        """For log lines."""
        return self.client[0] if self.client else "unix peer"


def accepts_trailers(request: Request) -> bool:
    """Whether the response may have a trailer section (RFC 9110 6.5.1, 10.1.4)."""
    if request.http_version != b"1.1":
        return False
    for name, value in request.fields.pairs():
        if name == b"te":
            for member in value.lower().split(b","):
                if member.strip(b" \t") == b"trailers":
                    return True
    return False


def build_scope(request: Request, peer: Peer, service: Service) -> Scope:
    """The scope of one request. Every mutable value in it is this request's own.

    The lifespan state is copied one level deep, as the lifespan specification wants it.
    """
    headers = request.fields.pairs()
    is_current = request.http_version == b"1.1"
    scope = _TEMPLATE.copy()
    scope["asgi"] = _ASGI.copy()
    if not is_current:
        scope["http_version"] = "1.0"
    scope["server"] = peer.server
    scope["client"] = peer.client
    if peer.is_trusted and is_forwarded(headers):
        scope["client"], scope["scheme"] = _resolve(headers, peer, service.proxies)
    scope["method"] = _METHODS.get(request.method) or request.method.decode("ascii")
    scope["root_path"] = service.root_path
    # Not UTF-8 is not an error: the bytes are in raw_path for whoever cares.
    scope["path"] = request.path.decode("utf-8", "replace")
    scope["raw_path"] = request.raw_path
    scope["query_string"] = request.query
    scope["headers"] = headers.copy()
    scope["state"] = service.state.copy()
    scope["extensions"] = _extensions(request, is_current)
    return scope


def _resolve(headers: Headers, peer: Peer, proxies: TrustedProxies) -> tuple[Address | None, str]:
    """The client's address and scheme, as the proxy tells them; nobody tells its port: 0."""
    address = peer.client[0] if peer.client else None
    resolved, scheme = proxies.resolve(address, "http", headers)
    if resolved == address or resolved is None:
        return peer.client, scheme
    return (resolved, 0), scheme


def _extensions(request: Request, is_current: bool) -> dict[str, dict[str, Any]]:
    """What works for this request, and nothing else."""
    if not is_current:
        return {"http.response.pathsend": {}}
    extensions: dict[str, dict[str, Any]] = {
        "http.response.early_hint": {},
        "http.response.pathsend": {},
    }
    if accepts_trailers(request):
        extensions["http.response.trailers"] = {}
    return extensions
