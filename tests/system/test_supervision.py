"""The arbiter keeps the application up: kills, reloads, orphans, stuck loops, under real load."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.support.load import Load
from tests.support.server import Server, process_exists, serve, wait_until

from .conftest import APPS, Scale

VERSIONED = {
    "wsgi": """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"VERSION"]
""",
    "asgi": """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"VERSION"})
""",
}


def write_version(folder: Path, interface: str, version: str) -> None:
    (folder / "site_app.py").write_text(VERSIONED[interface].replace("VERSION", version))


def answers(url: str) -> str:
    return httpx.get(url).text


def reload(server: Server) -> None:
    """Send HUP and wait until a whole new generation of as many workers has taken over."""
    before = set(server.workers())
    server.signal(signal.SIGHUP)
    wait_until(
        lambda: (now := set(server.workers())) and len(now) == len(before) and not now & before,
        "a new generation",
        20,
    )


@pytest.mark.timeout(120)
def test_killed_workers_are_replaced_under_load(target: str, scale: Scale) -> None:
    connections = 32
    with serve(target, "--workers", "4", cwd=APPS) as server:
        wait_until(lambda: len(server.workers()) == 4, "four workers")
        load = Load(server.url, scale.load_seconds, connections)
        kills = 0
        next_kill = time.monotonic() + scale.kill_every
        while load.running():
            if time.monotonic() >= next_kill:
                os.kill(server.workers()[kills % 4], signal.SIGKILL)
                kills += 1
                next_kill += scale.kill_every
            time.sleep(0.05)
        result = load.result()
        print(f"{kills} kills, {result}")
        assert kills >= 3
        assert result.requests > 1000
        # A killed worker takes only the requests with it that it was answering.
        assert result.read_errors <= kills * connections
        assert result.failures == result.read_errors
        server.wait_for_log("SIGKILL", count=kills)
        wait_until(lambda: len(server.workers()) == 4, "four workers again")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_hup_under_load_serves_the_new_code_without_a_failed_request(
    interface: str, scale: Scale, tmp_path: Path
) -> None:
    write_version(tmp_path, interface, "v1")
    with serve("site_app:app", "--workers", "2", cwd=tmp_path) as server:
        wait_until(lambda: len(server.workers()) == 2, "two workers")
        assert answers(server.url) == "v1"
        load = Load(server.url, scale.load_seconds)
        for version in ("v2", "v3"):
            write_version(tmp_path, interface, version)
            reload(server)
            assert {answers(server.url) for _ in range(10)} == {version}
        result = load.result()
        assert result.requests > 1000
        assert result.failures == 0, result


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_hup_with_broken_code_keeps_the_old_code_serving_and_says_why(
    interface: str, tmp_path: Path
) -> None:
    write_version(tmp_path, interface, "v1")
    with serve("site_app:app", "--workers", "2", cwd=tmp_path) as server:
        wait_until(lambda: len(server.workers()) == 2, "two workers")
        old = server.workers()
        load = Load(server.url, 4)
        (tmp_path / "site_app.py").write_text("import a_module_that_is_not_there\n")
        server.signal(signal.SIGHUP)
        server.wait_for_log("No module named 'a_module_that_is_not_there'")
        result = load.result()
        assert result.failures == 0
        assert answers(server.url) == "v1"
        wait_until(lambda: server.workers() == old, "the old workers alone")
        assert server.log.count("Traceback (most recent call last)") == 1


def test_a_killed_arbiter_leaves_nobody_behind(target: str) -> None:
    with serve(target, "--workers", "3", cwd=APPS) as server:
        wait_until(lambda: len(server.workers()) == 3, "three workers")
        family = [server.pid, *server.workers()]
        with server.connect() as held:
            held.sendall(b"GET /sleep?seconds=30 HTTP/1.1\r\nHost: a\r\n\r\n")
            server.process.kill()
            server.process.wait()
            wait_until(lambda: not any(map(process_exists, family)), "all processes gone", 2)


@pytest.mark.timeout(120)
def test_a_long_request_outlives_the_liveness_timeout(target: str, scale: Scale) -> None:
    timeout = "5" if scale.long_request > 5 else "1"
    with serve(target, "--timeout", timeout, cwd=APPS) as server:
        (worker,) = server.workers()
        response = httpx.get(
            f"{server.url}/sleep?seconds={scale.long_request}", timeout=scale.long_request + 30
        )
        assert response.text == "slept"
        assert server.workers() == [worker]


def test_a_stuck_loop_is_dumped_and_replaced() -> None:
    with serve("asgi_app:app", "--timeout", "1", cwd=APPS) as server:
        (stuck,) = server.workers()
        with server.connect() as client:
            client.sendall(b"GET /spin HTTP/1.1\r\nHost: a\r\n\r\n")
            server.wait_for_log(r"_spin")  # the handler's frame in the dump
            wait_until(lambda: server.workers() not in ([stuck], []), "a replacement")
        assert "GET /spin" in server.log
        wait_until(lambda: answers(server.url) == "Hello, world!", "the replacement answers")
        assert not process_exists(stuck)
