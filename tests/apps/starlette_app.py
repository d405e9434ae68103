"""What a Starlette user would write."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


async def index(request: Request) -> Response:
    return PlainTextResponse("Hello from Starlette")


async def item(request: Request) -> Response:
    query = request.query_params.getlist("q")
    return JSONResponse({"name": request.path_params["name"], "query": query})


async def raw(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def stream(request: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{request.query_params['tag']} {number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


async def error(request: Request) -> Response:
    raise RuntimeError("the view failed on purpose")


app = Starlette(
    routes=[
        Route("/", index),
        Route("/api/{name}", item),
        Route("/raw", raw, methods=["POST"]),
        Route("/stream", stream),
        Route("/error", error),
    ]
)
