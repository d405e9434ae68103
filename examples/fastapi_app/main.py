"""A FastAPI service of the kind that sits in front of a language model: streams, waits, uploads."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, StreamingResponse

HERE = Path(__file__).parent
CHUNK_BYTES = 64 * 1024
TEXT = "the server reads a request and writes an answer while others wait for their turn"


class Model:
    """Stands for something that is slow to load and slow to answer."""

    def __init__(self) -> None:
        self.loaded_at = time.time()
        self.open_streams = 0

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Counts a stream as open until it ends, however it ends."""
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1

    async def tokens(self, count: int, seconds: float) -> AsyncIterator[str]:
        """``count`` words, spread over ``seconds``."""
        words = itertools.cycle(TEXT.split())
        for word in itertools.islice(words, count):
            yield word
            await asyncio.sleep(seconds / count)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Load once a worker, before its first request. What is yielded becomes ``request.state``."""
    yield {"model": Model()}


app = FastAPI(title="FastAPI on Greenuni", lifespan=lifespan)


@app.get("/", include_in_schema=False)
async def index() -> FileResponse:
    """A page that shows the stream as it arrives."""
    return FileResponse(HERE / "index.html")


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str]:
    """An async handler: runs on the event loop."""
    return {"hello": name}


@app.get("/fibonacci/{n}")
def fibonacci(n: int) -> dict[str, int]:
    """A plain handler: FastAPI runs it in a thread, so it may block."""
    below, value = 0, 1
    for _ in range(min(n, 10_000)):
        below, value = value, below + value
    return {"n": n, "digits": len(str(below))}


@app.get("/status")
async def status(request: Request) -> dict[str, int | float]:
    """What this worker is doing."""
    model: Model = request.state.model
    return {
        "pid": os.getpid(),
        "model_loaded_at": model.loaded_at,
        "open_streams": model.open_streams,
    }


@app.get("/think")
async def think(seconds: float = Query(60, ge=0, le=3600)) -> dict[str, float]:
    """A long request. The worker answers others meanwhile, and is not mistaken for a dead one."""
    await asyncio.sleep(seconds)
    return {"thought_for": seconds}


@app.get("/stream")
async def stream(
    request: Request,
    tokens: int = Query(240, ge=1, le=10_000),
    seconds: float = Query(60, ge=0, le=3600),
) -> StreamingResponse:
    """Tokens as server-sent events, for a minute.

    When the client goes away the generator is cancelled at its ``await``, so the ``with`` block
    ends and the model stops working for nobody; ``/status`` shows it.
    """
    model: Model = request.state.model

    async def events() -> AsyncIterator[str]:
        with model.stream():
            async for token in model.tokens(tokens, seconds):
                yield f"data: {json.dumps({'token': token})}\n\n"
            yield "event: done\ndata: {}\n\n"

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # no buffering in nginx
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


@app.put("/upload")
async def upload(request: Request) -> dict[str, int]:
    """Counts the bytes of a body of any size, without keeping them."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"bytes": size}


@app.get("/download")
async def download(mib: int = Query(1, ge=0, le=10_240)) -> StreamingResponse:
    """``?mib=1024`` zeros, made while they are sent, and no faster than they are taken."""

    async def zeros() -> AsyncIterator[bytes]:
        chunk = bytes(CHUNK_BYTES)
        for _ in range(mib * 1024 * 1024 // CHUNK_BYTES):
            yield chunk

    return StreamingResponse(zeros(), media_type="application/octet-stream")
