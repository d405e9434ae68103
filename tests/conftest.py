"""What holds for all tests."""

from __future__ import annotations

import os

import pytest

from greenuni import build
from tests.support.compiled import maybe_complaint


def pytest_configure(config: pytest.Config) -> None:
    """Never test a binary that is not what the sources say."""
    complaint = None if os.environ.get("GREENUNI_PURE") else maybe_complaint()
    if complaint:
        raise pytest.UsageError(complaint)


def pytest_report_header(config: pytest.Config) -> str:
    return build.summary()
