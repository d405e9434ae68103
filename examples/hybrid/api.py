"""The service, in FastAPI. It is mounted at /api, which its routes need not know."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator

import notices
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

POLL_SECONDS = 0.5

app = FastAPI(title="The API beside Flask and Django")


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str | int]:
    """A line of JSON."""
    return {"hello": name, "pid": os.getpid()}


@app.get("/notices")
def all_notices() -> list[dict[str, object]]:
    """A plain handler, which FastAPI runs in a thread."""
    return notices.after(0)


@app.get("/events")
async def events(after: int = 0) -> StreamingResponse:
    """New notices as server-sent events, until the client goes."""

    async def stream() -> AsyncIterator[str]:
        yield ": the stream has begun\n\n"
        last = after
        while True:
            for notice in await run_in_threadpool(notices.after, last):
                last = int(str(notice["id"]))
                yield f"data: {json.dumps(notice)}\n\n"
            await asyncio.sleep(POLL_SECONDS)

    return StreamingResponse(stream(), media_type="text/event-stream")
