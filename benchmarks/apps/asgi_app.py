"""The ASGI applications of the plain workloads: as little work as an application can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HELLO = b"Hello, world!"
LARGE = b"x" * 100_000


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    """A fixed answer of 13 bytes."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _answer(send, HELLO)


async def large(scope: Message, receive: Receive, send: Send) -> None:
    """A fixed answer of 100 000 bytes."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _answer(send, LARGE)


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """The request's body, read whole."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    await _answer(send, b"".join(chunks))


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
