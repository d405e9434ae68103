"""Several pools of one server over HTTP, each at an address of its own."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.load import Load
from tests.support.server import Server, serve, wait_until

SITE = """
import json, os, threading
SLOW = threading.Event()
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("slow begins", flush=True)
        SLOW.wait(1)
    found = {"pool": os.environ["GREENUNI_POOL"], "id": os.environ["GREENUNI_WORKER_ID"],
             "version": "VERSION", "a": os.environ.get("A"),
             "multithread": environ["wsgi.multithread"], "path": environ["PATH_INFO"]}
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""
API = """
import json, os
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/die":
        os._exit(1)
    body = json.dumps({"pool": os.environ["GREENUNI_POOL"], "version": "VERSION"}).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
POOLS = """
keepalive = 5
[pools.site]
app = "site_app:app"
bind = "127.0.0.1:0"
workers = 2
threads = 2
raw_env = ["A=site"]
[pools.api]
app = "api_app:app"
bind = "127.0.0.2:0"
"""


class Site:
    """A directory with the two applications and a configuration, and the server that runs there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write_apps("v1")
        self.configure(POOLS)
        self.server: Server

    def write_apps(self, version: str) -> None:
        for name, source in (("site_app.py", SITE), ("api_app.py", API)):
            (self.directory / name).write_text(source.replace("VERSION", version))

    def configure(self, toml: str) -> None:
        (self.directory / "greenuni.toml").write_text(toml)

    def url(self, pool: str) -> str:
        """Where a pool listens, by the latest line that says so."""
        return re.findall(rf"\[{pool}\] Listening at: (http://\S+)", self.server.log)[-1]

    def ask(self, pool: str, path: str = "/") -> dict[str, str]:
        answer: dict[str, str] = json.loads(httpx.get(self.url(pool) + path).text)
        return answer


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def running(site: Site) -> Iterator[Site]:
    """The two pools, and every worker of them ready."""
    with serve(cwd=site.directory, bind=None) as server:
        server.wait_for_log("Serving ", 2)
        wait_until(lambda: len(server.workers()) == 3, "three workers")
        site.server = server
        yield site


def test_each_pool_serves_its_application_in_its_own_way(running: Site) -> None:
    answer = running.ask("site", "/x")
    assert answer.pop("id") in {"0", "1"}  # whichever of its two workers took it
    assert answer == {
        "pool": "site",
        "version": "v1",
        "a": "site",
        "multithread": True,
        "path": "/x",
    }
    assert running.ask("api") == {"pool": "api", "version": "v1"}


@pytest.mark.timeout(120)
def test_a_pool_that_keeps_ending_leaves_the_other_serving(running: Site) -> None:
    server = running.server
    load = Load(running.url("site"), 4)
    for deaths in (1, 2, 3):
        wait_until(lambda: answers(running, "api"), "the pool is back", 20)
        with pytest.raises(httpx.HTTPError):
            httpx.get(running.url("api") + "/die")
        server.wait_for_log(r"\[api\] Worker 0 .* ended with exit status 1", deaths)
    server.wait_for_log(r"\[api\] Worker 0 keeps ending; the next attempt is in 0.5 s")
    result = load.result()
    assert result.requests > 100
    assert result.failures == 0, result
    assert "[site] Worker" not in server.log


