"""Which worker runs an application, and through which adapter if it is not of the worker's own interface.

Adapters are made after the fork and only where they are needed; a worker that needs none imports none.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from greenuni.arbiter.table import counted
from greenuni.config import Config, worker_interface
from greenuni.observe.errorstream import ErrorStream
from greenuni.routing import ROOT, Mount
from greenuni.shell import Application, Interface

if TYPE_CHECKING:
    from greenuni.bridge import ASGIToWSGI, Mounts

ADAPTER_THREADS = 32  # for WSGI on an asgi worker, where nothing else is said
INTERFACE_NAMES = {Interface.WSGI: "WSGI", Interface.ASGI3: "ASGI", Interface.ASGI2: "ASGI 2"}


class Host:
    """An application as its worker runs it: ``application`` is for the shell that speaks its interface.

    ``start`` before the shell serves and ``close`` after it are for what runs beside the shell: an event
    loop for ASGI applications in a WSGI worker, with their lifespan.
    """

    def __init__(self, application: Application, aside: ASGIToWSGI | None = None) -> None:
        self.application = application
        self._aside = aside

    def __repr__(self) -> str:
        return f"<Host of {self.application.target} {self._aside or 'alone'!r}>"

    def start(self) -> None:
        """Raises ``BootError`` if an application cannot start."""
        if self._aside is not None:
            self._aside.start()

    def close(self, seconds: float) -> bool:
        """Shut it down, for ``seconds`` at most. Returns whether it is."""
        return self._aside is None or self._aside.close(None if seconds == math.inf else seconds)


def host(app: Application, config: Config, log: logging.Logger) -> Host:
    """Adapt ``app`` to the worker that ``config`` wants for it. Raises ``ConfigError``.

    ``log`` is the error log: what a WSGI application writes to ``wsgi.errors`` goes there in every worker.
    """
    worker = worker_interface(config, *app.interfaces)
    if app.mounted:
        return _host_mounted(app, config, worker, log)
    if not needs_adapter(app, worker):
        return Host(app)
    if worker == "asgi":
        from greenuni.bridge import WSGIToASGI

        adapted = WSGIToASGI(app.callable, threads=threads(config), errors=ErrorStream(log))
        return Host(_as(app, Interface.ASGI3, adapted))
    from greenuni.bridge import ASGIToWSGI

    adapter = ASGIToWSGI(_asgi3(app), lifespan=config.lifespan, **_loop(config))
    return Host(_as(app, Interface.WSGI, adapter), adapter)


def _host_mounted(app: Application, config: Config, worker: str, log: logging.Logger) -> Host:
    mounts = _mounts(app, config, log)
    if worker == "asgi":
        return Host(_as(app, Interface.ASGI3, mounts.asgi))
    return Host(_as(app, Interface.WSGI, mounts.wsgi), mounts.asgi_adapter)


def _mounts(app: Application, config: Config, log: logging.Logger) -> Mounts:
    from greenuni.bridge import Mount, Mounts

    mounts = [
        Mount(
            mount.prefix,
            part.callable if part.interface is Interface.WSGI else _asgi3(part),
            "wsgi" if part.interface is Interface.WSGI else "asgi",
            mount.host,
            f"{part.target} at {mount}",
        )
        for mount, part in app.mounted
    ]
    loop = {} if set(app.interfaces) == {"wsgi"} else _loop(config)
    return Mounts(
        mounts,
        threads=threads(config),
        errors=ErrorStream(log),
        lifespan=config.lifespan,
        **loop,
    )


def _as(app: Application, interface: Interface, what: Any) -> Application:
    return Application(what, interface, app.target, app.description)


def _asgi3(app: Application) -> Any:
    if app.interface is not Interface.ASGI2:
        return app.callable
    # For these only: it imports asgiref's threads.
    from asgiref.compatibility import double_to_single_callable

    return double_to_single_callable(app.callable)  # type: ignore[no-untyped-call]


def _loop(config: Config) -> dict[str, Any]:
    """What ``anyio.run`` is told. Raises ``ConfigError`` for a loop that is not there."""
    from greenuni.loops import choose_loop

    loop = choose_loop(config)
    return {"backend": loop.backend, "backend_options": loop.options}


def needs_adapter(app: Application, worker: str) -> bool:
    """Whether ``app`` is not of the ``worker``'s own interface."""
    return (app.interface is Interface.WSGI) is not (worker == "wsgi")


def threads(config: Config) -> int:
    """How many threads run WSGI applications in an asgi worker."""
    return config.threads if "threads" in config.sources else ADAPTER_THREADS


def describe_each(app: Application, config: Config) -> list[tuple[str, str]]:
    """Each application and what was found: ``("main:app at /", "WSGI (Flask instance)")``."""
    worker = worker_interface(config, *app.interfaces)
    found = []
    for mount, part in app.mounted or ((ROOT, app),):
        adapted = ", through the adapter" if needs_adapter(part, worker) else ""
        kind = f"{INTERFACE_NAMES[part.interface]} ({part.description}){adapted}"
        found.append((f"{part.target}{_place(mount, app, config)}", kind))
    return found


def _place(mount: Mount, app: Application, config: Config) -> str:
    own = f" at {mount}" if app.mounted else ""
    if config.mount is None or (app.mounted and config.mount == str(ROOT)):
        return own
    return f"{own} below {config.mount}" if own else f" at {config.mount}"


def describe(app: Application, config: Config, loop: str) -> str:
    """What is served and how, for the line that begins with "Serving"; ``loop`` is `Seat.loop`."""
    *more, last = (f"{what}, which is {kind}" for what, kind in describe_each(app, config))
    what = f"{'; '.join(more)}; and {last}" if more else last
    idle = f"kept for {config.keepalive:g} s" if config.keepalive else "closed at once"
    return f"{what}, with {_describe_workers(app, config, loop)}; idle connections are {idle}"


def _describe_workers(app: Application, config: Config, loop: str) -> str:
    """ "2 gthread workers, 8 threads each", "1 asgi worker on uvloop"."""
    if worker_interface(config, *app.interfaces) == "asgi":
        count = threads(config) if "wsgi" in app.interfaces else 0
        kind, how = "asgi", f" on {loop}" if loop else ""
    else:
        count = config.threads if config.threads > 1 else 0
        kind, how = "gthread" if count else "sync", ""
    each = f", {counted(count, 'thread')} each" if count else ""
    return f"{counted(config.workers, f'{kind} worker')}{how}{each}"
