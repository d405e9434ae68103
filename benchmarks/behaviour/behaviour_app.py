"""What the servers are given: a Starlette application that writes down what happens to it.

Each line of the file that BEHAVIOUR_LOG names is a word and the time, by ``time.monotonic()``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator

import anyio
from durations import HANDLER_SECONDS, PLAIN_SECONDS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


def note(word: str) -> None:
    """Write it down at once: the process may be killed next."""
    with open(os.environ["BEHAVIOUR_LOG"], "a") as log:
        log.write(f"{word} {time.monotonic():.3f}\n")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    note("lifespan-shutdown")


async def silent(request: Request) -> Response:
    """A stream of events that sends one and then thinks."""

    async def events() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await anyio.sleep(HANDLER_SECONDS)
        finally:
            note("silent")

    return StreamingResponse(events(), media_type="text/event-stream")


async def handler(request: Request) -> Response:
    """A plain handler that asks nobody."""
    try:
        await anyio.sleep(HANDLER_SECONDS)
    finally:
        note("handler")
    return PlainTextResponse("done")


async def poll(request: Request) -> Response:
    """A handler that asks whether its client is there."""
    for _ in range(int(HANDLER_SECONDS * 10)):
        if await request.is_disconnected():
            note("poll")
            break
        await anyio.sleep(0.1)
    return PlainTextResponse("done")


async def plain(request: Request) -> Response:
    """A request that takes a while."""
    await anyio.sleep(PLAIN_SECONDS)
    return PlainTextResponse("done")


async def endless(request: Request) -> Response:
    """A stream of events that goes on for ever."""

    async def events() -> AsyncIterator[bytes]:
        while True:
            yield b"data: 1\n\n"
            await anyio.sleep(0.2)

    return StreamingResponse(events(), media_type="text/event-stream")


app = Starlette(
    routes=[Route(f"/{view.__name__}", view) for view in (silent, handler, poll, plain, endless)],
    lifespan=lifespan,
)
