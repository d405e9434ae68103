"""Where connections come in, one a turn, and only while there is room for them.

What nobody has taken yet waits in the kernel, in a queue that all workers share: it goes to the first that
has time for it. So a worker takes one, goes to the end of the line, turns, and takes the next, and one that
is full or busy does not listen at all.
"""

from __future__ import annotations

import logging
import socket

from greenuni.poller import LISTEN
from greenuni.sockets import EXHAUSTED
from greenuni.wsgi.loop import Handler, Loop

# The process or the system has no descriptor or no memory for one more connection.
PAUSE_SECONDS = 1.0
LOG_SECONDS = 60.0


class Door(Handler):
    """A socket that connections come from. ``complaint`` begins the log line about one that could not."""

    __slots__ = (
        "_complaint",
        "_log",
        "_loop",
        "_paused_until",
        "_silent_until",
        "is_listening",
        "sock",
    )

    def __init__(
        self, loop: Loop, sock: socket.socket, log: logging.Logger, complaint: str
    ) -> None:
        self._loop = loop
        self._log = log
        self._complaint = complaint
        self.is_listening = False
        self._paused_until = 0.0  # by the loop's clock; 0 when the last one was good
        self._silent_until = 0.0  # likewise; a log line a minute says enough
        self.sock = sock

    def __repr__(self) -> str:
        state = "listening" if self.is_listening else "not listening"
        return f"<{type(self).__name__} {self.sock.fileno()} {state}>"

    @property
    def is_exhausted(self) -> bool:
        """Whether the last connection failed for want of descriptors or memory."""
        return self._paused_until > 0.0

    def listen(self, wanted: bool) -> None:
        """Watch the socket, or not; a pause comes first."""
        wanted = wanted and self._loop.now >= self._paused_until
        if wanted == self.is_listening:
            return
        fd = self.sock.fileno()
        if wanted:
            self._loop.poller.register(fd, LISTEN)
            self._loop.handlers[fd] = self
        else:
            self._loop.poller.unregister(fd)
            del self._loop.handlers[fd]
        self.is_listening = wanted

    def go_to_the_end(self) -> None:
        """The kernel wakes the one that has been in line longest, which would always be the same."""
        if self.is_listening:
            fd = self.sock.fileno()
            self._loop.poller.unregister(fd)
            self._loop.poller.register(fd, LISTEN)

    def was_good(self) -> None:
        """A connection has come in."""
        self._paused_until = 0.0

    def pause(self, error: OSError) -> None:
        """None could come in; leave it alone for a while."""
        now = self._loop.now
        if now >= self._silent_until:
            self._silent_until = now + LOG_SECONDS
            advice = "; raise the limit of open files" if error.errno in EXHAUSTED else ""
            self._log.error("%s: %s%s", self._complaint, error.strerror or error, advice)
        self._paused_until = now + PAUSE_SECONDS
        self.listen(False)

    def close(self) -> None:
        """Stop listening. The socket belongs to the worker."""
        self.listen(False)
