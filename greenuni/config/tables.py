"""Tables of settings: a TOML file, and one for each pool in any file.

::

    workers = 2                  said of all pools

    [pools.api]                  said of this one, and closer to it than anything else
    app = "api.main:app"
    mount = "/api"

A pool's table has the names of the whole file, less those that are one value for all processes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from greenuni.config.declare import Scope, Setting
from greenuni.config.foreign import Foreign
from greenuni.config.kinds import nearest
from greenuni.config.settings import KEYS, SETTINGS
from greenuni.config.sources import Given, Layer, Origin, Rank
from greenuni.config.unsupported import BY_KEY
from greenuni.errors import ConfigError

NOT_IN_FILES = frozenset({"config", "print_config", "check_config"})  # for the command line
POOLS = "pools"
MOST_POOLS = 64  # each has a byte in the memory that all processes share, and a queue
_POOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

SERVER_KEYS: Mapping[str, Setting] = {
    key: setting for key, setting in KEYS.items() if setting.scope is not Scope.POOL
}
POOL_KEYS: Mapping[str, Setting] = {
    **{key: setting for key, setting in KEYS.items() if setting.scope is not Scope.SERVER},
    "app": SETTINGS["wsgi_app"],
}


def given_by_table(table: Mapping[str, Any], place: str) -> Layer:
    """The settings in a whole file, with those of its pools. Raises `ConfigError`."""
    layer = _given(_without_pools(table), place, "", SERVER_KEYS)
    if POOLS in table:
        add_pools(layer, table[POOLS], place)
    return layer


def add_pools(layer: Layer, pools: object, place: str) -> None:
    """Take in what a file says of each pool. Raises `ConfigError`."""
    if not isinstance(pools, Mapping) or not pools:
        raise ConfigError(
            f"{POOLS} in {place}: it holds one table for each pool, such as {POOLS}.site"
        )
    if len(pools) > MOST_POOLS:
        raise ConfigError(f"{POOLS} in {place}: {MOST_POOLS} pools are the most")
    for name, table in pools.items():
        subject = f"{POOLS}.{name} in {place}"
        if not isinstance(table, Mapping):
            raise ConfigError(
                f"{subject} is not a table: name the pool, such as {POOLS}.site.{name}"
            )
        if not isinstance(name, str) or not _POOL_NAME.fullmatch(name):
            raise ConfigError(f"{subject}: the name of a pool is letters, digits, - and _")
        layer.pools[name] = _given(table, place, f"{POOLS}.{name}.", POOL_KEYS)
        if not {"wsgi_app", "mounts"} & layer.pools[name].values.keys():
            raise ConfigError(f'{subject} has no application: add app = "module:attribute"')


def check_scope(setting: Setting, origin: Origin) -> None:
    """Raise `ConfigError` for a setting that stands above the pools and belongs into one, or in one and
    belongs above.
    """
    if setting.scope is Scope.POOL and origin.rank is not Rank.POOL:
        hint = "; several applications are mounts" if setting.name == "mount" else ""
        raise ConfigError(f"{origin.subject()} is for one pool: put it into {POOLS}.NAME{hint}")
    if setting.scope is Scope.SERVER and origin.rank is Rank.POOL:
        hint = "; a pool's own address is bind" if setting.name in ("host", "port") else ""
        raise ConfigError(
            f"{origin.subject()} is for the whole server: put it above the pools{hint}"
        )


def _without_pools(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: raw for key, raw in table.items() if key != POOLS}


def _given(table: Mapping[Any, Any], place: str, prefix: str, keys: Mapping[str, Setting]) -> Layer:
    """The settings in one table, whose names are looked up in ``keys``."""
    layer = Layer()
    foreign = Foreign(place, layer)
    for key, raw in table.items():
        name = str(key).replace("-", "_")
        origin = Origin(Rank.POOL if prefix else Rank.FILE, place, f"{prefix}{key}")
        setting = keys.get(name) or KEYS.get(name)
        if setting is None or setting.name in NOT_IN_FILES:
            _check_foreign(name, raw, origin, foreign, [*keys, *([] if prefix else [POOLS])])
            continue
        check_scope(setting, origin)
        if setting.name in layer.values:
            other = layer.values[setting.name].origin.name
            raise ConfigError(f"{origin.subject()}: the same setting stands there as {other}")
        layer.give(Given(setting, raw, origin))
    foreign.finish()
    return layer


def _check_foreign(
    name: str, raw: object, origin: Origin, foreign: Foreign, known: list[str]
) -> None:
    if name in NOT_IN_FILES:
        raise ConfigError(f"{origin.subject()}: this is for the command line only")
    entry = BY_KEY.get(name)
    if entry is None:
        guess = nearest(name, known)
        hint = f"did you mean {guess!r}?" if guess else "docs/settings.md lists all"
        raise ConfigError(f"{origin.subject()} is not a setting: {hint}")
    foreign.judge(entry, origin, raw)
