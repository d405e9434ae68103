"""Runs `fake_server` as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

ROOT = Path(__file__).parent.parent.parent
APP = "def app(environ, start_response): ...\n"


class FakeServer(Server):
    """A fake server in a directory of its own."""

    def __init__(self, directory: Path, *prefix: str) -> None:
        self.directory = directory
        self.log = ""
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.arbiter.fake_server"],
            cwd=directory,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def write_app(self, source: str) -> None:
        (self.directory / "site_app.py").write_text(APP + source)

    def write_config(self, **settings: Any) -> None:
        (self.directory / "config.json").write_text(json.dumps(settings))

    def end(self) -> None:
        """Leave nothing behind, whatever state the test left it in."""
        if self.running():
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., FakeServer]


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """``start(source, workers=2, ...)`` runs a server whose application module is ``source``."""
    servers: list[FakeServer] = []

    def start(source: str = "", *prefix: str, wait: bool = True, **settings: Any) -> FakeServer:
        (tmp_path / "site_app.py").write_text(APP + source)
        (tmp_path / "config.json").write_text(json.dumps(settings))
        server = FakeServer(tmp_path, *prefix)
        servers.append(server)
        if wait:
            server.wait_for_log("Serving ")
        return server

    yield start
    for server in servers:
        server.end()
        print(
            f"--- log ---\n{server.log}--- end of log ---"
        )  # pytest shows it when the test failed


@pytest.fixture(params=["mold", "arbiter"])
def preloading(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Who preloads the application of the servers that this test starts."""
    if request.param == "arbiter":
        (tmp_path / "without-molds").touch()
    who: str = request.param
    return who
