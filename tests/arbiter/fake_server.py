"""A server without HTTP: the real arbiter and the real worker around a shell of a few lines.

``python -m tests.arbiter.fake_server`` reads its settings from ``config.json`` in the current directory, at
start and at every HUP, and runs ``site_app:app`` from there. ``site_app`` may define ``serve(seat)``. A
``greenuni.toml``, which can name pools, is read as the command would.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenuni.arbiter import arbiter, effects, run
from greenuni.config import Config, read_config
from greenuni.errors import ConfigError
from greenuni.shell import Application, Seat
from greenuni.worker import load_application, run_worker

PR_SET_CHILD_SUBREAPER = 36
CONFIG = Path("config.json").absolute()


def load_config() -> Config:
    if CONFIG.with_name("greenuni.toml").exists():
        return read_config((), {}, str(CONFIG.parent))
    try:
        settings: dict[str, Any] = json.loads(CONFIG.read_text())
    except ValueError as error:
        raise ConfigError(f"{CONFIG.name}: {error}") from error
    if settings.pop("subreaper", False):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for name in ("bind", "raw_env"):
        if name in settings:
            settings[name] = tuple(settings[name])
    settings.setdefault("bind", ("127.0.0.1:0",))
    return Config(wsgi_app="site_app:app", **settings)


def find_shell(app: Application) -> Callable[[Seat], None]:
    serve: Callable[[Seat], None] = getattr(sys.modules["site_app"], "serve", serve_nobody)
    return serve


def serve_nobody(seat: Seat) -> None:
    """Beat until told to stop."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: stopping.append(number))
    signal.signal(signal.SIGUSR1, lambda *_: seat.reopen_logs())
    seat.ready()
    seat.log.info("Seated %d", os.getpid())
    while not stopping:
        seat.slot.beat()
        time.sleep(0.02)
    if stopping == [signal.SIGTERM]:
        seat.log.info("Drained by %d", os.getpid())


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    if os.path.exists("without-molds"):  # as on a system that gives orphans to process 1 alone
        arbiter.adopt_orphans = effects.adopt_orphans = lambda: False
    preload = load_application
    sys.exit(run(load_config, functools.partial(run_worker, find_shell=find_shell), preload))
