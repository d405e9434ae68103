"""Modules of ours from their Python sources, where the installed ones may be compiled."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import greenuni

PACKAGE = Path(greenuni.__file__).parent


def from_source(name: str) -> ModuleType:
    """``greenuni.<name>`` once more, from its source."""
    alias = f"source_of_{name.replace('.', '_')}"
    path = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_loader(alias, SourceFileLoader(alias, str(path)))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
