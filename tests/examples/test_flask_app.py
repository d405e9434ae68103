"""The Flask example, on one thread and on several."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.server import serve

from .conftest import ROOT


@pytest.fixture(scope="module", params=[1, 4], ids=["inline", "threads"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    command = ("--chdir", "examples/flask_app", "--threads", str(request.param), "app:app")
    with serve(*command, cwd=ROOT) as server, httpx.Client(base_url=server.url) as client:
        yield client


def test_text_and_json(client: httpx.Client) -> None:
    assert client.get("/hello/w%C3%B6rld").text == "Hello, wörld!\n"
    assert client.post("/api/sum", json={"numbers": [1, 2, 3.5]}).json() == {"sum": 6.5}
    assert client.post("/api/sum", json={"numbers": "one"}).status_code == 400


def test_upload_by_form_and_by_body(client: httpx.Client) -> None:
    content = bytes(range(256)) * 8192  # 2 MiB: more than is kept in memory
    by_form = client.post("/upload", files={"file": ("numbers.bin", content)}).json()
    by_body = client.put("/upload", content=content).json()
    assert by_form == {"name": "numbers.bin", "bytes": len(content)}
    assert by_body == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_lines_arrive_one_by_one(client: httpx.Client) -> None:
    started = time.monotonic()
    with client.stream("GET", "/countdown", params={"start": 3, "pause": 0.5}) as response:
        lines = response.iter_lines()
        assert next(lines) == "3"
        assert time.monotonic() - started < 1.4  # long before the last one
        assert list(lines) == ["2", "1", "lift-off"]


def test_download_is_complete(client: httpx.Client) -> None:
    assert len(client.get("/download", params={"mib": 3}).content) == 3 * 1024 * 1024


def test_slow_request_is_answered(client: httpx.Client) -> None:
    assert client.get("/sleep", params={"seconds": 0.2}).json()["slept"] == 0.2
