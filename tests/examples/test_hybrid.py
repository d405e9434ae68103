"""Flask, Django and FastAPI on one port, as a browser and a client of the API use them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server import Server, serve, wait_until

from .conftest import ROOT

ROUNDS = 3_400 if os.environ.get("GREENUNI_ACCEPTANCE") else 100  # of three requests


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = ("--chdir", "examples/hybrid", "--config", "examples/hybrid/greenuni.toml")
    database = tmp_path_factory.mktemp("hybrid") / "db.sqlite3"
    with serve(*command, cwd=ROOT, environment={"DATABASE_PATH": str(database)}) as server:
        server.wait_for_log("Serving ", 3)
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=20) as client:
        yield client


def submit(client: httpx.Client, page: str, **fields: str) -> httpx.Response:
    """Fill in a form of Django's, with its token, as a browser does."""
    response = client.get(page)
    match = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.text)
    assert match, response.text
    return client.post(response.url, data={"csrfmiddlewaretoken": match[1], **fields})


def test_each_application_has_its_pool(server: Server, client: httpx.Client) -> None:
    assert "on Greenuni" in client.get("/").text
    assert client.get("/admin/").url.path == "/admin/login/"
    assert client.get("/api/docs").status_code == 200
    assert client.get("/api/openapi.json").json()["servers"] == [{"url": "/api"}]
    for line in (
        r"\[pages\] Serving pages:app at /, which is WSGI \(Flask instance\), with 1 gthread worker",
        r"\[admin\] Serving backoffice.wsgi:application at /admin, which is WSGI",
        r"\[api\] Serving api:app at /api, which is ASGI \(FastAPI instance\), with 1 asgi worker",
    ):
        server.wait_for_log(line)


def test_the_admin_has_its_styles(client: httpx.Client) -> None:
    style = re.search(r'href="(/admin/static/admin/css/base\.css)"', client.get("/admin/").text)
    assert style
    response = client.get(style[1])
    assert response.headers["content-type"].startswith("text/css")
    assert len(response.content) == int(response.headers["content-length"])


def test_what_is_posted_in_django_comes_by_fastapi_and_stands_in_flask(
    server: Server, client: httpx.Client
) -> None:
    with (
        httpx.Client(base_url=server.url, timeout=20) as reader,
        reader.stream("GET", "/api/events") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == ": the stream has begun"
        page = submit(client, "/admin/", username="admin", password="admin")
        assert page.url.path == "/admin/"
        added = submit(client, "/admin/backoffice/notice/add/", text="Bring <cake>")
        assert added.url.path == "/admin/backoffice/notice/"
        event = next(line for line in lines if line.startswith("data: "))
    notice = json.loads(event.removeprefix("data: "))
    assert notice["text"] == "Bring <cake>"
    assert notice in client.get("/api/notices").json()
    assert "<li>Bring &lt;cake&gt;</li>" in client.get("/").text


@pytest.mark.timeout(300)
def test_one_connection_goes_from_pool_to_pool(server: Server, client: httpx.Client) -> None:
    """In order and with nothing lost; at the end nobody holds more descriptors than before."""

    def one_round(number: int) -> None:
        pages = client.get(f"/hello/a{number}")
        assert pages.text.startswith(f"Hello, a{number}, from Flask")
        api = client.get(f"/api/hello/b{number}")
        assert api.json()["hello"] == f"b{number}"
        assert client.get("/admin/login/").status_code == 200
        connections.update(
            response.extensions["network_stream"].get_extra_info("client_addr")
            for response in (pages, api)
        )

    connections: set[tuple[str, int]] = set()
    for number in range(10):
        one_round(number)
    before = descriptors(server)
    for number in range(ROUNDS):
        one_round(number)
    assert len(connections) == 1
    wait_until(lambda: descriptors(server) <= before + 1, f"no more than {before} descriptors")


def descriptors(server: Server) -> int:
    """How many the workers hold. The connection itself is held by one of them, or is on its way."""
    return sum(len(os.listdir(Path("/proc", str(pid), "fd"))) for pid in server.workers())
