"""Bytes between sockets and connections, the same on every event loop.

A worker has one poller for all its sockets, and the event loop watches one descriptor: the poller's
own (`Sockets.fileno`). When that is readable, ``turn`` serves a batch of those that are ready, each
with one read or write; the poller names the others first the next time. A transport, a handle and a
callback of the loop's for each connection would cost more than a small request.

- A descriptor is registered when there is something to wait for, and not before: what a client sent
  with its handshake is there when it has been accepted, and a connection that is closed after one
  answer is never registered at all.
- Registrations are taken back before a socket is closed. The kernel would do it, but not while a
  child process of the application's holds a copy of the descriptor.
- ``connection_lost`` comes once, soon after the end, and never from within ``write``, ``close`` or
  any other call of the user's.
- What fails in one connection ends that one.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice

from greenuni.asgi.channel import TransportUser
from greenuni.poller import READ, WRITE, new_poller
from greenuni.sockets import reset_on_close
from greenuni.transfer import maybe_receive, send

# Sockets served in one turn, at most. Then the tasks of the loop have theirs, so that the first of many
# who ask at once is not answered only when all of them have been read.
BATCH = 16

# The water marks of asyncio's transports: writing pauses above one and resumes at the other.
HIGH_WATER = 65536
LOW_WATER = 16384

# What socket.socket is made of: with the methods that matter, and without the layer that costs as much
# as a system call to make.
RawSocket = socket.SocketType

_PARTS = 64  # pieces of the backlog given to the kernel at a time; it takes 1024 at most

_READ, _WRITE = READ, WRITE  # plain numbers, which compiled code compares without a call


# How far a transport has come on its way to the end. Later stages are greater.
_OPEN = 0
_FINISHING = 1  # write_eof: our side is shut as soon as the backlog is out
_FINISHED = 2  # our side is shut
_CLOSING = 3  # close: the socket is closed as soon as the backlog is out
_CLOSED = 4  # the socket is closed; the user will be told soon
_LOST = 5  # the user has been told
_STAGES = ("open", "finishing", "finished", "closing", "closed", "lost")

_NOBODY = TransportUser()  # is told nothing

# Whether more is to be read.
_READING = 0
_PAUSED = 1
_AT_EOF = 2  # or of no interest any more


class Pollable:
    """What `Sockets` tells of readiness. A class, so that compiled code calls its method directly."""

    __slots__ = ()

    def ready(self, mask: int) -> None:
        """One turn; ``mask`` may tell of an error or a hang-up, too. Must not raise."""
        raise NotImplementedError


class Sockets:
    """All sockets of a worker; see the module.

    ``call_soon`` is the event loop's: it calls back once everything has run that is due now.
    """

    def __init__(
        self, call_soon: Callable[[Callable[[], object]], object], log: logging.Logger
    ) -> None:
        self.log = log
        self._call_soon = call_soon
        self._poller = new_poller()
        self._watched: dict[int, Pollable] = {}
        self._unsettled: list[SocketTransport] = []

    def __repr__(self) -> str:
        return f"<Sockets watched={len(self._watched)}>"

    def fileno(self) -> int:
        """The descriptor that is readable when ``turn`` has something to do."""
        return self._poller.fileno()

    def turn(self) -> None:
        """Serve the sockets that are ready, each once."""
        watched = self._watched
        for fd, mask in self._poller.poll(0, BATCH):
            pollable: Pollable | None = watched.get(fd)
            # One may have been closed by another of this batch. Should its number be in use again
            # already, the new one finds nothing to read.
            if pollable is not None:
                pollable.ready(mask)

    def watch(self, fd: int, before: int, mask: int, pollable: Pollable) -> None:
        """Wait for what is in ``mask`` instead of ``before``; 0 is nothing. Raises OSError."""
        if not before:
            self._poller.register(fd, mask)
            self._watched[fd] = pollable
        elif mask:
            self._poller.modify(fd, mask)
        else:
            self._poller.unregister(fd)
            del self._watched[fd]

    def settle_soon(self, transport: SocketTransport) -> None:
        """Call the transport's ``settle`` when all tasks that are ready now have run."""
        if not self._unsettled:
            self._call_soon(self._settle)
        self._unsettled.append(transport)

    def _settle(self) -> None:
        unsettled, self._unsettled = self._unsettled, []
        for transport in unsettled:
            transport.settle()

    def close(self) -> None:
        self._poller.close()


