"""Behind nginx, as it is deployed today: keep-alive upstream connections, both address families of bind."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, serve, wait_until

from .conftest import APPS

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed (Debian package nginx-light)"
)

CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    upstream app {{ server {upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def nginx_before(upstream: str, folder: Path) -> Iterator[str]:
    """nginx in front of ``upstream``; yields its URL."""
    port = free_port()
    path = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers cannot enter ``folder``
    path.write_text(CONFIGURATION.format(folder=folder, upstream=upstream, port=port, user=user))
    process = subprocess.Popen(
        [str(NGINX), "-p", str(folder), "-c", str(path), "-e", str(folder / "start.log")],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "nginx listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["wsgi_app:app", "asgi_app:app"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, "--workers", "2", cwd=APPS) as server:
        yield server


def test_requests_bodies_and_streams_pass_through(server: Server, tmp_path: Path) -> None:
    body = b"0123456789" * 500_000
    with (
        nginx_before(f"127.0.0.1:{server.port}", tmp_path) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        for _ in range(50):
            assert client.get("/").text == "Hello, world!"
        assert client.post("/echo", content=body).content == body
        assert client.post("/count", content=(body[:100_000] for _ in range(50))).text == "5000000"
        assert len(client.get("/stream?mib=8").content) == 8 << 20


def test_a_unix_socket_serves_nginx(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with (
        serve("flask_app:app", bind=f"unix:{path}", cwd=APPS) as server,
        nginx_before(f"unix:{path}", tmp_path) as url,
    ):
        assert httpx.get(url).text == "Hello from Flask"
        server.stop()
        assert not path.exists()


def test_the_client_address_is_the_one_that_nginx_saw(tmp_path: Path) -> None:
    with (
        serve("flask_app:app", cwd=APPS) as server,
        nginx_before(f"127.0.0.1:{server.port}", tmp_path) as url,
    ):
        spoofed = {"X-Forwarded-For": "203.0.113.9"}
        answer = httpx.get(f"{url}/api/x?q=1", headers=spoofed).json()
        # Right to left: 127.0.0.1 is nginx's client and trusted, so the walk goes on to what it sent.
        assert answer["remote"] == "203.0.113.9"
