"""The standard library's validator finds nothing to say, around every WSGI test application."""

from __future__ import annotations

import httpx
import pytest

from tests.support.server import serve

from .conftest import APPS

REQUESTS = {
    "plain": ["GET /", "HEAD /", "POST /echo", "POST /count", "GET /stream?mib=1", "GET /nowhere"],
    # Werkzeug calls read() without a size, which the validator, stricter than PEP 3333, refuses.
    "flask": ["GET /", "HEAD /", "GET /stream?tag=a", "GET /login", "GET /api/x?q=1"],
    "django": [
        "GET /",
        "HEAD /",
        "POST /raw",
        "GET /stream?tag=a",
        "GET /api/x?q=1",
        "GET /nowhere",
    ],
}
WARNINGS = {"PYTHONWARNINGS": "error::wsgiref.validate.WSGIWarning"}


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_validator_is_silent(name: str, threads: str) -> None:
    arguments = ("--interface", "wsgi", f"validated:{name}", "--threads", threads)
    with (
        serve(*arguments, cwd=APPS) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        for line in REQUESTS[name]:
            method, path = line.split()
            body = b"x" * 600_000 if method == "POST" else None
            response = client.request(method, path, content=body)
            assert response.status_code in (200, 302, 404), f"{line}: {response.status_code}"
        assert "AssertionError" not in server.log
        assert "Traceback" not in server.log
