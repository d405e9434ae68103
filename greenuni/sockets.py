"""Accepting a connection as a socket object at its cheapest, for the ASGI shell."""

from __future__ import annotations

import socket
from typing import Any

RawSocket = socket.SocketType  # what socket.socket is made of


class Accepting:
    """``accept`` of one listening socket.

    ``socket.socket.accept`` makes enum members of family and type and a Python object on top, which
    together cost as much as the system call. What comes out here has the methods that matter (recv,
    send, sendmsg, shutdown, setsockopt, close, fileno) without that layer.
    """

    __slots__ = ("_accept", "_family", "_protocol", "_type")

    def __init__(self, listener: socket.socket) -> None:
        self._accept = listener._accept  # type: ignore[attr-defined]
        self._family = int(listener.family)
        self._type = int(listener.type)
        self._protocol = listener.proto

    def __repr__(self) -> str:
        return f"<Accepting {self._accept.__self__!r}>"

    def accept(self) -> tuple[Any, Any]:
        """A non-blocking socket of the next connection, and its peer's address. Raises OSError."""
        fd, address = self._accept()
        accepted = RawSocket(self._family, self._type, self._protocol, fileno=fd)
        accepted.setblocking(False)
        return accepted, address
