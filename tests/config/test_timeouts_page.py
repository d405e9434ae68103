"""What docs/timeouts.md says of defaults is what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

from greenuni.config import SETTINGS
from greenuni.config.settings import KEYS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "timeouts.md").read_text()


def test_defaults_are_those_of_the_settings() -> None:
    rows = re.findall(r"^\|[^|]+\|([^|]*`[^|]*)\| ([0-9, ]+) \|$", PAGE, re.MULTILINE)
    said = [
        (name, default)
        for names, defaults in rows
        for name, default in zip(
            re.findall(r"`([a-z-]+)`", names), defaults.split(", "), strict=False
        )
    ]
    assert len(said) > 10
    for name, default in said:
        assert KEYS[name.replace("-", "_")].default == float(default), name


def test_every_timeout_is_on_the_page() -> None:
    named = {name for name in SETTINGS if "timeout" in name or "drain" in name}
    named = {name for name in named if not name.startswith("ws_")}  # another protocol
    assert not {name for name in named if f"`{name.replace('_', '-')}`" not in PAGE}
