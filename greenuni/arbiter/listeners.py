"""Listening sockets: opened once by the arbiter, inherited by every worker.

Without ``reuse_port`` all workers accept from one socket an address. With it each place has a socket of its
own, which the arbiter holds too, so that what waits in its queue is taken over by the next worker there.
Pools share one socket an address in any case.

A Unix socket's path is removed only by the process that made it, and only while it still is that socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from greenuni.arbiter.identity import group_id, user_id
from greenuni.config import Address, Config, FdAddress, TcpAddress, UnixAddress
from greenuni.errors import GreenuniError, ListenError

Listeners = Mapping[Address, "Listener"]
_PROBE_SECONDS = 1.0  # how long a server may take to let us know that it owns a Unix socket


class Listener:
    """One address and the sockets that listen on it: one for all, or one for each place."""

    def __init__(self, address: Address, config: Config) -> None:
        self._address = address
        self.pool = config.pool  # whose own address it is, empty when it is the server's
        self._backlog = config.backlog
        # Places are numbered in each pool, so several pools share one socket.
        is_alone = not config.pools and not config.pool
        self._has_places = config.reuse_port and isinstance(address, TcpAddress) and is_alone
        self._made: tuple[str, int, int] | None = None  # path, device and inode of a Unix socket
        self._sockets = [self._open(address, config)]

    def _open(self, address: Address, config: Config) -> socket.socket:
        if isinstance(address, TcpAddress):
            return _open_tcp(address, config.backlog, config.reuse_port)
        if isinstance(address, FdAddress):
            return _open_fd(address, config.backlog)
        opened = _open_unix(address, config)
        if not _is_abstract(address):
            path = os.path.abspath(address.path)
            made = os.stat(path)
            self._made = (path, made.st_dev, made.st_ino)
        return opened

    def for_place(self, number: int) -> socket.socket:
        """The socket that the worker in place ``number`` accepts from."""
        if not self._has_places:
            return self._sockets[0]
        while len(self._sockets) <= number:
            host, port = self._sockets[0].getsockname()[:2]
            self._sockets.append(_open_tcp(TcpAddress(host, port), self._backlog, True))
        return self._sockets[number]

    def keep_places(self, count: int) -> None:
        """Close the sockets of places that nobody will hold; the kernel would go on queueing there."""
        for unused in self._sockets[count:]:
            unused.close()
        del self._sockets[count:]

    def adopt(self, config: Config) -> None:
        """Go on under a newer configuration."""
        self.pool = config.pool
        self._backlog = config.backlog
        for listening in self._sockets:
            listening.listen(config.backlog)

    def close(self) -> None:
        """Stop listening, and remove the path of a Unix socket that we made."""
        self.leave_to_child([])
        if self._made is None:
            return
        path, device, inode = self._made
        self._made = None  # the inode may be given to another server's socket now
        try:
            found = os.stat(path)
            if (found.st_dev, found.st_ino) == (device, inode):
                os.unlink(path)
        except FileNotFoundError:
            return

    def leave_to_child(self, keep: list[socket.socket]) -> None:
        """Close our sockets but ``keep``; the address stays as it is."""
        for listening in self._sockets:
            if listening not in keep:
                listening.close()
        self._sockets.clear()

    @property
    def url(self) -> str:
        """Where it listens, for people: ``http://127.0.0.1:8000``, ``unix:/run/app.sock``."""
        name = self._sockets[0].getsockname()
        family = self._sockets[0].family
        if family == socket.AF_INET:
            return f"http://{name[0]}:{name[1]}"
        if family == socket.AF_INET6:
            return f"http://[{name[0]}]:{name[1]}"
        if isinstance(name, bytes):
            return f"unix:@{os.fsdecode(name[1:])}"
        return f"unix:{name}"

    def __repr__(self) -> str:
        return f"<Listener {self._address} with {len(self._sockets)} sockets>"