def answers(site: Site, pool: str) -> bool:
    try:
        return httpx.get(site.url(pool), timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(120)
def test_hup_changes_adds_and_removes_pools_without_a_failed_request(running: Site) -> None:
    server = running.server
    load = Load(running.url("site"), 6)
    running.write_apps("v2")
    running.configure(
        POOLS.replace("raw_env", "max_requests = 0\nraw_env").replace("A=site", "A=changed")
        + '[pools.more]\napp = "api_app:app"\nbind = "127.0.0.3:0"\n'
    )
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[more\] Serving api_app:app")
    server.wait_for_log(r"\[(site|api)\] Reloaded", 2)
    assert running.ask("more") == {"pool": "more", "version": "v2"}
    assert running.ask("api") == {"pool": "api", "version": "v2"}
    assert running.ask("site")["a"] == "changed"
    gone = running.url("api")
    running.configure(running_without_api(running))
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[api\] Worker 0 .* because its pool is not configured any more")
    assert running.ask("more")["pool"] == "more"
    with pytest.raises(httpx.ConnectError):
        httpx.get(gone)
    result = load.result()
    assert result.requests > 100
    assert result.failures == 0, result


def running_without_api(site: Site) -> str:
    toml = (site.directory / "greenuni.toml").read_text()
    return re.sub(r"\[pools\.api\]\n.*\n.*\n", "", toml)


def test_hup_with_code_that_one_pool_cannot_load_is_that_pools_alone(running: Site) -> None:
    running.write_apps("v2")
    (running.directory / "api_app.py").write_text("import a_module_that_is_not_there\n")
    running.server.signal(signal.SIGHUP)
    running.server.wait_for_log(r"\[api\] The reload is given up")
    running.server.wait_for_log(r"\[site\] Reloaded")
    assert running.ask("api")["version"] == "v1"
    assert running.ask("site")["version"] == "v2"


def test_hup_with_a_mistake_in_a_pool_changes_nothing(running: Site) -> None:
    before = running.server.workers()
    running.configure(POOLS.replace("threads", "treads"))
    running.server.signal(signal.SIGHUP)
    running.server.wait_for_log(
        r"pools.site.treads in greenuni.toml is not a setting: did you mean 'threads'\? The old conf"
    )
    assert running.server.workers() == before
    assert running.ask("site")["version"] == "v1"


def test_ttin_of_one_pool(site: Site) -> None:
    site.configure('signal_pool = "api"\n' + POOLS)
    with serve(cwd=site.directory, bind=None) as server:
        server.wait_for_log("Serving ", 2)
        server.signal(signal.SIGTTIN)
        server.wait_for_log("Handling signal: SIGTTIN; wanted now: 2 workers in api")
        wait_until(lambda: len(server.workers()) == 4, "one more")


def test_term_lets_every_pool_finish_what_it_has(running: Site) -> None:
    answers: list[dict[str, str]] = []
    asking = threading.Thread(target=lambda: answers.append(running.ask("site", "/slow")))
    asking.start()
    running.server.wait_for_log("slow begins")
    running.server.signal(signal.SIGTERM)
    assert running.server.wait() == 0
    asking.join(5)
    assert [answer["path"] for answer in answers] == ["/slow"]
    ended = re.findall(r"\[(\w+)\] Worker \d .* ended with exit status 0", running.server.log)
    assert sorted(ended) == ["api", "site", "site"]


@pytest.mark.parametrize(
    ("toml", "status", "sentence"),
    [
        (POOLS.replace("api_app", "apy_app"), 3, "[api] there is no module 'apy_app'"),
        (POOLS.replace("api_app:app", "json:nothing"), 3, "[api] "),
        (POOLS + "threads = 3", 2, "[api] --threads (greenuni.toml pools.api) applies to WSGI app"),
        (
            POOLS + "wokers = 3",
            2,
            "pools.api.wokers in greenuni.toml is not a setting: did you mean",
        ),
        (POOLS + 'mount = "api"', 2, "pools.api.mount in greenuni.toml: 'api' is not a mount"),
        (
            POOLS.replace('bind = "127.0.0.1:0"', "").replace('bind = "127.0.0.2:0"', ""),
            2,
            "pools.api.mount in greenuni.toml: pool site is mounted at / already",
        ),
        (POOLS + '[pools.new]\nbind = "127.0.0.3:0"', 2, "pools.new in greenuni.toml has no appl"),
        (
            POOLS.replace('"api_app:app"', '"os:sep"'),
            2,
            "[api] wsgi_app (greenuni.toml pools.api): 'os:sep' is not an application: a str instance",
        ),
    ],
)
def test_what_cannot_work_ends_the_start_with_one_sentence(
    toml: str, status: int, sentence: str, site: Site
) -> None:
    site.configure(toml)
    with serve(cwd=site.directory, bind=None, wait=False) as server:
        assert server.wait() == status
        assert sentence in server.log
        assert "Traceback" not in server.log
        if "[api]" in sentence:
            assert "the first generation of pool api cannot boot" in server.log
