"""Fakes that stand in for a seat and a slot, so that a shell can be driven without an arbiter.

::

    seat = fake_seat(app, Interface.WSGI, listeners=[listener])
    threading.Thread(target=greenuni.wsgi.serve, args=(seat,))
    seat.ready.wait(5)
"""

from __future__ import annotations

import dataclasses
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from greenuni.config import Config
from greenuni.observe import AccessLog
from greenuni.shell import Application, Interface, Pulse, Seat, WorkerState


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

    def begin(self, request_line: bytes, in_flight: int) -> None:
        self.request_lines.append(request_line)
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
    config = dataclasses.replace(Config(), **settings)
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
