"""How applications of real frameworks see that their client has gone, each in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import serve, wait_until

# Each says what it saw by a line in the file that SEEN names.
PREAMBLE = """
import asyncio, os, time

def seen(word):
    with open(os.environ["SEEN"], "a") as file:
        file.write(word + "\\n")
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def poll(request):
    seen("begun")
    while not await request.is_disconnected():
        await asyncio.sleep(0.05)
    seen("gone")
    return PlainTextResponse("nobody reads this")

app = Starlette(routes=[Route("/", poll)])
"""

HANDLER = """
from fastapi import FastAPI

app = FastAPI()

@app.get("/")
async def handler():
    seen("begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        seen("gone")
        raise
"""

THREAD = """
from fastapi import FastAPI, Request

app = FastAPI()

@app.get("/")
def handler(request: Request):
    control = request.scope["extensions"]["greenuni"]
    seen("begun")
    while not control.disconnected:
        time.sleep(0.05)
    seen("gone")
"""

FLASK = """
from flask import Flask, Response

app = Flask(__name__)

@app.get("/")
def events():
    def tokens():
        seen("begun")
        try:
            while True:
                yield "data: x\\n\\n"
                time.sleep(0.1)
        finally:
            seen("gone")
    return Response(tokens(), mimetype="text/event-stream")
"""

DJANGO = """
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test")

async def view(request):
    seen("begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        seen("gone")
        raise
    return HttpResponse("nobody reads this")

urlpatterns = [path("", view)]
app = get_asgi_application()
"""

TASK_GROUP = """
import anyio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        while (await receive())["type"] != "http.disconnect":
            pass
        tasks.cancel_scope.cancel()

async def work():
    seen("begun")
    try:
        await anyio.sleep_forever()
    finally:
        seen("gone")
"""

CASES = {
    "Starlette's is_disconnected": (STARLETTE, []),
    "a plain async handler": (HANDLER, ["--on-disconnect", "cancel:0.5"]),
    "a FastAPI handler in a thread": (THREAD, []),
    "a Flask generator": (FLASK, []),
    "a Flask generator in a thread": (FLASK, ["--threads", "2"]),
    "a Django async view": (DJANGO, []),
    "a task group of anyio's": (TASK_GROUP, []),
    "a task group of anyio's on trio": (TASK_GROUP, ["--async-backend", "trio"]),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CASES)
def test_a_framework_sees_its_client_go(name: str, tmp_path: Path) -> None:
    source, arguments = CASES[name]
    (tmp_path / "going.py").write_text(PREAMBLE + source)
    file = tmp_path / "seen"
    file.touch()
    environment = {"SEEN": str(file)}
    with serve("going:app", *arguments, cwd=tmp_path, environment=environment) as server:
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: file.read_text() == "begun\n", "the application is called")
        wait_until(lambda: file.read_text() == "begun\ngone\n", "it sees its client go")
        assert "Traceback" not in server.log
