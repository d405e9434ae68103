"""The FastAPI example on both of asyncio's loops."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.server import serve, wait_until

from .conftest import ROOT


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    command = ("--chdir", "examples/fastapi_app", "--loop", request.param, "main:app")
    with serve(*command, cwd=ROOT) as server, httpx.Client(base_url=server.url) as client:
        yield client


def test_async_and_plain_handlers(client: httpx.Client) -> None:
    assert client.get("/hello/world").json() == {"hello": "world"}
    assert client.get("/fibonacci/1000").json() == {"n": 1000, "digits": 209}
    assert client.get("/think", params={"seconds": 0.2}).json() == {"thought_for": 0.2}


def test_model_is_loaded_once(client: httpx.Client) -> None:
    first, second = client.get("/status").json(), client.get("/status").json()
    assert first["model_loaded_at"] == second["model_loaded_at"]


def test_tokens_arrive_one_by_one(client: httpx.Client) -> None:
    started = time.monotonic()
    with client.stream("GET", "/stream", params={"tokens": 4, "seconds": 2}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in response.iter_lines() if line)
        assert json.loads(next(lines).removeprefix("data: ")) == {"token": "the"}
        assert time.monotonic() - started < 1.5  # long before the last one
        assert list(lines)[-2:] == ["event: done", "data: {}"]


def test_stream_ends_when_the_client_goes_away(client: httpx.Client) -> None:
    def open_streams() -> int:
        count: int = client.get("/status").json()["open_streams"]
        return count

    with client.stream("GET", "/stream", params={"tokens": 600, "seconds": 60}) as response:
        lines = response.iter_lines()  # dropping the iterator would close the connection
        next(lines)
        assert open_streams() == 1
    wait_until(lambda: open_streams() == 0, "the stream of a client that left has ended", 3)


def test_upload_is_counted(client: httpx.Client) -> None:
    content = bytes(3 * 1024 * 1024)
    assert client.put("/upload", content=content).json() == {"bytes": len(content)}


def test_upload_in_chunks_is_counted(client: httpx.Client) -> None:
    chunks = (bytes(70_000) for _ in range(20))
    assert client.put("/upload", content=chunks).json() == {"bytes": 1_400_000}


def test_download_is_complete(client: httpx.Client) -> None:
    assert len(client.get("/download", params={"mib": 3}).content) == 3 * 1024 * 1024
