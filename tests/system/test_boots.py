"""Starts and ends that take long or fail, on real servers: each is told in a sentence."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.server import serve

FULL = bool(os.environ.get("GREENUNI_ACCEPTANCE"))
BOOT_SECONDS = 90 if FULL else 3  # several times `timeout`
pytestmark = pytest.mark.timeout(180)

IMPORTING = f"""
import time
time.sleep({BOOT_SECONDS})
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"up"]
"""
STARTING = f"""
import time
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    time.sleep({BOOT_SECONDS})  # keeps the loop, as loading a model does
    await send(dict(type="lifespan.startup.complete"))
    await receive()
    await send(dict(type="lifespan.shutdown.complete"))
"""


@pytest.mark.parametrize("source", [IMPORTING, STARTING], ids=["import", "lifespan"])
def test_a_boot_takes_as_long_as_it_takes(source: str, tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(source)
    with serve("site_app:app", "--timeout", "1", cwd=tmp_path, wait=False) as server:
        server.wait_until_ready(BOOT_SECONDS + 30)
        assert server.stop() == 0
    assert server.log.count("Booting worker") == 1
    assert "has not turned" not in server.log
    if FULL:
        assert "Worker 0 (pid " in server.log
        assert "has been booting for 60 s" in server.log


FAILING = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
@asynccontextmanager
async def lifespan(app):
    yield
    raise RuntimeError("the queue cannot be flushed")
app = FastAPI(lifespan=lifespan)
"""


def test_a_lifespan_that_fails_at_shutdown_is_told(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(FAILING)
    with serve("site_app:app", cwd=tmp_path) as server:
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "The lifespan shutdown failed" in server.log
    assert "RuntimeError: the queue cannot be flushed" in server.log


BLOCKING = """
import time
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    time.sleep(2.5)
    print("Saved", flush=True)
    await send({"type": "lifespan.shutdown.complete"})
"""


def test_a_lifespan_shutdown_that_keeps_the_loop_is_no_hung_worker(tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(BLOCKING)
    with serve("site_app:app", "--timeout", "1", cwd=tmp_path) as server:
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "Saved" in server.log
    assert "has not turned" not in server.log


def test_broken_code_at_a_reload_leaves_the_old_workers(tmp_path: Path) -> None:
    app = tmp_path / "site_app.py"
    app.write_text("def app(environ, start_response): ...\n")
    with serve("site_app:app", "--workers", "2", "--preload", cwd=tmp_path) as server:
        app.write_text("def app(:\n")
        server.signal(signal.SIGHUP)
        server.wait_for_log("The reload is given up; what was loaded before goes on in 2 workers")
        server.wait_for_log("SyntaxError")
        assert server.running()
