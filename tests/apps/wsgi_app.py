"""A WSGI application with a route for everything the system tests ask of a server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

BLOCK = b"x" * 65536


def _number(environ: dict[str, Any], name: str, default: float) -> float:
    return float(parse_qs(environ["QUERY_STRING"]).get(name, [str(default)])[0])


def _hello(environ: dict[str, Any]) -> Iterable[bytes]:
    return [b"Hello, world!"]


def _pid(environ: dict[str, Any]) -> Iterable[bytes]:
    return [str(os.getpid()).encode()]


def _blocks(environ: dict[str, Any]) -> Iterator[bytes]:
    while block := environ["wsgi.input"].read(65536):
        yield block


def _echo(environ: dict[str, Any]) -> Iterable[bytes]:
    return [b"".join(_blocks(environ))]


def _count(environ: dict[str, Any]) -> Iterable[bytes]:
    """The length of the body, read block by block."""
    return [str(sum(map(len, _blocks(environ)))).encode()]


def _stream(environ: dict[str, Any]) -> Iterator[bytes]:
    """``?mib=N`` of body, block by block."""
    for _ in range(int(_number(environ, "mib", 1) * 16)):
        yield BLOCK


def _sleep(environ: dict[str, Any]) -> Iterable[bytes]:
    time.sleep(_number(environ, "seconds", 1))
    return [b"slept"]


def _error(environ: dict[str, Any]) -> Iterable[bytes]:
    raise RuntimeError("the application failed on purpose")


ROUTES: dict[str, Callable[[dict[str, Any]], Iterable[bytes]]] = {
    "/": _hello,
    "/pid": _pid,
    "/echo": _echo,
    "/count": _count,
    "/stream": _stream,
    "/sleep": _sleep,
    "/error": _error,
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application."""
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found"]
    body = route(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return body
