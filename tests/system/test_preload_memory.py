"""What workers share that a mold has loaded: one copy of an array, whatever they serve."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, serve

pytest.importorskip("numpy")
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="tells of no shares"),
    pytest.mark.timeout(300),
]

FULL = bool(os.environ.get("GREENUNI_ACCEPTANCE"))
ARRAY_MB, WORKERS, REQUESTS = (300, 8, 10_000) if FULL else (100, 4, 400)
WITH_FASTAPI_MB = 20  # which takes more than Flask, and its workers have an event loop
MOST_MB = 450 if FULL else 205
CLIENTS = 8

MODEL = f"""
import numpy
weights = numpy.ones({ARRAY_MB} * 125_000)  # of eight bytes each
"""
FLASK = (
    MODEL
    + """
from flask import Flask
app = Flask(__name__)
@app.get("/<int:number>")
def index(number):
    return str(weights[number] + weights[::100_000].sum())
"""
)
FASTAPI = (
    MODEL
    + """
from fastapi import FastAPI
app = FastAPI()
@app.get("/{number}")
async def index(number: int):
    return float(weights[number] + weights[::100_000].sum())
"""
)


def pss_mb(pid: int) -> float:
    """The proportional share of a process, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def ask(server: Server, count: int, failures: list[str]) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for number in range(count):
            response = client.get(f"/{number}")
            if response.status_code != 200:
                failures.append(response.text)


@pytest.mark.parametrize(
    ("source", "most_mb"),
    [(FLASK, MOST_MB), (FASTAPI, MOST_MB + WITH_FASTAPI_MB)],
    ids=["flask", "fastapi"],
)
def test_workers_share_what_was_preloaded(source: str, most_mb: int, tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text(source)
    arguments = ("--preload", "--workers", str(WORKERS))
    with serve("site_app:app", *arguments, cwd=tmp_path) as server:
        server.wait_for_log("Booting worker", WORKERS, seconds=60)
        failures: list[str] = []
        clients = [
            threading.Thread(target=ask, args=(server, REQUESTS // CLIENTS, failures))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert not failures
        assert re.search(r"Preloading the application in process \d+", server.log)
        family = [server.pid, *server.workers()]
        assert len(family) == WORKERS + 2  # the arbiter, the mold
        total = sum(map(pss_mb, family))
        print(f"{len(family)} processes, {REQUESTS} requests: {total:.0f} MB of PSS in all")
        assert total < most_mb
