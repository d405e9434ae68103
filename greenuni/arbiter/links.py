"""The ways between pools on a shared port: for each pool a queue, and whether it can be counted on.

They are made before the fork and outlive workers and generations: what lies in the queue of a pool waits for
whichever of its workers is free first, also when the one before it has died. A server with one pool that has
the whole port has none.
"""

from __future__ import annotations

import mmap
import socket
import sys
from collections.abc import Iterable, Mapping

from greenuni.config import Config
from greenuni.errors import ListenError
from greenuni.routing import ROOT, parse_mount
from greenuni.shell import Pools

# Whole messages in order, and an end that is noticed. The kernel of macOS has it for no Unix socket.
QUEUE_TYPE = socket.SOCK_DGRAM if sys.platform == "darwin" else socket.SOCK_SEQPACKET

# As much as the kernel grants of it: with its usual buffer a queue holds 160 connections with a small request
# each, and four with 64 KiB read ahead.
QUEUE_BYTES = 4 * 1024 * 1024


class Link:
    """The way to one pool."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.down = mmap.mmap(-1, 1)  # shared with every process that is forked from now on
        self.sender, self.receiver = socket.socketpair(socket.AF_UNIX, QUEUE_TYPE)
        self.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
        for end in (self.sender, self.receiver):
            end.setblocking(False)

    def show(self, is_up: bool) -> None:
        """Let the workers of all pools see whether this one can be counted on."""
        self.down[0] = 0 if is_up else 1

    def leave_to_child(self, pools: Pools | None) -> None:
        """Close the ends that are not in ``pools``."""
        kept = (*pools.queues, pools.arrivals) if pools else ()
        for end in (self.sender, self.receiver):
            if end not in kept:
                end.close()

    def close(self) -> None:
        """The arbiter forks nobody any more who would need it."""
        self.leave_to_child(None)

    def __repr__(self) -> str:
        return f"<Link to {self._name}, {'down' if self.down[0] else 'up'}>"


Links = Mapping[str, Link]


def open_links(config: Config, current: Links) -> dict[str, Link]:
    """A link for each pool on the shared port, those of ``current`` for pools that are there already.

    Raises ``ListenError`` when there is no descriptor left; then nothing new stays open.
    """
    mounted = [pool for pool in config.pools if pool.mount is not None]
    if [pool.mount for pool in mounted] == [str(ROOT)]:
        return {}
    links: dict[str, Link] = {}
    try:
        for pool in mounted:
            links[pool.pool] = current.get(pool.pool) or Link(pool.pool)
    except OSError as error:
        close_links(set(links.values()) - set(current.values()))
        raise ListenError(f"cannot make the queue of pool {pool.pool}: {error.strerror}") from error
    return links


def close_links(links: Iterable[Link]) -> None:
    """Close every one of them. Harmless for those that are closed already."""
    for link in links:
        link.close()


def pools_of(config: Config, links: Links, name: str) -> Pools | None:
    """What a worker of pool ``name`` is given, None if no other pool is behind its listeners."""
    if name not in links:
        return None
    mounts = {pool.pool: pool.mount or "" for pool in config.pools}
    return Pools(
        own=list(links).index(name),
        names=tuple(links),
        mounts=tuple(parse_mount(mounts[pool]) for pool in links),
        queues=tuple(link.sender for link in links.values()),
        arrivals=links[name].receiver,
        down=tuple(link.down for link in links.values()),
    )
