from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from .support import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def error_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The error log at debug level, as records."""
    caplog.set_level(logging.DEBUG, "greenuni.error")
    logger = logging.getLogger("greenuni.error")
    propagates, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = propagates
