"""WebSocket applications: an echo, and a room in which everybody hears everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

room: set[Send] = set()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """``/room`` is the room, every other path an echo; HTTP requests are greeted."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello, world!"})
    elif scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        await (_listen if scope["path"] == "/room" else _echo)(receive, send)


async def _echo(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def _listen(receive: Receive, send: Send) -> None:
    room.add(send)
    await send({"type": "websocket.send", "bytes": b"!"})  # from now on you hear everything
    try:
        while (message := await receive())["type"] == "websocket.receive":
            said = {"type": "websocket.send", "bytes": message["bytes"]}
            for others in list(room):
                await others(said)
    finally:
        room.discard(send)
