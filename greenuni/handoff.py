"""Connections on their way to another worker: one message of a queue is one connection.

A message carries the descriptor (SCM_RIGHTS) and what was read from the client but not answered, so that
the receiver goes on as if it had read that itself; nothing for an idle connection. In front stands one byte:
how often the connection has been handed on for the sake of the request in it, because workers of
different generations may disagree on whose it is, each of them sending it to the other.

The sender closes its descriptor, the client notices nothing. A connection in a queue is nobody's: it lives
as long as the queue, and its client waits.

This is a leaf, used by both shells.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

UNREAD_LIMIT = 128 * 1024  # bytes; two reads, and the kernel finds that much for one message
HOPS_LIMIT = 8  # pools that a request is sent through; more only while two disagree on whose it is

# No room: in the queue, in memory, or among the descriptors that one user may have in queues (unix(7)).
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)
_DESCRIPTOR = struct.Struct("i")
_CONTROL_SIZE = socket.CMSG_SPACE(_DESCRIPTOR.size)
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # where there is none it is done afterwards

SocketName = str | tuple[Any, ...]


def send(queue: socket.socket, fd: int, unread: bytes, hops: int = 0) -> bool:
    """Send a connection; True when it is in the queue and the caller is to close ``fd``.

    False when there is no room now. Raises OSError, with EMSGSIZE for more than ``UNREAD_LIMIT`` bytes.
    """
    if len(unread) > UNREAD_LIMIT:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(fd))
    try:
        queue.sendmsg((bytes((hops,)), unread), (rights,))
    except OSError as error:
        if error.errno in _FULL:
            return False
        raise
    return True


def receive(queue: socket.socket) -> tuple[int, bytes, int] | None:
    """The next connection: its descriptor, the unread bytes and the hops; None when there is none.

    The descriptor does not block, for that goes with the socket, and is closed on exec. Raises OSError with
    EMFILE when this process could not open it: the connection is lost then, and the kernel closes it.
    """
    try:
        data, control, flags, _ = queue.recvmsg(1 + UNREAD_LIMIT, _CONTROL_SIZE, _CLOSE_ON_EXEC)
    except BlockingIOError:
        return None
    descriptors = [
        _DESCRIPTOR.unpack_from(rights)[0]
        for level, kind, rights in control
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        and len(rights) >= _DESCRIPTOR.size
    ]
    if not descriptors:
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return None
    (fd,) = descriptors
    if not _CLOSE_ON_EXEC:
        os.set_inheritable(fd, False)
    return fd, data[1:], data[0]


def names(fd: int) -> tuple[SocketName, SocketName] | None:
    """Our end's name and the peer's, as ``accept`` would give them; None when the client has gone."""
    sock = socket.socket(fileno=fd)
    try:
        return sock.getsockname(), sock.getpeername()
    except OSError:
        return None
    finally:
        sock.detach()


class Traveller(Protocol):
    """A connection that is to go into a queue."""

    def leave(self, queue: socket.socket) -> bool:
        """Go; False when there is no room. True also when there is nothing to send any more."""


class Outbox:
    """The connections of one worker that wait for room in one queue, in order.

    It has no clock: a connection that has waited too long answers its client and then says in ``leave``
    that there is nothing to send.
    """

    def __init__(self, queue: socket.socket, watch: Callable[[bool], None]) -> None:
        """``watch`` begins or ends to wait for the queue to be writable, and then to call ``flush``."""
        self._queue = queue
        self._watch = watch
        self._waiting: deque[Traveller] = deque()

    def __repr__(self) -> str:
        return f"<Outbox of {len(self._waiting)}>"

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, traveller: Traveller) -> None:
        """Send it now, or when there is room and everybody before it has gone."""
        if self._waiting:
            self._waiting.append(traveller)
        elif not traveller.leave(self._queue):
            self._waiting.append(traveller)
            self._watch(True)

    def flush(self) -> None:
        """Send what there is room for: when the queue is writable, and at every tick.

        A queue that is writable and takes nothing lacks something that nobody tells of, descriptors in
        flight or memory. Then only the tick tries again, or the loop would spin.
        """
        before = len(self._waiting)
        while self._waiting and self._waiting[0].leave(self._queue):
            self._waiting.popleft()
        if before:
            self._watch(0 < len(self._waiting) < before)
