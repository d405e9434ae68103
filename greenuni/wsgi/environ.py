"""The WSGI environ of a request (PEP 3333, "environ Variables"; RFC 3875).

What does not change from request to request is a dict that is copied; the rest is set on the copy.

Choices that PEP 3333 leaves to the server:

- Header fields whose names contain an underscore are dropped: ``X_User`` and ``X-User`` would be the
  same variable, and a proxy that removes one may let the other through. ``Proxy`` is dropped, for
  HTTP_PROXY is what HTTP libraries take their proxy from (CVE-2016-5385).
- A repeated field is joined with commas in order, Cookie with semicolons (RFC 6265 4.2.1).
- The body is whole before the application is called. So a chunked one has lost its coding: there is
  CONTENT_LENGTH with its size and no HTTP_TRANSFER_ENCODING (RFC 9112 7.1.3), which is what frameworks
  that stop at CONTENT_LENGTH need. ``wsgi.input_terminated`` is true for those that read to the end.
- SCRIPT_NAME is ``root_path``. PATH_INFO is the path below it, or the whole path where a proxy in
  front has removed the prefix already.
"""

from __future__ import annotations

from io import TextIOBase
from typing import IO, Any, NamedTuple

from greenuni import __version__
from greenuni.config import Config
from greenuni.http import Request, TrustedProxies
from greenuni.wsgi.sendfile import FileWrapper

Environ = dict[str, Any]
SocketName = str | tuple[Any, ...]

NAME_CACHE_LIMIT = 1024

_PROTOCOLS = {b"1.1": "HTTP/1.1", b"1.0": "HTTP/1.0"}
_DROPPED = ""
_FORWARDING = {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"}


class Peer(NamedTuple):
    """The other end of a connection. ``address`` is None on a unix socket."""

    address: str | None
    port: str
    is_trusted: bool  # its forwarding headers are believed


class _VariableNames(dict[bytes, str]):
    """Field names in lower case -> variable names. Bounded, for clients choose the field names."""

    def __missing__(self, name: bytes) -> str:
        variable = _variable_name(name)
        if len(self) < NAME_CACHE_LIMIT:
            self[name] = variable
        return variable


def _variable_name(name: bytes) -> str:
    if b"_" in name or name == b"proxy":
        return _DROPPED
    variable = name.decode("latin-1").upper().replace("-", "_")
    if variable in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return variable
    return f"HTTP_{variable}"


class EnvironFactory:
    """Makes the environs of all requests that come in by one listener."""

    def __init__(self, config: Config, sockname: SocketName, errors: TextIOBase) -> None:
        self._root_path = _root_path(config)
        self._proxies = TrustedProxies(config.forwarded_allow_ips)
        self._names = _VariableNames()
        server_name, server_port = _server_address(sockname)
        self._template: Environ = {
            "SCRIPT_NAME": self._root_path,
            "SERVER_NAME": server_name,
            "SERVER_PORT": server_port,
            "SERVER_SOFTWARE": f"greenuni/{__version__}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": errors,
            "wsgi.multithread": config.threads > 1,
            "wsgi.multiprocess": config.workers > 1,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }

    def __repr__(self) -> str:
        template = self._template
        return f"<EnvironFactory {template['SERVER_NAME']}:{template['SERVER_PORT']}>"

    def peer(self, address: SocketName) -> Peer:
        """The peer that ``accept()`` gave this address of."""
        if isinstance(address, tuple) and len(address) >= 2:
            return Peer(address[0], str(address[1]), self._proxies.trusts(address[0]))
        return Peer(None, "", self._proxies.trusts(None))

    def make(self, request: Request, peer: Peer, body: IO[bytes], body_size: int) -> Environ:
        """The environ of ``request``; its whole body, of ``body_size`` bytes, is in ``body``."""
        environ = self._template.copy()
        environ["REQUEST_METHOD"] = request.method.decode("latin-1")
        environ["PATH_INFO"] = self._path_info(request.path)
        environ["QUERY_STRING"] = request.query.decode("latin-1")
        environ["RAW_URI"] = environ["REQUEST_URI"] = request.target.decode("latin-1")
        environ["SERVER_PROTOCOL"] = _PROTOCOLS[request.http_version]
        environ["wsgi.input"] = body
        environ["REMOTE_ADDR"] = peer.address or ""
        environ["REMOTE_PORT"] = peer.port
        self._add_fields(environ, request)
        if peer.is_trusted and not _FORWARDING.isdisjoint(environ):
            self._believe(environ, request, peer)
        if request.chunked:
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(body_size)
        return environ

    def _path_info(self, path: bytes) -> str:
        text = path.decode("latin-1")
        root = self._root_path
        if root and text.startswith(root) and text[len(root) : len(root) + 1] in ("", "/"):
            return text[len(root) :]
        # OPTIONS * asks about the server as a whole, which has no path.
        return "" if text == "*" else text

    def _believe(self, environ: Environ, request: Request, peer: Peer) -> None:
        """Take client and scheme from a proxy that is trusted."""
        client, scheme = self._proxies.resolve(peer.address, "http", request.headers)
        environ["wsgi.url_scheme"] = scheme
        environ["REMOTE_ADDR"] = client or ""
        if client != peer.address:
            del environ["REMOTE_PORT"]  # nobody told us the port of another

    def _add_fields(self, environ: Environ, request: Request) -> None:
        names = self._names
        repeated: dict[str, list[str]] = {}
        for name, value in request.headers:
            variable = names[name]
            if variable is _DROPPED:
                continue
            text = value.decode("latin-1")
            if variable in environ:
                repeated.setdefault(variable, [environ[variable]]).append(text)
            else:
                environ[variable] = text
        for variable, values in repeated.items():
            environ[variable] = ("; " if variable == "HTTP_COOKIE" else ",").join(values)


def _root_path(config: Config) -> str:
    """``root_path`` as SCRIPT_NAME: "" or "/name", UTF-8 octets as latin-1 characters."""
    path = config.root_path.strip("/").encode("utf-8").decode("latin-1")
    return f"/{path}" if path else ""


def _server_address(sockname: SocketName) -> tuple[str, str]:
    if isinstance(sockname, tuple) and len(sockname) >= 2:
        return sockname[0], str(sockname[1])
    # A unix socket has neither, and PEP 3333 forbids them to be empty.
    return "localhost", "80"
