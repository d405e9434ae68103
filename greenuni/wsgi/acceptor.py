"""Accepting the connections of new clients."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from greenuni.siblings import Siblings
from greenuni.transfer import accept
from greenuni.wsgi.door import Door
from greenuni.wsgi.environ import EnvironFactory, SocketName
from greenuni.wsgi.loop import Loop

Accepted = Callable[[int, SocketName, EnvironFactory], None]


class Acceptor(Door):
    """One listening socket."""

    __slots__ = ("_accepted", "_environs", "_held", "_siblings")

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
        super().__init__(loop, listener, log, "Cannot accept a connection")
        self._environs = environs
        self._accepted = accepted
        self._siblings = siblings
        self._held = held
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            # What accept() returns inherits it: one system call a listener, not one a connection.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_event(self, mask: int) -> None:
        if self._siblings is not None:
            self._siblings.come_first(self._held())
        try:
            fd, address = accept(self.sock)
        except (BlockingIOError, ConnectionAbortedError):
            return  # a sibling was faster, or the client has gone
        except OSError as error:
            self.pause(error)
            return
        self.was_good()
        if self._siblings is not None:
            self.go_to_the_end()
        self._accepted(fd, address, self._environs)
