"""One accepted socket: watching it, closing it.

The descriptor is registered with the poller when a read would block, not before, and stays so from
request to request: a connection that is used for one request is never registered, and one that is
used for a thousand is registered once.
"""

from __future__ import annotations

import os
import socket

from greenuni.poller import Poller
from greenuni.sockets import reset_on_close
from greenuni.transfer import close

PEEK_BYTES = 64 * 1024


class Link:
    """The descriptor of a non-blocking socket and what the poller watches it for."""

    __slots__ = ("_is_open", "_poller", "_watched", "fd")

    def __init__(self, fd: int, poller: Poller) -> None:
        self._poller = poller
        self._watched = 0
        self._is_open = True
        self.fd = fd  # stays what it was when it is closed

    def __repr__(self) -> str:
        return f"<Link {self.fd} watched={self._watched}>"

    def watch(self, mask: int) -> None:
        """Have the poller watch for ``mask``, which costs a system call only when it changes."""
        if mask == self._watched:
            return
        if not self._watched:
            self._poller.register(self.fd, mask)
        elif mask:
            self._poller.modify(self.fd, mask)
        else:
            self._poller.unregister(self.fd)
        self._watched = mask

    def end(self) -> None:
        """Say that nothing more will come from us. Raises ConnectionError."""
        try:
            with self._socket() as sock:
                sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def reset_on_close(self) -> None:
        """Let the client get an error instead of an end."""
        with self._socket() as sock:
            reset_on_close(sock)

    def peek(self) -> bytes:
        """What has come, and stays there to be read; nothing also when the connection has failed."""
        try:
            with self._socket() as sock:
                return sock.recv(PEEK_BYTES, socket.MSG_PEEK)
        except OSError:
            return b""

    def _socket(self) -> socket.socket:
        """The same socket as an object, which most connections never need; to be closed at once."""
        return socket.socket(fileno=os.dup(self.fd))

    def close(self) -> None:
        """Close the socket, in whatever thread; ``watch(0)`` comes before if there is a loop."""
        if self._is_open:
            self._is_open = False
            close(self.fd)