class SocketTransport(Pollable):
    """One connected, non-blocking socket: `interfaces.Transport`. Owns the socket."""

    __slots__ = (
        "_backlog",
        "_buffered",
        "_error",
        "_fd",
        "_is_full",
        "_reading",
        "_socket",
        "_sockets",
        "_stage",
        "_user",
        "_watched",
    )

    def __init__(self, sockets: Sockets, connected: RawSocket, user: TransportUser) -> None:
        self._sockets = sockets
        self._socket = connected
        self._fd = connected.fileno()
        self._user = user
        self._stage = _OPEN
        self._reading = _READING
        self._watched = 0  # what the poller has been told to wait for
        self._backlog: deque[memoryview] | None = None  # what the socket has not taken
        self._buffered = 0  # bytes of it
        self._is_full = False  # the user has been told to pause
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<SocketTransport {_STAGES[self._stage]} buffered={self._buffered}>"

    def start(self, unread: bytes = b"") -> None:
        """Tell the user, and give it its first bytes, if they are there.

        ``unread`` are those that another process has read from the socket.
        """
        self._sockets.settle_soon(self)
        user = self._user  # a reference of our own: it may leave us to another while it is told
        try:
            user.connection_made(self)
            if unread:
                user = self._user
                user.data_received(unread)
            else:
                self._read()
        except Exception:  # noqa: BLE001 - a fault of ours, and must not end the others
            self._fail()

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._fd if self._stage < _CLOSED else -1

    def set_user(self, user: TransportUser) -> None:
        """From now on tell ``user`` what there is to tell."""
        self._user = user

    # Called by the sockets

    def ready(self, mask: int) -> None:
        try:
            if self._backlog and mask & ~_READ:
                self._flush()
            if self._reading == _READING and mask & ~_WRITE:
                self._read()
        except Exception:  # noqa: BLE001 - as above
            self._fail()

    def settle(self) -> None:
        """Wait for what comes next, or tell the user that nothing does."""
        if self._stage < _CLOSED:
            self._watch()
        elif self._stage == _CLOSED:
            self._stage = _LOST
            # Who refer to each other would be there until the collector of garbage comes.
            user, self._user = self._user, _NOBODY
            try:
                user.connection_lost(self._error)
            except Exception:  # noqa: BLE001 - as above
                self._fail()

    def _fail(self) -> None:
        self._sockets.log.exception("Unexpected error; the connection is closed")
        self.abort()

    # Reading

    def _read(self) -> None:
        user = self._user  # as above
        try:
            data = maybe_receive(self._fd)
        except ConnectionError as error:
            self._end(error)
            return
        if data is None:
            self._watch()
        elif data:
            user.data_received(data)
        else:
            self._reading = _AT_EOF
            if not user.eof_received():
                self.close()
            else:
                self._watch()

    def pause_reading(self) -> None:
        if self._reading == _READING:
            self._reading = _PAUSED
            self._watch()

    def resume_reading(self) -> None:
        if self._reading == _PAUSED:
            self._reading = _READING
            self._watch()

    def _watch(self) -> None:
        """Have the poller wait for what we wait for."""
        mask = (_READ if self._reading == _READING else 0) | (_WRITE if self._backlog else 0)
        if mask == self._watched or self._stage >= _CLOSED:
            return
        try:
            self._sockets.watch(self._fd, self._watched, mask, self)
        except OSError as error:
            # The machine has no memory for one more registration (epoll_ctl(2)).
            self._end(error)
        else:
            self._watched = mask

    # Writing

    def write(self, data: bytes) -> None:
        self.writelines([data])

    def writelines(self, parts: list[bytes]) -> None:
        if self._stage != _OPEN:
            return
        sent = 0
        if not self._backlog:
            try:
                sent = self._send(parts)
            except OSError as error:
                self._end(error)
                return
        size = 0
        for part in parts:
            size += len(part)
        if sent < size:
            self._keep(parts, sent)

    def _send(self, parts: list[bytes]) -> int:
        """How many bytes the socket took, 0 when it takes none now. Raises OSError."""
        if len(parts) == 1:
            return send(self._fd, parts[0])
        try:
            return self._socket.sendmsg(parts)
        except BlockingIOError:
            return 0

    def _keep(self, parts: list[bytes], sent: int) -> None:
        """Buffer what is behind the first ``sent`` bytes."""
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = deque()
        for part in parts:
            size = len(part)
            if sent < size:
                backlog.append(memoryview(part)[sent:])
                self._buffered += size - sent
            sent = max(sent - size, 0)
        self._watch()
        if self._buffered > HIGH_WATER and not self._is_full:
            self._is_full = True
            self._user.pause_writing()

    def _flush(self) -> None:
        backlog = self._backlog
        assert backlog is not None, "there is something to flush"
        try:
            sent = self._socket.sendmsg(list(islice(backlog, _PARTS)))
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        self._buffered -= sent
        while backlog and sent >= len(backlog[0]):
            sent -= len(backlog.popleft())
        if backlog:
            backlog[0] = backlog[0][sent:]
        if self._is_full and self._buffered <= LOW_WATER:
            self._is_full = False
            self._user.resume_writing()
        if not backlog:
            self._flushed()

    def _flushed(self) -> None:
        self._backlog = None
        if self._stage == _CLOSING:
            self._end(None)
            return
        if self._stage == _FINISHING:
            self._shut()
        self._user.flushed()
        self._watch()

    def write_eof(self) -> None:
        if self._stage == _OPEN:
            self._stage = _FINISHING
            if not self._backlog:
                self._shut()

    def _shut(self) -> None:
        self._stage = _FINISHED
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The client has reset the connection, and we had not heard of it.
            self._end(error)

    def get_write_buffer_size(self) -> int:
        return self._buffered

    # The end

    def close(self) -> None:
        if self._stage >= _CLOSING:
            return
        if self._backlog:
            self._stage = _CLOSING
            self._reading = _AT_EOF
            self._watch()
        else:
            self._end(None)

    def abort(self) -> None:
        if self._stage < _CLOSED:
            try:
                reset_on_close(self._socket)
            except OSError:
                # macOS: the client was faster.
                pass
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        """Close the socket now; the user is told soon."""
        if self._stage >= _CLOSED:
            return
        self._stage = _CLOSED
        self._reading = _AT_EOF
        self._backlog = None
        self._buffered = 0
        self._error = error
        if self._watched:
            self._sockets.watch(self._fd, self._watched, 0, self)
            self._watched = 0
        self._socket.close()
        self._sockets.settle_soon(self)
