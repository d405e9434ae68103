"""Fakes that stand in for a seat and a slot, so that a shell can be driven without an arbiter.

::

    seat = fake_seat(app, Interface.WSGI, listeners=[listener])
    threading.Thread(target=greenuni.wsgi.serve, args=(seat,))
    seat.ready.wait(5)
"""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from greenuni.config import Config
from greenuni.observe import AccessLog
from greenuni.pulse import Pulse
from greenuni.routing import parse_mount
from greenuni.shell import Application, Interface, Pools, Seat, WorkerState


class FakeSlot:
    """A scoreboard slot that remembers what was written to it."""

    def __init__(self) -> None:
        self.beats = 0
        self.state = WorkerState.BOOTING
        self.in_flight = 0
        self.request_lines: list[bytes] = []
        self.requests = 0

    def beat(self) -> None:
        self.beats += 1

    def set_state(self, state: WorkerState) -> None:
        self.state = state

    def begin(self, method: bytes, path: bytes, in_flight: int, since: float) -> None:
        self.request_lines.append(method + b" " + path)
        self.in_flight = in_flight

    def end(self, in_flight: int) -> None:
        self.requests += 1
        self.in_flight = in_flight

    def __repr__(self) -> str:
        return f"<FakeSlot {self.state.name} requests={self.requests} in_flight={self.in_flight}>"


class ReadyFlag(threading.Event):
    """``seat.ready``: called by the shell, waited for by the test."""

    def __call__(self) -> None:
        self.set()


class Reasons(list[str]):
    """``seat.retire``: keeps the reasons that it was called with."""

    def __call__(self, reason: str) -> None:
        self.append(reason)


def fake_seat(
    app: Callable[..., Any],
    interface: Interface,
    listeners: Sequence[socket.socket],
    access: AccessLog | None = None,
    **settings: Any,
) -> Seat:
    """A seat with fakes all around; ``settings`` are fields of Config that differ from the default."""
    config = Config(**settings)
    return Seat(
        config=config,
        app=Application(app, interface, "test:app", "test application"),
        listeners=listeners,
        log=logging.getLogger("greenuni.error"),
        access=access,
        slot=FakeSlot(),
        pulse=Pulse(),
        ready=ReadyFlag(),
        retire=Reasons(),
        drain_budget=lambda: config.graceful_timeout,
        reopen_logs=lambda: None,
    )


def fake_pools(*mounts: str) -> list[Pools]:
    """What the workers of each of these pools are given; for ``seat.pools``. Close them all afterwards.

    A single one at ``/`` is what a server without pools has: workers of it are siblings.
    """
    ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in mounts]
    down = tuple(bytearray(1) for _ in mounts)
    for end in itertools.chain(*ends):
        end.setblocking(False)
    return [
        Pools(
            own=own,
            names=tuple(f"pool{index}" for index in range(len(mounts))),
            mounts=tuple(map(parse_mount, mounts)),
            queues=tuple(sender for sender, _ in ends),
            arrivals=ends[own][1],
            down=down,
        )
        for own in range(len(mounts))
    ]


class MemoryTransport:
    """A transport that keeps what is written, for driving a protocol without a socket.

    The methods are those of ``asyncio.Transport`` that a connection uses. What was asked of it can be
    read off the attributes; ``take`` gives the bytes written since the last time. With ``is_stuck``
    the peer takes nothing: written bytes count as buffered, and above ``high_water`` writing pauses.
    """

    def __init__(self, high_water: int = 65536) -> None:
        self.written = bytearray()
        self.writes = 0
        self.is_stuck = False
        self.is_reading = True
        self.has_written_eof = False
        self.is_closed = False
        self.is_aborted = False
        self._high_water = high_water
        self._user: Any = None

    def __repr__(self) -> str:
        state = "aborted" if self.is_aborted else "closed" if self.is_closed else "open"
        return f"<MemoryTransport {state} written={len(self.written)}>"

    def connect(self, user: Any) -> None:
        """Be the transport of ``user``, something with the methods of ``asyncio.Protocol``."""
        self._user = user
        user.connection_made(self)

    def fileno(self) -> int:
        raise NotImplementedError("there is no socket")

    def set_user(self, user: Any) -> None:
        self._user = user

    def receive(self, data: bytes) -> None:
        """Let the user have what the peer sends; ``b""`` is its EOF."""
        if data:
            self._user.data_received(data)
        elif not self._user.eof_received():
            self.close()

    def take(self) -> bytes:
        """What was written since the last call; a peer that was stuck takes it all."""
        data = bytes(self.written)
        self.written.clear()
        if self.is_stuck:
            self.is_stuck = False
            self._user.resume_writing()
        return data

    def write(self, data: bytes) -> None:
        was_full = self.get_write_buffer_size() > self._high_water
        self.writes += 1
        self.written += data
        if self.get_write_buffer_size() > self._high_water and not was_full:
            self._user.pause_writing()

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        self.has_written_eof = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def get_write_buffer_size(self) -> int:
        return len(self.written) if self.is_stuck else 0

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True
