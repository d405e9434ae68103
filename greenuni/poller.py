"""Readiness of descriptors: epoll where there is one, ``selectors`` elsewhere.

The interface is the part of ``select.epoll`` that the loop uses, and on Linux it *is* a
``select.epoll``: no layer of ours stands between the loop and the kernel.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
import sys
from typing import Protocol

READ = 1  # EPOLLIN and POLLIN are 1 everywhere
WRITE = 4  # EPOLLOUT and POLLOUT are 4 everywhere

# What poll() tells of the peer's end without anything being read; 0 where it does not.
_PEER_CLOSED: int = getattr(select, "POLLRDHUP", 0)

if sys.platform == "linux":
    # One waiting worker is woken for a connection, not all of them.
    LISTEN = READ | select.EPOLLEXCLUSIVE
else:
    LISTEN = READ


class Poller(Protocol):
    """Level-triggered readiness. ``poll`` reports errors and hang-ups for whatever was asked."""

    def register(self, fd: int, eventmask: int, /) -> None: ...

    def modify(self, fd: int, eventmask: int, /) -> None: ...

    def unregister(self, fd: int, /) -> None: ...

    def poll(self, timeout: float, maxevents: int = -1, /) -> list[tuple[int, int]]:
        """Descriptors and what they are ready for; empty after ``timeout`` seconds.

        With ``maxevents`` epoll gives so many at most, in turns; elsewhere all come at once.
        """

    def fileno(self) -> int:
        """A descriptor that is readable when ``poll`` has something to tell."""

    def close(self) -> None: ...


class SelectorPoller:
    """The same interface over ``selectors.DefaultSelector`` (kqueue on macOS and the BSDs)."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def __repr__(self) -> str:
        return f"<SelectorPoller over {type(self._selector).__name__}>"

    def register(self, fd: int, eventmask: int, /) -> None:
        self._selector.register(fd, _to_selector(eventmask))

    def modify(self, fd: int, eventmask: int, /) -> None:
        self._selector.modify(fd, _to_selector(eventmask))

    def unregister(self, fd: int, /) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float, maxevents: int = -1, /) -> list[tuple[int, int]]:
        ready = self._selector.select(timeout)
        return [(key.fd, _from_selector(events)) for key, events in ready]

    def fileno(self) -> int:
        return self._selector.fileno()

    def close(self) -> None:
        self._selector.close()


def _to_selector(mask: int) -> int:
    events = selectors.EVENT_READ if mask & READ else 0
    return events | (selectors.EVENT_WRITE if mask & WRITE else 0)


def _from_selector(events: int) -> int:
    mask = READ if events & selectors.EVENT_READ else 0
    return mask | (WRITE if events & selectors.EVENT_WRITE else 0)


def new_poller() -> Poller:
    """A poller of this process. Make it after the fork: an epoll is shared by those who inherit it."""
    return select.epoll() if sys.platform == "linux" else SelectorPoller()


def wait_writable(fd: int, seconds: float) -> bool:
    """Block until ``fd`` takes bytes or has failed; False after ``seconds`` without either.

    For whoever owns a connection outside the loop.
    """
    poller = select.poll()
    poller.register(fd, WRITE)
    return bool(poller.poll(max(1, int(seconds * 1000))))


def has_hung_up(fd: int) -> bool:
    """Whether the peer of a socket has sent its last byte, or the connection has failed."""
    poller = select.poll()
    if _PEER_CLOSED:
        poller.register(fd, _PEER_CLOSED)
        return bool(poller.poll(0))
    poller.register(fd, READ)
    return bool(poller.poll(0)) and _has_ended(fd)


def _has_ended(fd: int) -> bool:
    """The same, where only reading tells: unread bytes hide the end that is behind them."""
    with socket.socket(fileno=os.dup(fd)) as peer:
        try:
            return not peer.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True


def wait_readable(fd: int) -> None:
    """Block until there is something to read from ``fd``, or it has failed."""
    poller = select.poll()
    poller.register(fd, READ)
    poller.poll()
