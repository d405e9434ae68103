"""What a worker process takes over from the arbiter, and nothing else."""

import socket
from typing import NamedTuple

from greenuni.arbiter.scoreboard import BoardSlot
from greenuni.config import Config
from greenuni.observe import Logs
from greenuni.shell import Application, Pools
from greenuni.siblings import Siblings


class Inherited(NamedTuple):
    """The record that a worker is built from. It owns the descriptors in it.

    ``number`` is the worker's place, 0 to ``workers`` - 1; its successor gets the same number, and
    while a roll lasts both carry it. ``config`` is that of the worker's pool. ``application`` is there only
    under ``--preload``.
    """

    number: int
    generation: int
    config: Config
    listeners: tuple[socket.socket, ...]
    pools: Pools
    application: Application | None
    logs: Logs
    slot: BoardSlot
    siblings: Siblings
    channel: int  # descriptor, write end of the message pipe
    lifeline: int  # descriptor, read end: EOF says that the arbiter is gone
    arbiter_pid: int
