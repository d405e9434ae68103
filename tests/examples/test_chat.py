"""The chat example: by a library's client, and by two tabs of a browser."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.chromium import ABSENT, CHROMIUM, chromium
from tests.support.server import Server, serve, wait_until

from .conftest import ROOT


@pytest.fixture(params=[("--loop", "uvloop"), ("--async-backend", "trio")], ids=["uvloop", "trio"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve("--chdir", "examples/chat", *request.param, "main:app", cwd=ROOT) as server:
        yield server


def test_everybody_hears_what_anybody_says(server: Server) -> None:
    url = server.url.replace("http", "ws") + "/chat?name="
    with connect(url + "Ada") as ada:
        assert json.loads(ada.recv(10))["text"] == "Ada comes in"
        with connect(url + "Bob") as bob:
            assert [json.loads(bob.recv(10))["text"] for _ in range(2)] == [
                "Ada comes in",
                "Bob comes in",
            ]
            assert json.loads(ada.recv(10))["text"] == "Bob comes in"
            bob.send("hello")
            for socket in (ada, bob):
                assert json.loads(socket.recv(10)) == {"name": "Bob", "text": "hello"}
            assert httpx.get(f"{server.url}/present").json() == ["Ada", "Bob"]
        assert json.loads(ada.recv(10))["text"] == "Bob has gone"
    with pytest.raises(InvalidStatus, match="403"):
        connect(url + "x" * 41)


@pytest.mark.timeout(180)
@pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)
def test_two_tabs_of_a_browser(server: Server, tmp_path: Path) -> None:
    said = "document.getElementById('said').innerText"
    state = "document.getElementById('state').innerText"
    with chromium(tmp_path) as browser:
        ada = browser.open(f"{server.url}/?name=Ada")
        ada.wait_for(f"{state} == 'here as Ada'")
        bob = browser.open(f"{server.url}/?name=Bob")
        bob.wait_for(f"{state} == 'here as Bob'")
        ada.wait_for(f"{said}.includes('Bob comes in')")
        # Long enough to be compressed, which the browser has asked for.
        words = "grüße, " * 20
        assert bob.evaluate("socket.extensions").startswith("permessage-deflate")
        bob.evaluate(
            f"document.getElementById('text').value = {json.dumps(words)};"
            " document.getElementById('form').requestSubmit()"
        )
        for tab in (ada, bob):
            tab.wait_for(f"{said}.includes({json.dumps('Bob: ' + words.strip())})")
        # A reload closes both with 1012, and they come back to the new worker.
        server.signal(signal.SIGHUP)
        for tab, name in ((ada, "Ada"), (bob, "Bob")):
            tab.wait_for(f"{said}.split('{name} comes in').length == 2 && !{said}.includes('gr')")
        wait_until(
            lambda: httpx.get(f"{server.url}/present").json() == ["Ada", "Bob"],
            "both are in the new worker's room",
        )
