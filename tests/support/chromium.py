"""A headless Chromium, driven by its DevTools protocol."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.support.server import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ABSENT = "there is no chromium (Debian's package of that name)"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers and root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)


class Tab:
    """One open page."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        number = next(self._numbers)
        parameters = {"expression": script, "returnByValue": True}
        command = {"id": number, "method": "Runtime.evaluate", "params": parameters}
        self._connection.send(json.dumps(command))
        while (answer := json.loads(self._connection.recv(timeout=20))).get("id") != number:
            pass
        return answer["result"]["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Until the expression is true."""
        wait_until(lambda: self.evaluate(script), script, seconds=30)


class Browser:
    """A running browser; ``open`` gives it one more tab."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._tabs = contextlib.ExitStack()

    def open(self, url: str) -> Tab:
        target = httpx.put(f"{self._url}/json/new?{url}", timeout=30).json()
        connection = connect(target["webSocketDebuggerUrl"], compression=None, max_size=None)
        return Tab(self._tabs.enter_context(connection))

    def close(self) -> None:
        self._tabs.close()


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """``profile`` is an empty directory for it."""
    assert CHROMIUM is not None, ABSENT
    log = profile / "chromium.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            where = profile / "DevToolsActivePort"
            wait_until(
                lambda: where.exists() and where.read_text().count("\n"),
                "the browser listens",
                seconds=40,
            )
            browser = Browser(int(where.read_text().splitlines()[0]))
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
            process.wait(20)
