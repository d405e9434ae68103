"""The WSGI applications of the plain workloads: as little work as an application can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

HELLO = b"Hello, world!"
LARGE = b"x" * 100_000


def hello(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """A fixed answer of 13 bytes."""
    return _answer(start_response, HELLO)


def large(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """A fixed answer of 100 000 bytes."""
    return _answer(start_response, LARGE)


def echo(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """The request's body, read whole."""
    return _answer(start_response, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def _answer(start_response: StartResponse, body: bytes) -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
