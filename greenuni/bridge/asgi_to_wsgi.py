"""An ASGI application as a WSGI application, under any WSGI server.

One event loop a process serves all its requests, in a daemon thread. It is started by the first request or
by ``start``, never before: a server that imports the application and forks would leave the thread
behind. anyio does the threading and the portal; a request costs a task and two hops.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal

from greenuni.bridge.exchange import Exchange
from greenuni.bridge.interfaces import ASGIApp, Environ, StartResponse
from greenuni.bridge.lifespan import Lifespan
from greenuni.bridge.loops import Loop, current_loop
from greenuni.errors import BootError

DISCONNECT_GRACE = 2.0  # seconds

_log = logging.getLogger("greenuni.error")


class ASGIToWSGI:
    """``app``, an ASGI 3.0 application, as PEP 3333 wants it. HTTP only.

    ``backend`` and ``backend_options`` are those of ``anyio.run``. A request whose client has gone is told
    ``http.disconnect``, and cancelled ``disconnect_grace`` seconds later. What the application does after its
    response is complete delays nobody. The lifespan runs once a process: startup before the first
    request, shutdown at ``close`` or when the interpreter exits. ``lifespan`` is ``"auto"``, ``"on"`` (an
    application without one cannot start) or ``"off"``.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        backend: str = "asyncio",
        backend_options: dict[str, Any] | None = None,
        disconnect_grace: float = DISCONNECT_GRACE,
        lifespan: str = "auto",
    ) -> None:
        self._app = app
        self._backend = backend
        self._backend_options = backend_options
        self._grace = disconnect_grace
        self._lifespan = lifespan
        self._lock = threading.Lock()
        self._host: _Host | None = None
        _adapters.add(self)

    def __repr__(self) -> str:
        return f"<ASGIToWSGI {self._app!r} {self._host or 'not started'!r}>"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        host = self._host
        if host is None or host.portal is None:
            host = self._started()
        return host.begin(environ, self._grace).respond(start_response)

    def start(self) -> None:
        """Start the loop and the application in this process now. Raises BootError if it cannot.

        Every later request raises it again: a lifespan runs once.
        """
        self._started()

    def close(self, timeout: float | None = None) -> bool:
        """Shut the application down: cancel what runs, end its lifespan and the loop.

        Waits for that, for ``timeout`` seconds at most; returns whether it is done. What is not is abandoned.
        """
        host = self._host
        if host is None or host.stop(timeout):
            return True
        _adapters.discard(self)  # or the exit of the interpreter would wait for it
        return False

    def _started(self) -> _Host:
        with self._lock:
            if self._host is None:
                self._host = _Host(self._app, self._backend, self._backend_options, self._lifespan)
            host = self._host
        host.wait_started()
        return host

    def _forget(self) -> None:
        """After a fork, in the child: the loop's thread is not here, and a lock may be held for ever."""
        self._lock = threading.Lock()
        if self._host is not None:
            # Never freed: its tasks would run the application's cleaning up a second time, here.
            _left_behind.append(self._host)
            self._host = None


class _Host:
    """The loop of one process, and the application's life in it."""

    def __init__(
        self, app: ASGIApp, backend: str, options: dict[str, Any] | None, lifespan: str
    ) -> None:
        self.portal: BlockingPortal | None = None
        self._app = app
        self._loop: Loop | None = None
        self._lifespan: Lifespan | None = None
        self._lifespan_mode = lifespan
        self._failure: BaseException | None = None
        self._has_started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(backend, options), name="greenuni-asgi", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"<_Host {self._failure or 'running' if self._thread.is_alive() else 'ended'!s}>"

    def wait_started(self) -> None:
        """Raises BootError."""
        self._has_started.wait()
        if isinstance(self._failure, BootError):
            raise BootError(str(self._failure), self._failure.details)
        if self._failure is not None:
            raise BootError(f"The event loop has ended: {self._failure!r}") from self._failure

    def begin(self, environ: Environ, grace: float) -> Exchange:
        """Start the application's task of one request."""
        portal, loop, lifespan = self.portal, self._loop, self._lifespan
        if portal is None or loop is None or lifespan is None:
            raise BootError("The application has been shut down.")
        exchange = Exchange(self._app, lifespan, loop, environ, grace)
        portal.start_task_soon(exchange.run)
        return exchange

    def stop(self, timeout: float | None) -> bool:
        """Shut down, and wait until it is done, or for ``timeout`` seconds."""
        portal, self.portal = self.portal, None
        if portal is not None:
            try:
                portal.start_task_soon(portal.stop, True)
            except RuntimeError:
                pass  # it has ended by itself
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self, backend: str, options: dict[str, Any] | None) -> None:
        try:
            anyio.run(self._live, backend=backend, backend_options=options)
        except BaseException as error:  # noqa: BLE001 - whoever waits for us raises it again
            self._failure = error
        self._has_started.set()

    async def _live(self) -> None:
        self._loop = current_loop()
        is_required = self._lifespan_mode == "on"
        self._lifespan = lifespan = Lifespan(self._app, "", is_required=is_required)
        if self._lifespan_mode == "off":
            await self._serve()
            return
        failure: BootError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lifespan.run)
            try:
                await lifespan.startup()
            except BootError as error:
                failure = error
            else:
                await self._serve()
                if reason := await lifespan.shutdown():
                    _log.error("The lifespan shutdown failed: %s", reason)
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self.portal = portal
            self._has_started.set()
            await portal.sleep_until_stopped()


_adapters: weakref.WeakSet[ASGIToWSGI] = weakref.WeakSet()
_left_behind: list[_Host] = []


def _close_all() -> None:
    for adapter in list(_adapters):
        adapter.close()


def _forget_all() -> None:
    for adapter in list(_adapters):
        adapter._forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
