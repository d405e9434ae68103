"""A Starlette application with a lifespan, and the same for WSGI servers that import it before they fork."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from greenuni.bridge import ASGIToWSGI

events: list[str] = []  # what happened in this process


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    os.write(2, f"startup in {os.getpid()}\n".encode())
    yield {"number": 7}
    os.write(2, f"shutdown in {os.getpid()}\n".encode())


async def index(request: Request) -> Response:
    return PlainTextResponse(f"Hello, {request.state.number}!")


async def pid(request: Request) -> Response:
    return PlainTextResponse(str(os.getpid()))


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def numbers(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(20):
            await anyio.sleep(0)
            yield bytes([65 + number]) * 20_000

    return StreamingResponse(chunks(), media_type="text/plain")


async def endless(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick" * 1000
                await anyio.sleep(0.01)
        finally:
            events.append("stream ended")

    return StreamingResponse(chunks(), media_type="text/plain")


async def later(request: Request) -> Response:
    async def work() -> None:
        events.append("background done")

    return PlainTextResponse("now", background=BackgroundTask(work))


async def error(request: Request) -> Response:
    raise RuntimeError("on purpose")


ROUTES = [
    Route("/", index),
    Route("/pid", pid),
    Route("/echo", echo, methods=["POST"]),
    Route("/numbers", numbers),
    Route("/endless", endless),
    Route("/later", later),
    Route("/error", error),
]


def new_app() -> Starlette:
    return Starlette(routes=ROUTES, lifespan=lifespan)


application = ASGIToWSGI(new_app())
