"""The Starlette example on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.server import serve

from .conftest import ROOT


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    command = ("--chdir", "examples/starlette_app", "--async-backend", request.param, "app:app")
    with serve(*command, cwd=ROOT) as server, httpx.Client(base_url=server.url) as client:
        yield client


def test_state_of_the_lifespan_reaches_requests(client: httpx.Client) -> None:
    assert 0 <= client.get("/uptime").json()["seconds"] < 60


def test_stream_is_complete(client: httpx.Client) -> None:
    response = client.get("/ticks", params={"count": 3, "pause": 0.01})
    assert response.text == "tick 0\ntick 1\ntick 2\n"
