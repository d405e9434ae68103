"""Unmodified applications of real frameworks, over real sockets, on every kind of worker."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, serve, wait_until

from .conftest import APPS


@dataclass(frozen=True)
class Deployment:
    """An application and how it is served."""

    name: str
    greeting: str
    arguments: tuple[str, ...]
    has_forms: bool = True


DEPLOYMENTS = [
    Deployment("flask", "Hello from Flask", ("flask_app:app",)),
    Deployment("flask-threads", "Hello from Flask", ("flask_app:app", "--threads", "4")),
    Deployment("django", "Hello from Django", ("django_app",)),
    Deployment(
        "django-threads", "Hello from Django", ("django_app", "-k", "gthread", "--threads", "2")
    ),
    Deployment("django-asgi", "Hello from Django", ("django_app:asgi",)),
    Deployment("fastapi", "Hello from FastAPI", ("--interface", "asgi", "fastapi_app:app")),
    Deployment("fastapi-asyncio", "Hello from FastAPI", ("fastapi_app:app", "--loop", "asyncio")),
    Deployment(
        "fastapi-trio", "Hello from FastAPI", ("fastapi_app:app", "--async-backend", "trio")
    ),
    Deployment(
        "starlette",
        "Hello from Starlette",
        ("starlette_app:app", "-k", "uvicorn.workers.UvicornWorker"),
        has_forms=False,
    ),
]


@pytest.fixture(scope="module", params=DEPLOYMENTS, ids=lambda d: d.name)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return request.param


@pytest.fixture(scope="module")
def server(deployment: Deployment) -> Iterator[Server]:
    with serve(*deployment.arguments, "--workers", "2", cwd=APPS) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def test_it_greets(client: httpx.Client, deployment: Deployment) -> None:
    response = client.get("/")
    assert (response.status_code, response.text) == (200, deployment.greeting)
    assert response.headers["server"] == "greenuni"
    assert "date" in response.headers


def test_path_and_query_arrive_decoded(client: httpx.Client) -> None:
    response = client.get("/api/caf%C3%A9%20au%20lait?q=1&q=a%2Bb&q=%E2%82%AC")
    assert response.json() | {"remote": None} == {
        "name": "café au lait",
        "query": ["1", "a+b", "€"],
        "remote": None,
    }


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_bodies_of_any_size_and_framing_come_back(
    client: httpx.Client, size: int, framing: str
) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    content = (
        body
        if framing == "content-length"
        else (body[i : i + 50_000] for i in range(0, size, 50_000))
    )
    headers = {"Content-Type": "application/octet-stream"}
    assert client.post("/raw", content=content, headers=headers).content == body


def test_a_multipart_form_arrives(client: httpx.Client, deployment: Deployment) -> None:
    if not deployment.has_forms:
        pytest.skip("this application has no form")
    response = client.post(
        "/form", data={"colour": "green"}, files={"upload": ("a.bin", b"x" * 1_000_000)}
    )
    assert response.json() == {"fields": {"colour": "green"}, "files": {"upload": 1_000_000}}


def test_a_stream_arrives_whole(client: httpx.Client) -> None:
    expected = "".join(f"leaf {number}\n" for number in range(5))
    assert client.get("/stream?tag=leaf").text == expected


def test_an_error_is_a_500_with_a_traceback_in_the_log(
    client: httpx.Client, server: Server
) -> None:
    assert client.get("/error").status_code == 500
    server.wait_for_log("the view failed on purpose")


def test_head_and_404(client: httpx.Client) -> None:
    assert client.head("/").content == b""
    assert client.get("/nothing/here").status_code == 404


def test_one_connection_carries_many_requests(server: Server, deployment: Deployment) -> None:
    with server.connect() as connection, connection.makefile("rb") as reader:
        for _ in range(20):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_response(reader) == deployment.greeting.encode()


def read_response(reader: socket.SocketIO) -> bytes:
    """The body of one response with a Content-Length."""
    assert reader.readline().startswith(b"HTTP/1.1 200 ")
    length = 0
    while (line := reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return reader.read(length)


def test_curl_is_content(server: Server, deployment: Deployment, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    upload = tmp_path / "upload"
    upload.write_bytes(b"0123456789" * 200_000)
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", "20"]
        + ["--header", "Expect: 100-continue", "--header", "Content-Type: application/octet-stream"]
        + ["--data-binary", f"@{upload}", f"{server.url}/raw"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == upload.read_bytes()


def test_flask_sessions_and_redirects() -> None:
    with serve("flask_app:app", cwd=APPS) as server, httpx.Client(base_url=server.url) as client:
        response = client.get("/login", follow_redirects=True)
        assert (str(response.url), response.text) == (f"{server.url}/whoami", "alice")


def test_fastapi_lifespan_state_and_background_tasks() -> None:
    with serve("fastapi_app:app", cwd=APPS) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/model").text == "loaded"
        assert client.get("/background").text == "none"
        wait_until(lambda: "done" in client.get("/background").text, "the background task")


def test_django_async_views_run_on_the_async_worker() -> None:
    with serve("django_app:asgi", cwd=APPS) as server:
        assert httpx.get(f"{server.url}/async").text == "Hello from async Django"
