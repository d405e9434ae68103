"""Several applications of either interface, through both faces of a mount table."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import pytest

from greenuni.bridge import ASGIToWSGI, Mount, Mounts
from greenuni.bridge.interfaces import ASGIApp, Environ, Receive, Scope, Send, StartResponse
from greenuni.errors import ConfigError

from .support import http_scope, run, talk
from .test_asgi_to_wsgi import Answer, environ_of, respond

Face = Callable[..., tuple[int, str]]


def wsgi_named(name: str) -> Any:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{name} {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]

    return app


def asgi_named(name: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        root, path = scope["root_path"], scope["path"]
        assert path.startswith(root)
        await respond(send, f"{name} {root}|{path[len(root) :]}".encode())

    return app


def through_asgi(
    mounts: Mounts, path: str, host: str = "", root_path: str = "", backend: str = "asyncio"
) -> tuple[int, str]:
    scope = {"path": path, "root_path": root_path, "headers": {"host": host} if host else {}}
    answer = run(backend, lambda: talk(mounts.asgi, **scope))
    return answer.status, answer.body.decode()


def through_wsgi(mounts: Mounts, path: str, host: str = "", root_path: str = "") -> tuple[int, str]:
    native = path.encode().decode("latin-1")
    if native.startswith(f"{root_path}/") or native == root_path:
        native = native[len(root_path) :]
    environ = environ_of(SCRIPT_NAME=root_path, PATH_INFO=native, HTTP_HOST=host)
    answer = Answer(mounts.wsgi, environ)
    if mounts.asgi_adapter is not None:
        mounts.asgi_adapter.close()
    return int(answer.status[:3]), answer.body.decode()


@pytest.fixture(params=[through_asgi, through_wsgi])
def face(request: pytest.FixtureRequest) -> Face:
    result: Face = request.param
    return result


def table() -> Mounts:
    return Mounts(
        [
            Mount("/", wsgi_named("site"), "wsgi"),
            Mount("/api", asgi_named("api"), "asgi"),
            Mount("/api/old", wsgi_named("old"), "wsgi"),
            Mount("/api/old/new", asgi_named("new"), "asgi"),
            Mount("/caf\xe9", wsgi_named("menu"), "wsgi"),
            Mount("/th\xe9", asgi_named("tea"), "asgi"),
            Mount("/", asgi_named("host"), "asgi", host="api.example.com"),
            Mount("/w", wsgi_named("hostw"), "wsgi", host="api.example.com"),
        ]
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", "site |/"),
        ("/apis", "site |/apis"),
        ("/api", "api /api|"),
        ("/api/", "api /api|/"),
        ("/api/x/y", "api /api|/x/y"),
        ("/api/older", "api /api|/older"),
        ("/api/old", "old /api/old|"),
        ("/api/old/x", "old /api/old|/x"),
        ("/api/old/new/x", "new /api/old/new|/x"),
        ("/caf\xe9/\xe8", "menu /caf\xe9|/\xe8"),
        ("/th\xe9/\xe8", "tea /th\xe9|/\xe8"),
    ],
)
def test_paths(face: Face, path: str, body: str) -> None:
    status, found = face(table(), path)
    if body.startswith("menu"):
        found = found.encode("utf-8").decode("utf-8")
    assert (status, found) == (200, body)


@pytest.mark.parametrize(
    ("host", "path", "body"),
    [
        ("api.example.com", "/x", "host |/x"),
        ("API.example.com:8000", "/api", "host |/api"),
        ("api.example.com", "/w/x", "hostw /w|/x"),
        ("www.example.com", "/x", "site |/x"),
        ("", "/x", "site |/x"),
    ],
)
def test_hosts(face: Face, host: str, path: str, body: str) -> None:
    assert face(table(), path, host) == (200, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/root/api/x", "api /root/api|/x"),
        ("/root/api/old", "old /root/api/old|"),
        ("/root/x", "site /root|/x"),
        # A proxy has taken the prefix off.
        ("/api/x", "api /root/api|/x"),
        ("/api/old/x", "old /root/api/old|/x"),
    ],
)
def test_an_outer_root_path_stays_in_front(face: Face, path: str, body: str) -> None:
    assert face(table(), path, root_path="/root") == (200, body)


def test_where_nothing_is_mounted(face: Face) -> None:
    mounts = Mounts(
        [Mount("/api", asgi_named("api"), "asgi"), Mount("/w", wsgi_named("w"), "wsgi")]
    )
    assert face(mounts, "/x") == (404, "Nothing is mounted here.\n")


def test_one_interface_needs_no_adapter() -> None:
    mounts = Mounts([Mount("/api", wsgi_named("api"), "wsgi")])
    assert mounts.asgi_adapter is None
    assert Answer(mounts.wsgi, environ_of(PATH_INFO="/api/x")).body == b"api /api|/x"


def test_on_every_event_loop(backend: str) -> None:
    assert through_asgi(table(), "/api/x", backend=backend) == (200, "api /api|/x")
    assert through_asgi(table(), "/api/old/x", backend=backend) == (200, "old /api/old|/x")


def test_a_websocket_is_mounted_as_a_request_is(backend: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "test", "root_path": scope["root_path"], "path": scope["path"]})

    sent: list[Any] = []

    async def main() -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        asgi = Mounts([Mount("/ws", app, "asgi"), Mount("/w", wsgi_named("w"), "wsgi")]).asgi
        for path in ("/ws/x", "/w", "/nowhere"):
            scope = http_scope(path=path, type="websocket")
            scope["extensions"] = {"websocket.http.response": {}}
            await asgi(scope, receive, send)

    run(backend, main)
    assert sent[0] == {"type": "test", "root_path": "/ws", "path": "/ws/x"}
    assert [m["status"] for m in sent if m["type"].endswith("start")] == [403, 404]


def test_an_unknown_scope_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="'lava'"):
            await talk(table().asgi, type="lava")

    run("asyncio", main)


@pytest.mark.parametrize(
    ("mounts", "message"),
    [
        ([], "there is nothing to mount"),
        ([Mount("/a", 3, "asgi")], "the application at '/a' is not callable: 3"),  # type: ignore[arg-type]
        ([Mount("/a", print, "rsgi")], "must be asgi or wsgi, not 'rsgi'"),
        ([Mount("a", print, "asgi")], "'a' is mounted nowhere: its path 'a' does not begin with a"),
        (
            [Mount("/a", print, "asgi", name="x:x"), Mount("/a/", max, "wsgi", name="y:y")],
            "two applications are mounted at /a: x:x and y:y; give each a prefix or host",
        ),
    ],
)
def test_bad_tables_are_one_sentence(mounts: list[Mount], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Mounts(mounts)
    assert message in str(raised.value)


# Lifespans


class Living:
    """An application with a lifespan; what happens is noted in ``log``."""

    def __init__(self, name: str, log: list[str], startup: str = "complete") -> None:
        self.name = name
        self.log = log
        self.startup = startup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = scope["state"]
            text = f"{self.name} {sorted(state)} {variable.get('none')}"
            state["mine"] = "changed by a request"
            await respond(send, text.encode())
            return
        await receive()
        self.log.append(f"{self.name} up")
        if self.startup == "raise":
            raise KeyError("on purpose")
        scope["state"][self.name] = 1
        variable.set(self.name)
        await send({"type": f"lifespan.startup.{self.startup}", "message": "no database"})
        await receive()
        self.log.append(f"{self.name} down")
        await send({"type": "lifespan.shutdown.complete"})


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


async def live(
    app: ASGIApp, requests: Any = None, state: dict[str, Any] | None = None
) -> list[Any]:
    """Run a lifespan around ``requests``; what the application sent."""
    sent: list[Any] = []
    started, stop = anyio.Event(), anyio.Event()
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        message = next(messages)
        if message["type"] == "lifespan.shutdown":
            await stop.wait()
        return message

    async def send(message: Any) -> None:
        sent.append(message)
        started.set()

    scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}}
    if state is not None:
        scope["state"] = state

    async def run_app() -> None:
        await app(scope, receive, send)
        started.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_app)
        with anyio.fail_after(10):
            await started.wait()
            if requests is not None:
                await requests()
        stop.set()
    return sent


def test_every_lifespan_runs_and_each_has_its_own_state(backend: str) -> None:
    log: list[str] = []
    a, b = Living("a", log), Living("b", log)
    mounts = Mounts(
        [
            Mount("/a", a, "asgi"),
            Mount("/b", b, "asgi"),
            Mount("/a2", a, "asgi"),  # one application, one lifespan
            Mount("/", wsgi_named("site"), "wsgi"),
        ]
    )

    async def requests() -> None:
        for _ in range(2):
            state = {"outer": 1}
            answer = await talk(mounts.asgi, path="/a/x", state=state)
            assert answer.body == b"a ['a', 'outer'] a"
            assert state == {"outer": 1}
        assert (await talk(mounts.asgi, path="/b")).body == b"b ['b'] b"
        assert (await talk(mounts.asgi, path="/a2")).body == b"a ['a'] a"
        assert (await talk(mounts.asgi, path="/c")).body == b"site |/c"

    sent: list[Any] = run(backend, lambda: live(mounts.asgi, requests, {"outer": 0}))
    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert log == ["a up", "b up", "b down", "a down"]


@pytest.mark.parametrize("how", ["failed", "raise"])
def test_a_startup_that_fails_stops_the_boot(backend: str, how: str) -> None:
    log: list[str] = []
    mounts = Mounts(
        [
            Mount("/a", Living("a", log), "asgi"),
            Mount("/b", Living("b", log), "asgi"),
            Mount("/c", Living("c", log, how), "asgi", name="main:c"),
            Mount("/d", Living("d", log), "asgi"),
        ]
    )
    sent: list[Any] = run(backend, lambda: live(mounts.asgi))
    assert [m["type"] for m in sent] == ["lifespan.startup.failed"]
    reason = "no database" if how == "failed" else "KeyError: 'on purpose'"
    wanted = f"main:c: {reason}"
    assert sent[0]["message"].splitlines()[-1] == wanted
    assert log == ["a up", "b up", "c up", "b down", "a down"]


def test_a_shutdown_that_fails_keeps_no_other_from_its_own(backend: str) -> None:
    log: list[str] = []

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "stuck"})

    mounts = Mounts(
        [
            Mount("/a", Living("a", log), "asgi"),
            Mount("/b", failing, "asgi", name="main:b"),
        ]
    )
    sent: list[Any] = run(backend, lambda: live(mounts.asgi))
    assert sent[-1] == {"type": "lifespan.shutdown.failed", "message": "main:b: stuck"}
    assert log == ["a up", "a down"]


def test_applications_without_a_lifespan_are_served(backend: str) -> None:
    async def returning(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await respond(send, b"well")

    mounts = Mounts([Mount("/a", asgi_named("a"), "asgi"), Mount("/b", returning, "asgi")])

    async def requests() -> None:
        assert (await talk(mounts.asgi, path="/a")).body == b"a /a|"
        assert (await talk(mounts.asgi, path="/b")).body == b"well"

    sent: list[Any] = run(backend, lambda: live(mounts.asgi, requests))
    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_lifespan_that_dies_while_up_is_logged_and_the_rest_go_on(
    backend: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    monkeypatch.setattr(logging.getLogger("greenuni.error"), "propagate", True)
    log: list[str] = []

    async def dying(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise KeyError("on purpose")

    mounts = Mounts([Mount("/a", Living("a", log), "asgi"), Mount("/b", dying, "asgi")])
    sent: list[Any] = run(backend, lambda: live(mounts.asgi))
    assert sent[0]["type"] == "lifespan.startup.complete"
    assert log == ["a up", "a down"]
    assert "The application raised in its lifespan" in caplog.text


def test_the_wsgi_face_runs_lifespans_behind_its_adapter() -> None:
    log: list[str] = []
    mounts = Mounts([Mount("/a", Living("a", log), "asgi"), Mount("/", wsgi_named("site"), "wsgi")])
    adapter = mounts.asgi_adapter
    assert isinstance(adapter, ASGIToWSGI)
    assert Answer(mounts.wsgi, environ_of(PATH_INFO="/x")).body == b"site |/x"
    assert not log
    adapter.start()
    assert Answer(mounts.wsgi, environ_of(PATH_INFO="/a")).body == b"a ['a'] a"
    adapter.close()
    assert log == ["a up", "a down"]
    assert repr(mounts) == "<Mounts /a, />"
