"""A mount table: several applications, of either interface, served by one worker.

Each face is a router over applications of its own interface. Those of the other interface stand behind
*one* adapter, around a router over only them; so all of them share its threads, or its event loop. The inner
router finds what the outer one has found, because the longest prefix of all is the longest of some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from greenuni import routing
from greenuni.bridge.interfaces import ASGIApp, Errors, WSGIApp
from greenuni.bridge.mounted_wsgi import MountedWSGI
from greenuni.errors import ConfigError

if TYPE_CHECKING:
    from greenuni.bridge.asgi_to_wsgi import ASGIToWSGI
    from greenuni.bridge.mounted_asgi import MountedASGI

INTERFACES = ("asgi", "wsgi")


@dataclass(frozen=True)
class Mount:
    """An application, how it is called (``"asgi"`` or ``"wsgi"``) and where it is mounted.

    ``name`` is what messages call it. Without ``host`` it is there for every host.
    """

    prefix: str
    app: Callable[..., Any]
    interface: str
    host: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or repr(self.app)


class Mounts:
    """Several applications as one ASGI or one WSGI application. Raises ConfigError.

    ``threads`` and ``errors`` are those of WSGIToASGI, ``backend`` and ``backend_options`` of ASGIToWSGI;
    they matter to the face that needs that adapter. ``lifespan`` is ``"auto"``, ``"on"`` (each ASGI
    application must have one) or ``"off"``. What a face does not need is not imported.
    """

    def __init__(
        self,
        mounts: Iterable[Mount],
        *,
        threads: int | None = None,
        errors: Errors | None = None,
        backend: str = "asyncio",
        backend_options: dict[str, Any] | None = None,
        lifespan: str = "auto",
    ) -> None:
        self._mounts = list(mounts)
        self._places = [_checked(mount) for mount in self._mounts]
        self._threads = threads
        self._errors = errors
        self._backend = backend
        self._backend_options = backend_options
        self._lifespan = lifespan
        if not self._mounts:
            raise ConfigError("there is nothing to mount")
        _check_distinct(self._places, self._mounts)

    def __repr__(self) -> str:
        return f"<Mounts {', '.join(map(str, self._places))}>"

    def _of(self, interface: str) -> Sequence[tuple[routing.Mount, Mount]]:
        pairs = zip(self._places, self._mounts, strict=True)
        return [(place, mount) for place, mount in pairs if mount.interface == interface]

    @cached_property
    def asgi(self) -> ASGIApp:
        """All of them as one ASGI 3.0 application."""
        from greenuni.bridge.mounted_asgi import MountedASGI, Tenant
        from greenuni.bridge.wsgi_to_asgi import THREADS, WSGIToASGI

        threads = THREADS if self._threads is None else self._threads
        only_wsgi = MountedWSGI((place, mount.app) for place, mount in self._of("wsgi"))
        adapter = WSGIToASGI(only_wsgi, threads=threads, errors=self._errors)
        behind = Tenant(adapter, "the WSGI applications", is_passed_on=True)
        tenants: dict[int, Tenant] = {}
        mounted = []
        for place, mount in zip(self._places, self._mounts, strict=True):
            own = Tenant(mount.app, mount.title) if mount.interface == "asgi" else behind
            mounted.append((place, tenants.setdefault(id(own.app), own)))
        return MountedASGI(mounted, is_lifespan_required=self._lifespan == "on")

    @cached_property
    def wsgi(self) -> MountedWSGI:
        """All of them as one WSGI application."""
        adapter = self.asgi_adapter
        mounted: list[tuple[routing.Mount, WSGIApp]] = []
        for place, mount in zip(self._places, self._mounts, strict=True):
            if mount.interface == "wsgi":
                mounted.append((place, mount.app))
            else:
                assert adapter is not None
                mounted.append((place, adapter))
        return MountedWSGI(mounted, [adapter] if adapter is not None else [])

    @cached_property
    def asgi_adapter(self) -> ASGIToWSGI | None:
        """What stands in front of the ASGI applications in ``wsgi``: to be started and closed."""
        if not self._of("asgi"):
            return None
        from greenuni.bridge.asgi_to_wsgi import ASGIToWSGI

        return ASGIToWSGI(
            self._only_asgi(),
            backend=self._backend,
            backend_options=self._backend_options,
            lifespan=self._lifespan,
        )

    def _only_asgi(self) -> MountedASGI:
        from greenuni.bridge.mounted_asgi import MountedASGI, Tenant

        tenants: dict[int, Tenant] = {}
        mounted = (
            (place, tenants.setdefault(id(mount.app), Tenant(mount.app, mount.title)))
            for place, mount in self._of("asgi")
        )
        return MountedASGI(mounted, is_lifespan_required=self._lifespan == "on")


def _checked(mount: Mount) -> routing.Mount:
    """Raises ConfigError."""
    if mount.interface not in INTERFACES:
        raise ConfigError(
            f"the application at {mount.prefix!r} must be asgi or wsgi, not {mount.interface!r}"
        )
    if not callable(mount.app):
        raise ConfigError(f"the application at {mount.prefix!r} is not callable: {mount.app!r}")
    try:
        return routing.mount_at(mount.prefix, mount.host)
    except ValueError as reason:
        raise ConfigError(
            f"the application at {mount.prefix!r} is mounted nowhere: {reason}"
        ) from None


def _check_distinct(places: Iterable[routing.Mount], mounts: Iterable[Mount]) -> None:
    """Raises ConfigError."""
    titles = (mount.title for mount in mounts)
    try:
        routing.check_distinct(map(routing.Mounted, places, titles))
    except ValueError as reason:
        raise ConfigError(str(reason)) from None
