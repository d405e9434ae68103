"""The way to each pool: a queue of connections, and whether the pool can be counted on.

They are made before the fork and outlive workers and generations: what lies in the queue of a pool waits for
whichever of its workers is free first, also when the one before it has died. Other pools on the same port
send there what is not theirs; the pool's own workers what they have no time for, or leave when they end.
"""

from __future__ import annotations

import mmap
import socket
import sys
from collections.abc import Iterable, Mapping

from greenuni.arbiter.events import of_pool
from greenuni.config import Config
from greenuni.errors import ListenError
from greenuni.routing import ROOT, Mount, parse_mount
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

    def leave_to_child(self, pools: Pools) -> None:
        """Close the ends that are not in ``pools``."""
        for end in (self.sender, self.receiver):
            if end not in (*pools.queues, pools.arrivals):
                end.close()

    def close(self) -> None:
        """The arbiter forks nobody any more who would need it."""
        self.sender.close()
        self.receiver.close()

    def __repr__(self) -> str:
        return f"<Link to {self._name or 'the pool'}, {'down' if self.down[0] else 'up'}>"


Links = Mapping[str, Link]


def open_links(config: Config, current: Links) -> dict[str, Link]:
    """A link for each pool, those of ``current`` for pools that are there already.

    Raises ``ListenError`` when there is no descriptor left; then nothing new stays open.
    """
    links: dict[str, Link] = {}
    try:
        for pool in config.each_pool:
            links[pool.pool] = current.get(pool.pool) or Link(pool.pool)
    except OSError as error:
        close_links(set(links.values()) - set(current.values()))
        text = of_pool(pool.pool, f"cannot make the queue for connections: {error.strerror}")
        raise ListenError(text) from error
    return links


def close_links(links: Iterable[Link]) -> None:
    """Close every one of them. Harmless for those that are closed already."""
    for link in links:
        link.close()


def neighbours(config: Config, name: str) -> dict[str, Mount]:
    """The pools behind the listeners of pool ``name``, itself among them, and where they are mounted."""
    mounts = {pool.pool: pool.mount for pool in config.pools}
    if mounts.get(name) is None:
        return {name: ROOT}
    return {pool: parse_mount(mount) for pool, mount in mounts.items() if mount is not None}


def pools_of(config: Config, links: Links, name: str) -> Pools:
    """What a worker of pool ``name`` is given."""
    mounts = neighbours(config, name)
    return Pools(
        own=list(mounts).index(name),
        names=tuple(mounts),
        mounts=tuple(mounts.values()),
        queues=tuple(links[pool].sender for pool in mounts),
        arrivals=links[name].receiver,
        down=tuple(links[pool].down for pool in mounts),
    )
