"""What a FastAPI user would write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse, StreamingResponse

BACKGROUND: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"model": "loaded"}


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=PlainTextResponse)
def index() -> str:
    return "Hello from FastAPI"


@app.get("/model", response_class=PlainTextResponse)
async def model(request: Request) -> str:
    return str(request.state.model)


@app.get("/api/{name}")
async def item(name: str, q: Annotated[list[str], Query()]) -> dict[str, Any]:
    return {"name": name, "query": q}


@app.post("/form")
async def form(
    colour: Annotated[str, Form()], upload: Annotated[UploadFile, File()]
) -> dict[str, Any]:
    return {"fields": {"colour": colour}, "files": {"upload": len(await upload.read())}}


@app.post("/raw")
async def raw(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


@app.get("/stream")
async def stream(tag: str) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{tag} {number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/background", response_class=PlainTextResponse)
async def background(tasks: BackgroundTasks) -> str:
    tasks.add_task(BACKGROUND.append, "done")
    return ",".join(BACKGROUND) or "none"


@app.get("/error")
async def error() -> str:
    raise RuntimeError("the view failed on purpose")
