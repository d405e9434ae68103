"""Several ASGI applications as one, with the lifespan of each."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from greenuni.bridge.denial import answer
from greenuni.bridge.interfaces import ASGIApp, Receive, Scope, Send
from greenuni.bridge.lifespan import Lifespan
from greenuni.bridge.paths import below, is_under
from greenuni.errors import BootError
from greenuni.routing import NOBODY, Mount, Router

_log = logging.getLogger("greenuni.error")


class Tenant:
    """An application that is mounted, once or several times, and its lifespan, once it has begun.

    ``is_passed_on`` says that it looks for itself where it is mounted and gets the scope as it is.
    """

    def __init__(self, app: ASGIApp, name: str, is_passed_on: bool = False) -> None:
        self.app = app
        self.name = name
        self.is_passed_on = is_passed_on
        self.lifespan: Lifespan | None = None

    def __repr__(self) -> str:
        return f"<Tenant {self.name} {self.lifespan!r}>"


class MountedASGI:
    """Gives a scope to the tenant that is mounted where it goes, or answers 404.

    ``root_path`` grows by the prefix; ``path`` includes it, as it should, even if a proxy has removed
    the outer ``root_path`` from it. The lifespan's startup is that of all tenants, in the order given;
    if one fails, those before it are shut down again, the last first, and startup has failed.
    """

    def __init__(
        self, mounted: Iterable[tuple[Mount, Tenant]], *, is_lifespan_required: bool = False
    ) -> None:
        self._mounted = list(mounted)
        self._is_lifespan_required = is_lifespan_required
        self._router = Router([mount for mount, _ in self._mounted])
        self._tenants: Sequence[Tenant] = list(dict.fromkeys(tenant for _, tenant in self._mounted))

    def __repr__(self) -> str:
        return f"<MountedASGI {self._router!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"nothing is mounted for a scope of type {kind!r}")
        root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
        found = self._router.find(_host_of(scope), below(path, root).encode("utf-8", "replace"))
        if found == NOBODY:
            await answer(scope, receive, send, 404, "Nothing is mounted here.")
            return
        mount, tenant = self._mounted[found]
        lifespan = tenant.lifespan
        if mount.prefix and not tenant.is_passed_on:
            full = path if is_under(path, root) else root + path
            scope = {**scope, "root_path": root + mount.prefix, "path": full}
        if lifespan is not None:
            lifespan.enter()
            if lifespan.additions:
                scope = {**scope, "state": {**(scope.get("state") or {}), **lifespan.additions}}
        await tenant.app(scope, receive, send)

    # The lifespan

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        async with anyio.create_task_group() as tasks:
            started: list[Tenant] = []
            try:
                for tenant in self._tenants:
                    await self._start(tenant, tasks, scope.get("state"))
                    started.append(tenant)
            except BootError as error:
                await _shut_down(started)
                message = "\n".join(filter(None, (error.details, str(error))))
                await send({"type": "lifespan.startup.failed", "message": message})
            else:
                await send({"type": "lifespan.startup.complete"})
                await receive()  # lifespan.shutdown
                if failures := await _shut_down(started):
                    message = "; ".join(failures)
                    await send({"type": "lifespan.shutdown.failed", "message": message})
                else:
                    await send({"type": "lifespan.shutdown.complete"})
            tasks.cancel_scope.cancel()

    async def _start(self, tenant: Tenant, tasks: TaskGroup, state: Any) -> None:
        lifespan = Lifespan(tenant.app, tenant.name, state, self._is_lifespan_required)
        tasks.start_soon(lifespan.run)
        await lifespan.startup()
        tenant.lifespan = lifespan


async def _shut_down(started: Sequence[Tenant]) -> list[str]:
    """The last first. Returns what failed."""
    failures = []
    for tenant in reversed(started):
        lifespan, tenant.lifespan = tenant.lifespan, None
        if lifespan is not None and (failure := await lifespan.shutdown()):
            failures.append(f"{tenant.name}: {failure}")
    return failures


def _host_of(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"host":
            return bytes(value)
    return b""
