"""An ASGI application with a route for everything the system tests ask of a server."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import anyio

BLOCK = b"x" * 65536

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def _number(scope: dict[str, Any], name: str, default: float) -> float:
    return float(parse_qs(scope["query_string"].decode()).get(name, [str(default)])[0])


async def _respond(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hello(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await _respond(send, b"Hello, world!")


async def _pid(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await _respond(send, str(os.getpid()).encode())


async def _echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return await _respond(send, body)


async def _count(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The length of the body, message by message."""
    total = 0
    while True:
        message = await receive()
        total += len(message.get("body", b""))
        if not message.get("more_body"):
            return await _respond(send, str(total).encode())


async def _stream(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """``?mib=N`` of body, block by block."""
    await send({"type": "http.response.start", "status": 200})
    for _ in range(int(_number(scope, "mib", 1) * 16)):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _sleep(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await anyio.sleep(_number(scope, "seconds", 1))
    await _respond(send, b"slept")


async def _spin(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    while True:
        pass


async def _error(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    raise RuntimeError("the application failed on purpose")


ROUTES: dict[str, Callable[[dict[str, Any], Receive, Send], Awaitable[None]]] = {
    "/": _hello,
    "/pid": _pid,
    "/echo": _echo,
    "/count": _count,
    "/stream": _stream,
    "/sleep": _sleep,
    "/spin": _spin,
    "/error": _error,
}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    route = ROUTES.get(scope["path"])
    if route is None:
        return await _respond(send, b"not found", 404)
    return await route(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
