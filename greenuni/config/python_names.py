"""Which names of a Python configuration file are settings, and which are the user's own.

A Python file may hold helper variables, functions and imports, so a name that is no setting is usually
left alone. A slip of the pen must still not pass in silence: a plain variable whose name closely
resembles a setting that the file does not set is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from greenuni.config.declare import Setting
from greenuni.config.foreign import Foreign
from greenuni.config.settings import KEYS, SETTINGS
from greenuni.config.sources import Given, Layer, Origin, Rank
from greenuni.config.tables import NOT_IN_FILES, POOLS, SERVER_KEYS, add_pools, check_scope
from greenuni.config.unsupported import GUNICORN_KEYS
from greenuni.errors import ConfigError

COMMON_HELPERS = {"max_workers"}  # what many files compute `workers` from
CLOSE = 0.85  # "worker" is workers, "max_workers" and "timeout_str" are helpers
PLAIN = (bool, int, float, str, list, tuple, dict)
GENERIC = frozenset({"env", "name", "pid"})  # flags whose names anybody may use for something else
KNOWN = [*(setting.name for setting in SERVER_KEYS.values()), POOLS]
HELPERS_BESIDE_BIND = frozenset({"host", "port"})  # bind = f"{host}:{port}"


def given_by_python(variables: Mapping[str, object], place: str) -> Layer:
    """The settings among the variables that a configuration file left behind. Raises `ConfigError`."""
    layer = Layer()
    foreign = Foreign(place, layer)
    public = {name: value for name, value in variables.items() if not name.startswith("_")}
    for name, value in public.items():
        origin = Origin(Rank.FILE, place, name)
        setting = _setting_called(name, public)
        if setting is not None:
            check_scope(setting, origin)
            layer.give(Given(setting, value, origin))
        elif name in NOT_IN_FILES and value is True:
            raise ConfigError(f"{origin.subject()}: this is for the command line only")
        elif name in GUNICORN_KEYS:
            foreign.judge(GUNICORN_KEYS[name], origin, value)
    foreign.finish()
    if POOLS in public:
        add_pools(layer, public[POOLS], place)
    for name, value in public.items():
        if name not in GUNICORN_KEYS and isinstance(value, PLAIN):
            _check_spelling(name, public, place)
    return layer


def _setting_called(name: str, variables: Mapping[str, object]) -> Setting | None:
    if name in NOT_IN_FILES or (name in HELPERS_BESIDE_BIND and "bind" in variables):
        return None
    if name in SETTINGS:
        return SETTINGS[name]
    return _GUNICORN_RENAMES.get(name)


_GUNICORN_RENAMES = {
    alias.key: setting
    for setting in SETTINGS.values()
    for alias in setting.aliases
    if alias.server == "gunicorn" and alias.is_rename
}


def _check_spelling(name: str, variables: Mapping[str, object], place: str) -> None:
    meant = _resembled(name)
    if meant is not None and meant not in variables:
        raise ConfigError(
            f"{name} in {place} is not a setting: did you mean {meant!r}? "
            "A helper variable may start with an underscore"
        )


def _resembled(name: str) -> str | None:
    """The setting that ``name`` is close to, None if it is one itself or close to none."""
    if name in KNOWN or name in _GUNICORN_RENAMES or name in COMMON_HELPERS or name.isupper():
        return None
    if name in KEYS and name not in GENERIC:  # the name of its flag
        return KEYS[name].name
    for candidate in KNOWN:
        if candidate.replace("_", "") == name.replace("_", "").lower():
            return candidate
    import difflib  # for mistakes only; no process that serves keeps it in memory

    close = difflib.get_close_matches(name, KNOWN, n=1, cutoff=CLOSE)
    return close[0] if close else None
