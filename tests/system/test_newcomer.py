"""What a newcomer meets: typos, a port in use, an application that fails, Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.server import serve, wait_until

from .conftest import APPS


def greenuni(*arguments: str, cwd: Path = APPS) -> subprocess.CompletedProcess[str]:
    """Run the command line until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "greenuni", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=20,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--worker", "4", "wsgi_app:app"], 2, ["--worker", "--workers"]),
        (["--workers", "many", "wsgi_app:app"], 2, ["workers", "many"]),
        (["--lifespan", "on", "wsgi_app:app"], 2, ["--lifespan", "WSGI"]),
        (["--threads", "4", "asgi_app:app"], 2, ["--threads", "ASGI"]),
        (["-k", "gevent", "wsgi_app:app"], 2, ["gevent", "--threads"]),
        (["-c", "nowhere.py", "wsgi_app:app"], 2, ["nowhere.py"]),
        (["wsgi_ap:app"], 3, ["wsgi_ap", "wsgi_app"]),
        (["wsgi_app:ap"], 3, ["'ap'", "app"]),
        (["wsgi_app:BLOCK"], 2, ["BLOCK", "cannot be called"]),
        (["--mount", "/=wsgi_app:BLOCK"], 2, ["mount /", "BLOCK", "cannot be called"]),
        ([], 2, ["app"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_mistake_is_one_sentence(arguments: list[str], status: int, words: list[str]) -> None:
    done = greenuni("--bind", "127.0.0.1:0", *arguments)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_failed_import_is_shown_once_without_our_frames(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def load():\n    return 1 / 0\n\nload()\n")
    done = greenuni("--bind", "127.0.0.1:0", "--workers", "4", "broken:app", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("ZeroDivisionError: division by zero") >= 1
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert "return 1 / 0" in done.stderr
    assert "importlib" not in done.stderr
    assert f"greenuni{os.sep}loader" not in done.stderr


def test_a_port_in_use_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = greenuni("--bind", f"127.0.0.1:{port}", "wsgi_app:app")
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_it_ends_quietly(target: str, number: signal.Signals) -> None:
    with serve(target, "--workers", "2", cwd=APPS) as server:
        httpx.get(server.url)
        server.signal(number)
        assert server.wait(10) == 0
        assert "Traceback" not in server.log
        assert "ERROR" not in server.log


def test_a_request_in_flight_is_answered_before_a_graceful_stop(target: str) -> None:
    with serve(target, cwd=APPS) as server, server.connect() as client:
        client.sendall(b"GET /sleep?seconds=2 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.log, "a log")
        server.signal(signal.SIGTERM)
        answer = b""
        while block := client.recv(65536):
            answer += block
        assert answer.endswith(b"slept")
        assert b"connection: close" in answer.lower()
        assert server.wait(10) == 0


def test_every_kind_of_bind_at_once(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    binds = ("--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bind", f"unix:{path}")
    with serve("wsgi_app:app", *binds, bind=None, cwd=APPS) as server:
        assert httpx.get(server.url).text == "Hello, world!"
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport) as client:
            assert client.get("http://localhost/").text == "Hello, world!"
        assert "http://[::1]:" in server.log


def test_an_inherited_socket_is_served(target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        process = subprocess.Popen(
            [sys.executable, "-m", "greenuni", "--bind", f"fd://{listener.fileno()}", target],
            cwd=APPS,
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert httpx.get(url, timeout=20).text == "Hello, world!"
        finally:
            process.terminate()
            assert process.wait(10) == 0


@pytest.mark.skipif("GREENUNI_ACCEPTANCE" not in os.environ, reason="part of make acceptance")
@pytest.mark.timeout(300)
def test_make_serve_works_from_a_clean_clone_in_an_empty_environment(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    subprocess.run(["git", "clone", "--quiet", str(root), str(tmp_path / "clone")], check=True)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    make = shutil.which("make")
    assert make
    process = subprocess.Popen(
        [make, "serve"], cwd=tmp_path / "clone", env=environment, start_new_session=True
    )
    try:
        wait_until(lambda: process.poll() is not None or answers(), "an answer on port 8000", 240)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole foreground group
        process.wait(20)


def answers() -> bool:
    try:
        return httpx.get("http://127.0.0.1:8000/").status_code == 200
    except httpx.TransportError:
        return False
