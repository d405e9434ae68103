"""Loading an application for workers that will be forked, together with what will serve it.

Whatever is imported before the fork the workers share; what each imports after it, each has for itself.
"""

from __future__ import annotations

import importlib

from greenuni.config import Config, check_applicable, worker_interface
from greenuni.shell import Application
from greenuni.worker.applications import load_application


def preload_application(config: Config) -> Application:
    """Load the application that ``config`` names, and its shell. Raises `GreenuniError`."""
    app = load_application(config)
    check_applicable(config, *app.interfaces)
    if worker_interface(config, *app.interfaces) == "asgi":
        _import_loop(config)
        importlib.import_module("greenuni.asgi")
    else:
        importlib.import_module("greenuni.wsgi")
    return app


def _import_loop(config: Config) -> None:
    """What an event loop imports when it is started; nothing is started here."""
    from greenuni.loops import choose_loop

    backend = choose_loop(config).backend
    try:
        importlib.import_module(f"anyio._backends._{backend}")
    except ImportError:  # it is anyio's own affair where it keeps them
        return
