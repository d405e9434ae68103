"""Accepting: one connection a turn, and only while there is room for it.

A connection that nobody has accepted waits in the kernel's queue, which all workers share: it goes
to the first that has time for it. So a worker takes one, goes to the end of the line, turns, and takes
the next, and one that is full or busy does not listen at all.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable

from greenuni.poller import LISTEN
from greenuni.siblings import Siblings
from greenuni.transfer import accept
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.loop import Handler, Loop

# The process or the system has no descriptor or no memory for one more connection.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_SECONDS = 1.0
LOG_SECONDS = 60.0

Accepted = Callable[[int, SocketName, EnvironFactory], None]


class Acceptor(Handler):
    """One listening socket."""

    __slots__ = (
        "_accepted",
        "_environs",
        "_held",
        "_is_listening",
        "_listener",
        "_log",
        "_loop",
        "_paused_until",
        "_siblings",
        "_silent_until",
    )

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        environs: EnvironFactory,
        accepted: Accepted,
        log: logging.Logger,
        siblings: Siblings | None,
        held: Callable[[], int],
    ) -> None:
        """``held`` counts the connections of this worker."""
        self._loop = loop
        self._listener = listener
        self._environs = environs
        self._accepted = accepted
        self._log = log
        self._siblings = siblings
        self._held = held
        self._is_listening = False
        self._paused_until = 0.0  # by the loop's clock; 0 when the last accept was good
        self._silent_until = 0.0  # likewise; a log line a minute says enough
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            # What accept() returns inherits it: one system call a listener, not one a connection.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __repr__(self) -> str:
        state = "listening" if self._is_listening else "not listening"
        return f"<Acceptor {self._environs!r} {state}>"

    @property
    def is_exhausted(self) -> bool:
        """Whether the last accept failed for want of descriptors or memory."""
        return self._paused_until > 0.0

    def listen(self, wanted: bool) -> None:
        """Watch the listener, or not; a pause comes first."""
        wanted = wanted and self._loop.now >= self._paused_until
        if wanted == self._is_listening:
            return
        fd = self._listener.fileno()
        if wanted:
            self._loop.poller.register(fd, LISTEN)
            self._loop.handlers[fd] = self
        else:
            self._loop.poller.unregister(fd)
            del self._loop.handlers[fd]
        self._is_listening = wanted

    def on_event(self, mask: int) -> None:
        if self._siblings is not None:
            self._siblings.come_first(self._held())
        try:
            fd, address = accept(self._listener)
        except (BlockingIOError, ConnectionAbortedError):
            return  # a sibling was faster, or the client has gone
        except OSError as error:
            self._pause(error)
            return
        self._paused_until = 0.0
        if self._siblings is not None:
            self._go_to_the_end()
        self._accepted(fd, address, self._environs)

    def _go_to_the_end(self) -> None:
        """The kernel wakes the one that has been in line longest, which would always be the same."""
        fd = self._listener.fileno()
        self._loop.poller.unregister(fd)
        self._loop.poller.register(fd, LISTEN)

    def _pause(self, error: OSError) -> None:
        now = self._loop.now
        if now >= self._silent_until:
            self._silent_until = now + LOG_SECONDS
            advice = "; raise the limit of open files" if error.errno in _EXHAUSTED else ""
            self._log.error("Cannot accept a connection: %s%s", error.strerror or error, advice)
        self._paused_until = now + PAUSE_SECONDS
        self.listen(False)

    def close(self) -> None:
        """Stop listening. The socket belongs to the worker."""
        self.listen(False)
