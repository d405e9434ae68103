"""Reading a configuration in a test: nothing of the test's own environment counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from greenuni.config import Config, read_config

Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """``read("-w", "2", environ={"PORT": "80"})`` in an empty directory, which is ``tmp_path``."""

    def read(*arguments: str, environ: Mapping[str, str] | None = None) -> Config:
        return read_config(arguments, environ or {}, str(tmp_path))

    return read
