"""Which kind of worker runs what was found, and whether the settings that were given mean anything there."""

from __future__ import annotations

from collections.abc import Collection

from greenuni.config.declare import Applies, Setting
from greenuni.config.settings import SETTINGS, Config
from greenuni.errors import ConfigError

WSGI = "wsgi"
ASGI = "asgi"


def worker_interface(config: Config, *interfaces: str) -> str:
    """``"wsgi"`` or ``"asgi"``: what the worker speaks that runs applications of these ``interfaces``.

    Unless ``worker_class`` says it, ASGI as soon as one of them is: that is the one which may need to
    wait. What is said of all pools does not choose for one that has only applications of the other kind.
    """
    followed = WSGI if set(interfaces) <= {WSGI} else ASGI
    said = config.worker_class
    is_said_of_it = not config.pool or "worker_class" in config.given_in_pool
    if said == "auto" or (not is_said_of_it and len({*interfaces}) == 1):
        return followed
    return ASGI if said == "asgi" else WSGI


def check_applicable(config: Config, *interfaces: str) -> None:
    """Raise `ConfigError` when a setting that was given cannot apply to what runs.

    ``interfaces`` are those of the loaded applications: "wsgi", "asgi" or "asgi2". A setting that has
    its default value asks for nothing and never raises, wherever it stands; what is said of all pools
    is for those that it means something to.
    """
    worker = worker_interface(config, *interfaces)
    meaningful = _meaningful(worker, interfaces)
    for setting in SETTINGS.values():
        if setting.applies not in meaningful and _is_given(config, setting):
            is_of_wsgi = setting.applies in (Applies.WSGI, Applies.WSGI_WORKER)
            other = "ASGI" if is_of_wsgi else "WSGI"
            raise ConfigError(
                f"{config.subject_of(setting.name)} applies to "
                f"{setting.applies.value} only, and this one is {other}: leave it out"
            )


def _meaningful(worker: str, interfaces: Collection[str]) -> set[Applies]:
    """What of `Applies` there is."""
    found = {Applies.BOTH}
    if worker == WSGI:
        found |= {Applies.WSGI, Applies.WSGI_WORKER}
    else:
        found.add(Applies.ASGI)
    if WSGI in interfaces:
        found.add(Applies.WSGI)
    if not set(interfaces) <= {WSGI}:
        found |= {Applies.ASGI, Applies.ASGI_APPLICATION}
    return found


def _is_given(config: Config, setting: Setting) -> bool:
    given = config.given_in_pool if config.pool else config.sources
    return setting.name in given and getattr(config, setting.name) != setting.default
