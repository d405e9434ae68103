"""The arbiter's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from greenuni.arbiter.inherited import Inherited
from greenuni.config import Config
from greenuni.shell import Application


def run(
    load_config: Callable[[], Config],
    run_worker: Callable[[Inherited], NoReturn],
    preload: Callable[[Config], Application] | None,
) -> int:
    """Supervise until told to stop; returns the exit status of the server."""
    raise NotImplementedError
