"""The Django example through both of its entry points."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.server import serve

from .conftest import ROOT


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def client(request: pytest.FixtureRequest, own_database: dict[str, str]) -> Iterator[httpx.Client]:
    target = f"site_project.{request.param}:application"
    command = ("--chdir", "examples/django_site", "--workers", "2", target)
    with (
        serve(*command, cwd=ROOT, environment=own_database) as server,
        httpx.Client(base_url=server.url, follow_redirects=True) as client,
    ):
        yield client


def sign(client: httpx.Client, name: str, message: str) -> httpx.Response:
    """Fill in the form, with its token, as a browser does."""
    match = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/").text)
    assert match
    form = {"csrfmiddlewaretoken": match[1], "name": name, "message": message}
    return client.post("/", data=form)


def test_an_entry_is_kept_and_shown(client: httpx.Client) -> None:
    response = sign(client, "Ada", "Grüße <b>from</b> the form")
    assert response.status_code == 200
    assert "Grüße &lt;b&gt;from&lt;/b&gt;" in response.text
    latest = client.get("/entries.json").json()["entries"][0]
    assert (latest["name"], latest["message"]) == ("Ada", "Grüße <b>from</b> the form")


def test_an_empty_entry_is_refused(client: httpx.Client) -> None:
    response = sign(client, "Ada", "")
    assert response.status_code == 400
    assert "This field is required." in response.text


def test_a_post_without_token_is_refused(client: httpx.Client) -> None:
    assert client.post("/", data={"name": "Eve", "message": "hi"}).status_code == 403


def test_admin_has_its_login_and_its_styles(client: httpx.Client) -> None:
    page = client.get("/admin/")
    assert page.url.path == "/admin/login/"
    style = re.search(r'href="(/static/admin/css/base\.css)"', page.text)
    assert style
    response = client.get(style[1])
    assert response.status_code == 200
    assert len(response.content) == int(response.headers["content-length"])


def test_slow_view_is_answered(client: httpx.Client) -> None:
    assert client.get("/slow/", params={"seconds": 0.2}).json() == {"slept": 0.2}
    assert client.get("/slow/", params={"seconds": "long"}).status_code == 400
