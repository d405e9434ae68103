"""Whether the settings that were given mean anything to the application that was found."""

from __future__ import annotations

from greenuni.config.declare import Applies, Setting
from greenuni.config.settings import SETTINGS, Config
from greenuni.errors import ConfigError

WSGI_WORKER_CLASSES = frozenset({"sync", "gthread"})


def check_applicable(config: Config, interface: str) -> None:
    """Raise `ConfigError` when a setting that was given cannot apply to ``interface``.

    ``interface`` is that of the loaded application: "wsgi", "asgi" or "asgi2". A setting that has
    its default value asks for nothing and never raises, wherever it stands; what is said of all pools
    is for those that it means something to.
    """
    found = Applies.WSGI if interface == "wsgi" else Applies.ASGI
    _check_worker_class(config, found)
    for setting in SETTINGS.values():
        if setting.applies not in (Applies.BOTH, found) and _is_given(config, setting):
            raise ConfigError(
                f"{setting.flag} ({config.source_of(setting.name)}) applies to "
                f"{setting.applies.name} applications only, and this one is {found.name}: leave it out"
            )


def _is_given(config: Config, setting: Setting) -> bool:
    given = config.given_in_pool if config.pool else config.sources
    return setting.name in given and getattr(config, setting.name) != setting.default


def _check_worker_class(config: Config, found: Applies) -> None:
    wanted = Applies.WSGI if config.worker_class in WSGI_WORKER_CLASSES else Applies.ASGI
    is_asked = not config.pool or "worker_class" in config.given_in_pool
    if is_asked and config.worker_class != "auto" and wanted is not found:
        written = config.written.get("worker_class", config.worker_class)
        raise ConfigError(
            f"worker class {written!r} ({config.source_of('worker_class')}) runs "
            f"{wanted.name} applications, and this one is {found.name}: leave out -k, "
            "the worker follows the application"
        )
