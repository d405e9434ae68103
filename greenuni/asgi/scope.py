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
from greenuni.http.request import Request

HTTP_SPEC_VERSION = "2.3"

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}

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
    for name, value in request.headers:
        if name == b"te":
            for member in value.lower().split(b","):
                if member.strip(b" \t") == b"trailers":
                    return True
    return False


def build_scope(request: Request, peer: Peer, service: Service) -> Scope:
    """The scope of one request. Every mutable value in it is this request's own.

    The lifespan state is copied one level deep, as the lifespan specification wants it.
    """
    client, scheme = peer.client, "http"
    if peer.is_trusted:
        client, scheme = _resolve(request, peer, service.proxies)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": HTTP_SPEC_VERSION},
        "http_version": "1.1" if request.http_version == b"1.1" else "1.0",
        "server": peer.server,
        "client": client,
        "scheme": scheme,
        "method": _METHODS.get(request.method) or request.method.decode("ascii"),
        "root_path": service.root_path,
        # Not UTF-8 is not an error: the bytes are in raw_path for whoever cares.
        "path": request.path.decode("utf-8", "replace"),
        "raw_path": request.raw_path,
        "query_string": request.query,
        "headers": list(request.headers),
        "state": dict(service.state),
        "extensions": _extensions(request),
    }


def _resolve(request: Request, peer: Peer, proxies: TrustedProxies) -> tuple[Address | None, str]:
    """The client's address and scheme, as the proxy tells them; nobody tells its port: 0."""
    address = peer.client[0] if peer.client else None
    resolved, scheme = proxies.resolve(address, "http", request.headers)
    if resolved == address or resolved is None:
        return peer.client, scheme
    return (resolved, 0), scheme


def _extensions(request: Request) -> dict[str, dict[str, Any]]:
    """What works for this request, and nothing else."""
    if request.http_version != b"1.1":
        return {"http.response.pathsend": {}}
    extensions: dict[str, dict[str, Any]] = {
        "http.response.early_hint": {},
        "http.response.pathsend": {},
    }
    if accepts_trailers(request):
        extensions["http.response.trailers"] = {}
    return extensions
