"""The application of a worker, as every call of it finds it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from greenuni.clock import Clock


class Gateway:
    """What all calls of a worker share."""

    __slots__ = (
        "app",
        "clock",
        "closes",
        "is_leaving",
        "is_timed",
        "keeps_streams",
        "log",
        "sendfile",
    )

    def __init__(
        self,
        app: Callable[..., Any],
        log: logging.Logger,
        sendfile: bool,
        closes: bool,
        is_timed: bool = False,
        keeps_streams: bool = False,
    ) -> None:
        self.app = app
        self.log = log
        self.sendfile = sendfile
        self.closes = closes  # responses say Connection: close; true from the start of a drain
        self.keeps_streams = keeps_streams  # streams of events get comments and fields
        self.is_leaving = False  # the worker is about to end
        self.is_timed = is_timed  # somebody wants to know how long calls take
        self.clock = Clock()

    def __repr__(self) -> str:
        return f"<Gateway to {self.app!r}{' closing' * self.closes}>"
