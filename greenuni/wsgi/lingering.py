"""Closing in two steps (RFC 9112 9.6): unread bytes at a close reset the connection, and with it what the
client has not read yet. So first only our side is closed, and what still comes is thrown away.
"""

from __future__ import annotations

from greenuni.poller import READ
from greenuni.transfer import maybe_receive
from greenuni.wsgi.link import Link

LINGER_LIMIT = 256 * 1024  # bytes thrown away


class Lingering:
    """The rest of a connection on which nothing more is said. Making one raises ConnectionError."""

    __slots__ = ("_link", "_size")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._size = 0  # bytes thrown away
        link.end()
        link.watch(READ)

    def __repr__(self) -> str:
        return f"<Lingering on {self._link!r} after {self._size} bytes>"

    def discard(self) -> bool:
        """Throw away what there is; whether the client is done, too. Raises ConnectionError."""
        data = maybe_receive(self._link.fd)
        if data is None:
            return False
        self._size += len(data)
        if self._size > LINGER_LIMIT:
            self._link.watch(0)  # the deadline closes it; the client can read until then
        return not data
