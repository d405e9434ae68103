"""Addresses to listen on: ``--bind`` in all its spellings, as typed objects.

========================== ============================================
``host:port``              a name or an IPv4 address, and a port
``[v6]:port``              an IPv6 address stands in brackets
``:port``                  every IPv4 address of the machine
``port``                   127.0.0.1; an abbreviation opens nothing to others
``host`` or ``[v6]``       port 8000
``unix:path``              a Unix socket; ``unix:///path`` is the same
``fd://N``                 a listening socket inherited as descriptor N
========================== ============================================
"""

from typing import NamedTuple

LOCAL_HOST = "127.0.0.1"
ANY_HOST = "0.0.0.0"
DEFAULT_PORT = 8000
HIGHEST_PORT = 65535


class TcpAddress(NamedTuple):
    """``host`` is a name, an IPv4 or an IPv6 address without brackets; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(NamedTuple):
    """``path`` is a file system path, or starts with ``@`` for Linux's abstract name space."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class FdAddress(NamedTuple):
    """``fd`` is a descriptor that our parent opened, bound and handed down."""

    fd: int

    def __str__(self) -> str:
        return f"fd://{self.fd}"


Address = TcpAddress | UnixAddress | FdAddress


def parse_address(text: str) -> Address:
    """The address that one ``--bind`` value names. Raises ``ValueError`` with the reason."""
    text = text.strip()
    if not text:
        raise ValueError("an address is empty")
    if text.startswith("unix:"):
        return _unix_address(text)
    if text.startswith("fd://"):
        return _fd_address(text)
    if "://" in text:
        return parse_address(_without_scheme(text))
    return _tcp_address(text)


def _without_scheme(text: str) -> str:
    """``tcp://host:port`` is gunicorn's long form; other schemes are not addresses."""
    scheme, _, rest = text.partition("://")
    if scheme != "tcp":
        raise ValueError(f"{text!r} is not an address: write host:port, unix:path or fd://N")
    return rest


def _unix_address(text: str) -> UnixAddress:
    path = text[len("unix:") :]
    if path.startswith("//"):
        path = path[2:]
    if not path:
        raise ValueError(f"{text!r} names no path: write unix:/run/app.sock")
    return UnixAddress(path)


def _fd_address(text: str) -> FdAddress:
    digits = text[len("fd://") :]
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{text!r} names no descriptor: write fd://3")
    return FdAddress(int(digits))


def _tcp_address(text: str) -> TcpAddress:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not host or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an IPv6 address with a port: write [::1]:8000")
        return TcpAddress(host, parse_port(rest[1:]) if rest else DEFAULT_PORT)
    if text.count(":") > 1:
        raise ValueError(
            f"{text!r} has several colons: an IPv6 address stands in brackets, [::1]:8000"
        )
    host, colon, port = text.partition(":")
    if not colon and host.isdigit():
        host, colon, port = LOCAL_HOST, ":", host
    return TcpAddress(host or ANY_HOST, parse_port(port) if colon else DEFAULT_PORT)


def parse_port(text: str) -> int:
    """A port number, 0 to 65535. Raises ``ValueError`` with the reason."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a port number")
    if int(text) > HIGHEST_PORT:
        raise ValueError(f"port {text} is higher than {HIGHEST_PORT}")
    return int(text)
