"""Every test that asks for an ``engine`` runs with each one that is built."""

from __future__ import annotations

import pytest

from greenuni.http import choose_engine
from tests.http.conversation import ENGINES


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def every_engine(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that say nothing of the engine: each one that is built is the default once."""
    monkeypatch.setattr("greenuni.http.engine.AUTOMATIC", choose_engine(engine))
