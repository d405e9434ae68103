"""What all connections of a worker share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from greenuni.config import Config
from greenuni.deadlines import Deadlines
from greenuni.http import Limits
from greenuni.http.connection import Connection as Wire
from greenuni.http.engine import choose_engine
from greenuni.http.request import Request
from greenuni.observe import AccessLog, Exchange
from greenuni.wsgi.application import TIMED_OUT, Call
from greenuni.wsgi.gateway import Gateway
from greenuni.wsgi.loop import Loop
from greenuni.wsgi.output import OutputDisk, OutputLimits
from greenuni.wsgi.reader import RequestReader
from greenuni.wsgi.runner import Runner

Keeps = Callable[[Any, Request, bytes], bool]


def keep_all(connection: Any, request: Request, unread: bytes) -> bool:
    """What `Departures.keeps` is where nothing departs."""
    return True


class Services:
    """The loop, the application and who runs it, limits and logs; ``closed`` is told who is gone."""

    def __init__(
        self,
        loop: Loop,
        gateway: Gateway,
        config: Config,
        access: AccessLog | None,
        runner: Runner,
        closed: Callable[[Any], None],
        keeps: Keeps = keep_all,
        routes: bool = False,
    ) -> None:
        """``routes`` if ``keeps`` is to judge each request; see `Departures.keeps`."""
        self.loop = loop
        self.gateway = gateway
        self.log = gateway.log
        self.access = access
        self.runner = runner
        self.closed = closed
        self.settle: Callable[[], None]  # before a connection is closed whose call was given up
        self.keeps = keeps
        self.routes = routes
        self.is_choosy = routes  # whether ``keeps`` is to be asked at this moment
        self.deadlines = Deadlines.of(config)
        self.idle_seconds = self.deadlines.idle
        self.output_limits = OutputLimits(
            config.spool_memory, config.spool_limit, config.send_timeout
        )
        self.output_disk = OutputDisk(config.tmp_upload_dir, gateway.log)
        self._config = config
        self._limits = Limits.of(config)
        self._engine = choose_engine(config.http_engine)

    def __repr__(self) -> str:
        return f"<Services of {self.gateway!r} on {self.loop!r}>"

    def new_wire(self) -> Wire:
        """What understands the bytes of one connection."""
        return Wire(self._limits, self._engine)

    def new_reader(self, wire: Wire) -> RequestReader:
        """Somebody to read a request that comes in pieces."""
        config = self._config
        return RequestReader(
            wire, config.spool_memory, config.tmp_upload_dir, pauses=self.is_choosy
        )

    def log_access(self, call: Call, began: float) -> None:
        """One line for an exchange that is over and began at this ``time.monotonic()``."""
        request, responder = call.request, call.responder
        is_late = call.outcome is TIMED_OUT and not responder.head_sent
        answered = 504 if call.is_begun else 503  # by the overseer
        status = answered if is_late else responder.status
        if self.access is None or not status:
            return
        self.access.write(
            Exchange(
                client=call.client,
                method=request.method,
                target=request.target,
                http_version=request.http_version,
                headers=request.headers,
                status=status,
                response_headers=responder.headers,
                body_bytes=responder.body_bytes,
                seconds=time.monotonic() - began,
                environ=call.environ,
            )
        )
