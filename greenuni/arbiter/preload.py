"""Loading applications before the first fork, so that workers share what that takes."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from greenuni.arbiter.events import of_pool
from greenuni.config import Config
from greenuni.errors import GreenuniError
from greenuni.shell import Application

Preload = Callable[[Config], Application]


def preload_pools(config: Config, preload: Preload, log: logging.Logger) -> dict[str, Application]:
    """Load each application that asks for it once for all workers of its pool.

    Those of several pools are loaded into the same interpreter, one after the other. Raises
    `GreenuniError`, which names the pool.
    """
    applications: dict[str, Application] = {}
    for pool in config.each_pool:
        if pool.preload_app:
            with _same_surroundings() if pool.pool else nullcontext():
                applications[pool.pool] = _load(preload, pool)
    if applications and threading.active_count() > 1:
        log.warning("The preloaded application has started threads, which workers will not have")
    return applications


def _load(preload: Preload, pool: Config) -> Application:
    try:
        return preload(pool)
    except GreenuniError as error:
        error.args = (of_pool(pool.pool, str(error)),)
        raise


@contextmanager
def _same_surroundings() -> Iterator[None]:
    """What one pool is loaded with (environment, directory, import path) is not for the next."""
    environ, directory, path = dict(os.environ), os.getcwd(), list(sys.path)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(directory)
        sys.path[:] = path
