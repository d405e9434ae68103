"""Loading an application for workers that will be forked, together with what will serve it.

Whatever is imported before the fork the workers share; what each imports after it, each has for itself.
"""

from __future__ import annotations

import importlib

from greenuni.config import Config, check_applicable, worker_interface
from greenuni.shell import Application
from greenuni.worker.applications import load_application
from greenuni.worker.hosting import needs_adapter


def preload_application(config: Config) -> Application:
    """Load the application that ``config`` names, and its shell. Raises `GreenuniError`."""
    app = load_application(config)
    check_applicable(config, *app.interfaces)
    if worker_interface(config, *app.interfaces) == "asgi":
        _import_asgi(app, config)
    else:
        importlib.import_module("greenuni.wsgi")
    return app


def _import_asgi(app: Application, config: Config) -> None:
    """The shell and what its event loop imports when it is started; nothing is started here."""
    from greenuni.loops import choose_loop, import_backend

    if app.mounted or needs_adapter(app, "asgi"):
        importlib.import_module("anyio")  # the bridge will ask for it
    import_backend(choose_loop(config))
    importlib.import_module("greenuni.asgi")
