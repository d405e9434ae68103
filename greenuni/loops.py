"""Which event loop runs: `--async-backend` and `--loop`, and what has to be installed for them."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from typing import Any, NamedTuple

from greenuni.config import Config
from greenuni.errors import ConfigError

# The first release in which one client's response cannot reach another (MagicStack/uvloop#645).
UVLOOP_FLOOR = (0, 23)


class LoopChoice(NamedTuple):
    """Which one, in anyio's words."""

    backend: str  # "asyncio" or "trio"
    use_uvloop: bool = False

    @property
    def options(self) -> dict[str, Any]:
        return {"use_uvloop": self.use_uvloop} if self.backend == "asyncio" else {}

    def __str__(self) -> str:
        return "uvloop" if self.use_uvloop else self.backend


def choose_loop(config: Config) -> LoopChoice:
    """Raises ConfigError, in a sentence, when the settings ask for what is not there."""
    if config.async_backend == "trio":
        if config.loop == "uvloop":
            raise ConfigError("loop uvloop runs only with async-backend asyncio, not with trio")
        if importlib.util.find_spec("trio") is None:
            raise ConfigError(
                "async-backend trio needs trio, which is not installed: pip install 'greenuni[trio]'"
            )
        return LoopChoice("trio")
    if config.loop == "asyncio":
        return LoopChoice("asyncio")
    return LoopChoice("asyncio", use_uvloop=_has_uvloop(is_required=config.loop == "uvloop"))


def import_backend(choice: LoopChoice) -> None:
    """Import anyio's part for this loop if it will be used; else the first request would wait for it."""
    if choice.backend == "asyncio" and "anyio" not in sys.modules:
        return
    try:
        importlib.import_module(f"anyio._backends._{choice.backend}")
    except ImportError:  # it is anyio's own affair where it keeps them
        return


def _has_uvloop(*, is_required: bool) -> bool:
    try:
        version = importlib.import_module("uvloop").__version__
    except ImportError:
        if is_required:
            raise ConfigError(
                "loop uvloop needs uvloop, which is not installed: pip install 'uvloop>=0.23'"
            ) from None
        return False
    if _parse_version(version) < UVLOOP_FLOOR:
        raise ConfigError(
            f"uvloop {version} can give one client's response to another;"
            " pip install 'uvloop>=0.23', or use --loop asyncio"
        )
    return True


def _parse_version(version: str) -> tuple[int, ...]:
    """The leading numbers: ``0.23.0rc1`` is (0, 23, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
