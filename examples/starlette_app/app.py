"""A Starlette application, about as small as one can be."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.routing import Route

INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Starlette on Greenuni</title>
<style>body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; }</style>
<h1>Starlette on Greenuni</h1>
<ul>
  <li><a href="/uptime">/uptime</a>: JSON, with what the lifespan left behind</li>
  <li><a href="/ticks">/ticks</a>: a line a second</li>
</ul>
</html>
"""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, float]]:
    """Runs once a worker. What is yielded becomes ``request.state``."""
    yield {"started": time.monotonic()}


async def index(request: Request) -> HTMLResponse:
    """A page with links to the rest."""
    return HTMLResponse(INDEX)


async def uptime(request: Request) -> JSONResponse:
    """Seconds since this worker was ready."""
    return JSONResponse({"seconds": time.monotonic() - request.state.started})


async def ticks(request: Request) -> StreamingResponse:
    """``?count=10&pause=1``. Sleeps with anyio, so it runs on asyncio and on trio."""
    count = int(request.query_params.get("count", "10"))
    pause = float(request.query_params.get("pause", "1"))

    async def lines() -> AsyncIterator[str]:
        for number in range(count):
            yield f"tick {number}\n"
            await anyio.sleep(pause)

    return StreamingResponse(lines(), media_type="text/plain")


app = Starlette(
    routes=[Route("/", index), Route("/uptime", uptime), Route("/ticks", ticks)],
    lifespan=lifespan,
)