def open_listeners(config: Config, current: Listeners) -> dict[Address, Listener]:
    """A listener for each address of a server and its pools, those of ``current`` where they fit.

    Raises ``ListenError``, or ``ConfigError`` for an unknown owner of a Unix socket; then nothing new
    stays open and ``current`` is as it was.
    """
    opened: list[Listener] = []
    listeners: dict[Address, Listener] = {}
    try:
        owners = config.owners()
        for address, owner in owners.items():
            if address in current:
                listeners[address] = current[address]
            else:
                opened.append(Listener(address, owner))
                listeners[address] = opened[-1]
        for address, listener in listeners.items():
            listener.adopt(owners[address])
    except GreenuniError:
        for listener in opened:
            listener.close()
        raise
    return listeners


def close_all(listeners: Listeners) -> None:
    """Close every one of them. Harmless for those that are closed already."""
    for listener in listeners.values():
        listener.close()


# TCP


def _open_tcp(address: TcpAddress, backlog: int, reuse_port: bool) -> socket.socket:
    family, target = _resolve(address)
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(target)
        opened.listen(backlog)
    except OSError as error:
        opened.close()
        raise ListenError(_tcp_reason(address, error)) from error
    opened.setblocking(False)
    return opened


def _resolve(address: TcpAddress) -> tuple[int, tuple[Any, ...]]:
    """Family and address to bind; of a name with several addresses IPv4 comes first, as in gunicorn."""
    # For text getaddrinfo() loads a codec of half a megabyte, which ASCII does not need.
    host = address.host.encode("ascii") if address.host.isascii() else address.host
    try:
        found = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        raise ListenError(
            f"cannot listen on {address}: the host name is not known ({error})"
        ) from error
    family, _, _, _, target = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, target


def _tcp_reason(address: TcpAddress, error: OSError) -> str:
    start = f"cannot listen on {address}: "
    if error.errno == errno.EADDRINUSE:
        return (
            start
            + f"the port is in use; `ss -ltnp 'sport = :{address.port}'` shows who listens there"
        )
    if error.errno == errno.EACCES:
        return start + "this user may not bind that port; choose one from 1024 on"
    if error.errno == errno.EADDRNOTAVAIL:
        return start + "this machine does not have that address; 0.0.0.0 means all it has"
    return start + str(error.strerror or error)


# Inherited descriptors


def _open_fd(address: FdAddress, backlog: int) -> socket.socket:
    try:
        opened = socket.socket(fileno=address.fd)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {address}: descriptor {address.fd} is not an open socket"
        ) from error
    try:
        if not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            opened.listen(backlog)
        opened.set_inheritable(False)
    except OSError as error:
        opened.detach()  # it is not ours to close
        raise ListenError(f"cannot listen on {address}: {error.strerror}") from error
    opened.setblocking(False)
    return opened


# Unix sockets


def _is_abstract(address: UnixAddress) -> bool:
    """Whether the name lives in Linux's abstract name space, which knows no files."""
    return address.path.startswith("@")


def _open_unix(address: UnixAddress, config: Config) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abstract(address):
            opened.bind(b"\0" + os.fsencode(address.path[1:]))
        else:
            _remove_stale(address)
            with _umask(config.umask):
                opened.bind(address.path)
            if (config.user or config.group) and os.geteuid() == 0:
                os.chown(address.path, user_id(config.user), group_id(config.group))
        opened.listen(config.backlog)
    except OSError as error:
        opened.close()
        raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
    except GreenuniError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


def _remove_stale(address: UnixAddress) -> None:
    """Remove the socket that a dead server left behind. Raises ``ListenError`` if it is anything else."""
    try:
        mode = os.stat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"cannot listen on {address}: there is a file of that name, not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(address.path)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address.path)
            return
        except (TimeoutError, BlockingIOError):
            pass  # its queue is full, so it has one
    raise ListenError(
        f"cannot listen on {address}: another server does; `ss -lxp src {address.path}` shows which"
    )


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
