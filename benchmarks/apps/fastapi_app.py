"""The FastAPI workload: what a framework adds, the same under every server."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/")
async def hello() -> PlainTextResponse:
    return PlainTextResponse("Hello, world!")
