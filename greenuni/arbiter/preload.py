"""Loading applications in the arbiter itself, for systems on which a mold cannot give its workers away.

Several pools are loaded into one interpreter, one after the other, and must not meet there: environment,
directory and import path are put back after each, and the modules of its own project are put aside until a
worker of its pool takes them. Installed packages are common to all.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

from greenuni.arbiter.events import of_pool
from greenuni.arbiter.forksafety import warn_of_fork
from greenuni.arbiter.mold import Preload
from greenuni.config import Config
from greenuni.errors import GreenuniError
from greenuni.modules import is_library
from greenuni.shell import Application


class Preloaded(NamedTuple):
    """An application and, with several pools, those of its modules that only its workers may see."""

    application: Application
    modules: dict[str, ModuleType]

    def take(self) -> Application:
        """In a worker: the application with its modules around it."""
        sys.modules.update(self.modules)
        return self.application


def preload_pools(config: Config, preload: Preload, log: logging.Logger) -> dict[str, Preloaded]:
    """Load each application that asks for it, once for all workers of its pool.

    Raises `GreenuniError`, which names the pool.
    """
    loaded: dict[str, Preloaded] = {}
    for pool in config.each_pool:
        if not pool.preload_app:
            continue
        if not pool.pool:
            loaded[""] = Preloaded(preload(pool), {})
            continue
        modules: dict[str, ModuleType] = {}
        with _same_surroundings(modules):
            application = _load(preload, pool)
        loaded[pool.pool] = Preloaded(application, modules)
    if loaded:
        warn_of_fork(log)
    return loaded


def _load(preload: Preload, pool: Config) -> Application:
    try:
        return preload(pool)
    except GreenuniError as error:
        error.args = (of_pool(pool.pool, str(error)),)
        raise


@contextmanager
def _same_surroundings(aside: dict[str, ModuleType]) -> Iterator[None]:
    """What one pool is loaded with is not for the next; its own modules are put into ``aside``."""
    environ, directory, path = dict(os.environ), os.getcwd(), list(sys.path)
    known = set(sys.modules)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(directory)
        sys.path[:] = path
        for name in set(sys.modules) - known:
            if _is_users(sys.modules[name]):
                aside[name] = sys.modules.pop(name)


def _is_users(module: ModuleType) -> bool:
    """Whether a module belongs to the application's project, a package without a file of its own too."""
    places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
    return any(place and not is_library(place) for place in places)
