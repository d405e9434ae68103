"""``--print-config``: every setting, its value and where the value comes from."""

from __future__ import annotations

from greenuni.config.declare import Setting
from greenuni.config.settings import SETTINGS, Config, settings_by_section

WIDEST_VALUE = 24  # a longer value pushes only its own source to the right
HIDDEN = frozenset({"print_config", "check_config"})  # what is asked for, not what is configured


def render_config(config: Config) -> str:
    """A table of three columns under section headings, ready to print."""
    rows = [
        (title, [_row(config, setting) for setting in settings if setting.name not in HIDDEN])
        for title, settings in settings_by_section()
    ]
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
    """One line for each setting that is not left at its default."""
    rows = [
        _row(config, setting)
        for setting in SETTINGS.values()
        if setting.name in config.sources and setting.name not in HIDDEN
    ]
    return "\n".join(f"  {name} = {value} ({source})" for name, value, source in rows)


def _row(config: Config, setting: Setting) -> tuple[str, str, str]:
    name = setting.name
    return name, setting.display(getattr(config, name)), config.source_of(name)
