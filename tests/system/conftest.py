"""What the system tests share. ``make acceptance`` runs them at the lengths that the project promises."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

APPS = Path(__file__).parent.parent / "apps"


@dataclass(frozen=True)
class Scale:
    """How long and how large: short for every run of the suite, in full for the acceptance run."""

    load_seconds: float
    kill_every: float
    long_request: float
    upload_mib: int
    slow_clients: int
    overload: tuple[int, int, float]  # slots, requests, seconds of each
    slowest_probe: float  # seconds
    streams: int
    stream_seconds: float
    reloads: int


SHORT = Scale(
    load_seconds=6,
    kill_every=1.5,
    long_request=4,
    upload_mib=256,
    slow_clients=200,
    overload=(10, 100, 2.0),
    slowest_probe=1.0,  # beside whatever else runs on the machine
    streams=24,
    stream_seconds=2.0,
    reloads=4,
)
FULL = Scale(
    load_seconds=30,
    kill_every=2,
    long_request=60,
    upload_mib=1024,
    slow_clients=200,
    overload=(100, 1000, 10.0),
    slowest_probe=0.05,
    streams=200,
    stream_seconds=300.0,
    reloads=50,
)


@pytest.fixture(scope="session")
def scale() -> Scale:
    return FULL if os.environ.get("GREENUNI_ACCEPTANCE") else SHORT


@pytest.fixture(params=["wsgi", "asgi"])
def target(request: pytest.FixtureRequest) -> str:
    """The test application of either interface."""
    return f"{request.param}_app:app"
