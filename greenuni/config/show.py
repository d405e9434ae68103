"""``--print-config``: every setting, its value and where the value comes from."""

from __future__ import annotations

from greenuni.config.declare import Scope, Setting
from greenuni.config.settings import SETTINGS, Config, settings_by_section

WIDEST_VALUE = 24  # a longer value pushes only its own source to the right
HIDDEN = frozenset({"print_config", "check_config"})  # what is asked for, not what is configured


def render_config(config: Config) -> str:
    """A table of three columns under section headings, ready to print: the server, then what differs in
    each pool.
    """
    rows = [
        (title, [_row(config, setting) for setting in settings if _is_servers(config, setting)])
        for title, settings in settings_by_section()
    ]
    rows += [(f"pools.{pool.pool}", _given(pool)) for pool in config.pools]
    cells = [row for _, section in rows for row in section]
    name_width = max(len(name) for name, _, _ in cells)
    value_width = min(WIDEST_VALUE, max(len(value) for _, value, _ in cells))
    lines = []
    for title, section in rows:
        lines += [f"[{title}]"]
        lines += [f"{n:<{name_width}}  {v:<{value_width}}  {source}" for n, v, source in section]
        lines += [""]
    if config.workers_arithmetic:
        lines += [f"workers = auto: {config.workers_arithmetic}"]
    return "\n".join(lines).rstrip()


def render_given(config: Config) -> str:
    """One line for each setting that is not left at its default; of a pool, for what it says itself."""
    return "\n".join(f"  {name} = {value} ({source})" for name, value, source in _given(config))


def _is_servers(config: Config, setting: Setting) -> bool:
    """Whether a setting says something of the whole server."""
    is_application = setting.name in ("wsgi_app", "mounts")
    is_pools = setting.scope is Scope.POOL or (is_application and config.pools)
    return setting.name not in HIDDEN and not is_pools


def _given(config: Config) -> list[tuple[str, str, str]]:
    """The rows of what was given, in a pool's own table if it is one."""
    given = config.given_in_pool if config.pool else config.sources
    return [
        _row(config, setting)
        for setting in SETTINGS.values()
        if setting.name in given and setting.name not in HIDDEN
    ]


def _row(config: Config, setting: Setting) -> tuple[str, str, str]:
    name = setting.name
    return name, setting.display(getattr(config, name)), config.source_of(name)
