"""What can only be judged of the pools together: mounts and addresses that two of them claim."""

from __future__ import annotations

from greenuni.config.address import Address
from greenuni.config.settings import SETTINGS, Config
from greenuni.errors import ConfigError

_SHARED_PORT = ("bind", "host", "port")


def check_pools(config: Config) -> None:
    """Raise `ConfigError` for the first thing about the pools of a server that cannot work."""
    _check_signal_pool(config)
    if not config.pools:
        return
    _check_applications(config)
    _check_mounts(config)
    _check_addresses(config)


def _subject(pool: Config, key: str) -> str:
    """A key of a pool, for the start of a sentence: "pools.api.mount in greenuni.toml"."""
    every_pool_has = "wsgi_app" if "wsgi_app" in pool.given_in_pool else "mounts"
    file, _, name = pool.source_of(every_pool_has).rpartition(" ")
    return f"{name}.{key} in {file}"


def _check_applications(config: Config) -> None:
    for name in ("wsgi_app", "mounts"):
        value = getattr(config, name)
        if value:
            raise ConfigError(
                f"{SETTINGS[name].show(value)!r} ({config.source_of(name)}) is one application too many: "
                f"there are pools, each with its own, {_subject(config.pools[0], 'app')}"
            )
    for pool in config.pools:
        if pool.wsgi_app is None and not pool.mounts:
            raise ConfigError(f"{_subject(pool, 'mounts')}: nothing is mounted")


def _check_signal_pool(config: Config) -> None:
    name = config.signal_pool
    if name is not None and name not in [pool.pool for pool in config.pools]:
        raise ConfigError(
            f"signal_pool ({config.source_of('signal_pool')}): no pool is called {name!r}"
        )


def _check_mounts(config: Config) -> None:
    mounted: dict[str, str] = {}
    for pool in config.pools:
        if pool.mount is None:
            continue
        if pool.mount in mounted:
            raise ConfigError(
                f"{_subject(pool, 'mount')}: pool {mounted[pool.mount]} is mounted at {pool.mount} already"
            )
        mounted[pool.mount] = pool.pool
    given = [name for name in _SHARED_PORT if name in config.sources]
    if given and not mounted:
        raise ConfigError(
            f"{given[0]} ({config.source_of(given[0])}): no pool would listen there, as each has a bind of "
            "its own; one with a mount besides listens on both"
        )


def _check_addresses(config: Config) -> None:
    taken: dict[Address, str] = dict.fromkeys(config.addresses, "the whole server")
    for pool in config.pools:
        addresses = pool.addresses
        if pool.mount is not None:  # the shared ones stand in front
            addresses = addresses[len(config.addresses) :]
        for address in addresses:
            if address in taken:
                raise ConfigError(
                    f"{_subject(pool, 'bind')}: {address} is the address of {taken[address]} already"
                )
            taken[address] = f"pool {pool.pool}"
