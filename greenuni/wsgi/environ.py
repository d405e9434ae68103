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
- SCRIPT_NAME is ``root_path`` and then where the application's pool is mounted. PATH_INFO is the path below
  that, also where a proxy in front has removed ``root_path`` already.
"""

from __future__ import annotations

from io import TextIOBase
from typing import IO, Any

from greenuni import __version__
from greenuni.config import Config
from greenuni.http import TrustedProxies
from greenuni.http.request import Request
from greenuni.variables import VariableNames
from greenuni.wsgi.sendfile import FileWrapper

Environ = dict[str, Any]
SocketName = str | tuple[Any, ...]

ADDRESS_CACHE_LIMIT = 1024


class Peer:
    """The other end of a connection. ``address`` is None on a unix socket."""

    __slots__ = ("address", "is_trusted", "port")

    def __init__(self, address: str | None, port: str, is_trusted: bool) -> None:
        self.address = address
        self.port = port
        self.is_trusted = is_trusted  # its forwarding headers are believed

    def __repr__(self) -> str:
        return f"<Peer {self.address or 'unix'}{' trusted' * self.is_trusted}>"


class EnvironFactory:
    """Makes the environs of all requests that come in by one listener."""

    __slots__ = ("_names", "_prefixes", "_proxies", "_root_path", "_template", "_trusted")

    def __init__(
        self, config: Config, sockname: SocketName, errors: TextIOBase, prefix: str = ""
    ) -> None:
        """``prefix`` is what every path begins with: octets of UTF-8 as latin-1 characters."""
        self._prefixes = [part for part in (_root_path(config), prefix) if part]
        self._root_path = "".join(self._prefixes)
        self._proxies = TrustedProxies(config.forwarded_allow_ips)
        self._trusted: dict[str | None, bool] = {}  # by address
        self._names = VariableNames()
        self._template = _roomy(_template(config, sockname, errors, self._root_path))

    def __repr__(self) -> str:
        template = self._template
        return f"<EnvironFactory {template['SERVER_NAME']}:{template['SERVER_PORT']}>"

    def peer(self, address: SocketName) -> Peer:
        """The peer that ``accept()`` gave this address of."""
        if type(address) is tuple and len(address) >= 2:
            host, port = address[0], address[1]
            return Peer(host, f"{port}", self._trusts(host))
        return Peer(None, "", self._trusts(None))

    def _trusts(self, address: str | None) -> bool:
        """Remembered, for most connections are a proxy's and reading an address is slow."""
        is_trusted = self._trusted.get(address)
        if is_trusted is None:
            is_trusted = self._proxies.trusts(address)
            if len(self._trusted) < ADDRESS_CACHE_LIMIT:
                self._trusted[address] = is_trusted
        return is_trusted

    def make(self, request: Request, peer: Peer, body: IO[bytes], body_size: int) -> Environ:
        """The environ of ``request``; its whole body, of ``body_size`` bytes, is in ``body``.

        The template has an entry for every variable that is set here, with the value that most
        requests have where there is one: replacing is cheaper than adding.
        """
        environ = self._template.copy()
        method, target = request.method, request.target
        if method != b"GET":
            environ["REQUEST_METHOD"] = method.decode("latin-1")
        if target != b"/":
            self._set_target(environ, request, target)
        if request.http_version != b"1.1":
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        environ["wsgi.input"] = body
        if peer.address is not None:
            environ["REMOTE_ADDR"] = peer.address
            environ["REMOTE_PORT"] = peer.port
        request.add_variables(environ, self._names)
        if peer.is_trusted and (
            "HTTP_X_FORWARDED_FOR" in environ or "HTTP_X_FORWARDED_PROTO" in environ
        ):
            self._believe(environ, request, peer)
        if request.chunked:
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(body_size)
        return environ

    def _set_target(self, environ: Environ, request: Request, target: bytes) -> None:
        path, query = request.path, request.query
        text = target.decode("latin-1")
        environ["RAW_URI"] = environ["REQUEST_URI"] = text
        if path != target:
            text = path.decode("latin-1")
        environ["PATH_INFO"] = text if text != "*" and not self._root_path else self._below(text)
        if query:
            environ["QUERY_STRING"] = query.decode("latin-1")

    def _below(self, text: str) -> str:
        """The path below ``root_path``, and below the mount."""
        for prefix in self._prefixes:
            if text.startswith(prefix) and text[len(prefix) : len(prefix) + 1] in ("", "/"):
                text = text[len(prefix) :]
        # OPTIONS * asks about the server as a whole, which has no path.
        return "" if text == "*" else text

    def _believe(self, environ: Environ, request: Request, peer: Peer) -> None:
        """Take client and scheme from a proxy that is trusted."""
        client, scheme = self._proxies.resolve(peer.address, "http", request.headers)
        environ["wsgi.url_scheme"] = scheme
        environ["REMOTE_ADDR"] = client or ""
        if client != peer.address:
            del environ["REMOTE_PORT"]  # nobody told us the port of another


def _template(config: Config, sockname: SocketName, errors: TextIOBase, root_path: str) -> Environ:
    server_name, server_port = _server_address(sockname)
    return {
        "SCRIPT_NAME": root_path,
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
        # Those of a request.
        "greenuni.request": None,  # until there is a call
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/",
        "REQUEST_URI": "/",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": None,
        "REMOTE_ADDR": "",
        "REMOTE_PORT": "",
    }


def _roomy(environ: Environ) -> Environ:
    """The same with room for 20 entries more.

    CPython lays a dict of more than 21 entries out for 42, and a copy as what it is copied from. So
    one entry too many, taken out again, saves every request that its environ is moved as it grows.
    """
    environ["HTTP_HOST"] = ""
    environ.popitem()
    return environ


def _root_path(config: Config) -> str:
    """``root_path`` as SCRIPT_NAME: "" or "/name", UTF-8 octets as latin-1 characters."""
    path = config.root_path.strip("/").encode("utf-8").decode("latin-1")
    return f"/{path}" if path else ""


def _server_address(sockname: SocketName) -> tuple[str, str]:
    if isinstance(sockname, tuple) and len(sockname) >= 2:
        return sockname[0], str(sockname[1])
    # A unix socket has neither, and PEP 3333 forbids them to be empty.
    return "localhost", "80"
