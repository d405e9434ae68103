"""The standard library's validator around applications of every kind: it must find nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from tests.wsgi.harness import request, serving

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
TEXT = [("Content-Type", "text/plain")]


def one_chunk(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return [b"Hello"]


def several_chunks(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return [b"Hello", b"", b"world"]


def generator(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b""
    yield b"Hello"
    yield b"x" * 200_000


def no_body(environ: Environ, start_response: StartResponse) -> Any:
    start_response("204 No Content", [])
    return []


def whole_length(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return iter([b"ab", b"cd"])


def written(environ: Environ, start_response: StartResponse) -> Any:
    write = start_response("200 OK", TEXT)
    write(b"written")
    return [b"returned"]


def replaced(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    try:
        raise ValueError("not so")
    except ValueError:
        start_response("404 Not Found", TEXT, sys.exc_info())
    return [b"sorry"]


def reads(environ: Environ, start_response: StartResponse) -> Any:
    file = environ["wsgi.input"]
    parts = [file.read(1), file.readline(), file.readline(2), *file.readlines(), file.read(0)]
    environ["wsgi.errors"].write("read\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", TEXT)
    return [b"".join(parts)]


def iterates(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return [b"".join(environ["wsgi.input"])]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "app",
    [
        one_chunk,
        several_chunks,
        generator,
        no_body,
        whole_length,
        written,
        replaced,
        reads,
        iterates,
    ],
    ids=lambda app: app.__name__,
)
def test_the_validator_is_silent(
    app: Callable[..., Any], threads: int, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [
        request("/"),
        request("/a%20b?c=d", cookie="e=f", x_g="h"),
        request("/", "HEAD"),
        request("/", "POST", b"some\nlines\nin it", content_type="text/plain"),
        request("/", "POST", b"x" * 600_000),
        request("/", "DELETE"),
    ]
    with serving(validator(app), threads=threads) as shell, shell.connect() as client:
        for data in requests:
            client.send(data)
            response = client.response("HEAD" if data.startswith(b"HEAD") else "GET")
            assert response.status in (200, 204, 404)
    assert "AssertionError" not in caplog.text
    assert "Traceback" not in caplog.text
