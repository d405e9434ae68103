"""ASGIToWSGI, called as a WSGI server calls it."""

from __future__ import annotations

import contextvars
import io
import logging
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import anyio
import pytest

from greenuni.bridge import ASGIToWSGI
from greenuni.bridge.exchange import HIGH_WATER
from greenuni.bridge.interfaces import ASGIApp, Environ, Receive, Scope, Send
from greenuni.errors import BootError

from .support import BACKENDS, wait_for, wait_until

Adapt = Callable[..., ASGIToWSGI]
ROOT = Path(__file__).parent.parent.parent
TEXT = [(b"content-type", b"text/plain")]


@pytest.fixture(params=BACKENDS)
def adapt(request: pytest.FixtureRequest) -> Iterator[Adapt]:
    """ASGIToWSGI on each event loop; closed at the end."""
    made: list[ASGIToWSGI] = []

    def make(app: ASGIApp, **options: Any) -> ASGIToWSGI:
        name = request.param
        options.setdefault("disconnect_grace", 0.05)
        backend = "trio" if name == "trio" else "asyncio"
        loop = None if backend == "trio" else {"use_uvloop": name == "uvloop"}
        made.append(ASGIToWSGI(app, backend=backend, backend_options=loop, **options))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()


def environ_of(body: bytes = b"", **changes: Any) -> Environ:
    environ: Environ = {}
    setup_testing_defaults(environ)
    environ["QUERY_STRING"] = ""
    if body:
        environ["REQUEST_METHOD"] = "POST"
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
    environ.update(changes)
    return environ


class Answer:
    """What a WSGI application gave for one environ. Raises what it raised."""

    def __init__(self, app: Any, environ: Environ) -> None:
        self.status, self.headers = "", {}  # type: str, dict[str, str]
        result = app(environ, self._start)
        try:
            self.body = b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = status, dict(headers)
        return self._write

    def _write(self, data: bytes) -> None:
        raise AssertionError("the adapter has no need of write()")


async def respond(send: Send, body: bytes = b"", status: int = 200, headers: Any = TEXT) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await respond(send, b"Hello, world!")


async def read_all(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await respond(send, await read_all(receive))


def test_hello(adapt: Adapt) -> None:
    answer = Answer(adapt(hello), environ_of())
    assert (answer.status, answer.body) == ("200 OK", b"Hello, world!")
    assert answer.headers == {"content-type": "text/plain"}


def test_the_validator_is_silent(adapt: Adapt) -> None:
    app = validator(adapt(echo))
    for body in (b"", b"x", bytes(300_000)):
        assert Answer(app, environ_of(body)).body == body


def test_bodies_of_unknown_length(adapt: Adapt) -> None:
    app = adapt(echo)
    body = io.BytesIO(bytes(200_000))
    environ = environ_of(**{"wsgi.input": body, "wsgi.input_terminated": True})
    assert len(Answer(app, environ).body) == 200_000
    # Without that promise, reading on could wait for ever (PEP 3333).
    environ = environ_of(**{"wsgi.input": io.BytesIO(b"next request")})
    assert Answer(app, environ).body == b""


def test_a_body_that_is_cut_short_is_a_disconnect(adapt: Adapt) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        while (message := await receive())["type"] == "http.request":
            pass
        seen.append(message["type"])

    environ = environ_of(b"12345", CONTENT_LENGTH="10")
    with pytest.raises(RuntimeError, match="not complete"):
        Answer(adapt(app), environ)
    assert seen == ["http.disconnect"]


def test_a_body_that_nobody_wants_is_not_read(adapt: Adapt) -> None:
    environ = environ_of(bytes(1000))
    assert Answer(adapt(hello), environ).body == b"Hello, world!"
    assert environ["wsgi.input"].tell() == 0


def test_the_response_streams_while_the_body_does(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            body = message["body"].upper()
            await send({"type": "http.response.body", "body": body, "more_body": more})

    class Lines:
        """An input that gives a line a read, and only when the one before has been answered."""

        def __init__(self) -> None:
            self.lines = [b"one\n", b"two\n"]
            self.answered = threading.Semaphore(1)

        def read(self, size: int) -> bytes:
            assert self.answered.acquire(timeout=10)
            return self.lines.pop(0)

    lines = Lines()
    environ = environ_of(bytes(8), **{"wsgi.input": lines})
    chunks = []
    for chunk in adapt(app)(environ, lambda *_: None):
        chunks.append(chunk)
        lines.answered.release()
    assert chunks == [b"ONE\n", b"TWO\n"]


def test_a_chunk_never_waits_for_a_read(adapt: Adapt) -> None:
    """An application that listens for a disconnect beside its stream must not hold it up."""
    both_are_ready = threading.Event()
    order: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.sleep(0)
            await send({"type": "http.response.body", "body": b"second", "more_body": True})
            both_are_ready.set()
        await send({"type": "http.response.body", "body": b"last"})

    class Body:
        def read(self, size: int) -> bytes:
            order.append(b"read")
            return b"x"

    def start_response(*_: Any) -> None:
        wait_for(both_are_ready)

    for chunk in adapt(app)(environ_of(b"x", **{"wsgi.input": Body()}), start_response):
        order += [chunk]
    assert order == [b"first", b"second", b"read", b"last"]


def test_a_slow_client_slows_the_application_down(adapt: Adapt) -> None:
    made = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal made
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            made += 1
            await send({"type": "http.response.body", "body": bytes(16384), "more_body": True})
        await send({"type": "http.response.body"})

    result = iter(adapt(app)(environ_of(), lambda *_: None))
    size = len(next(result))
    wait_until(lambda: made * 16384 > HIGH_WATER, "the queue is full")
    assert made * 16384 <= 3 * HIGH_WATER
    assert size + sum(map(len, result)) == 1000 * 16384


def test_large_bodies_pass_in_bounded_memory(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    class Endless:
        def read(self, size: int) -> bytes:
            return os.urandom(16) * (size // 16)

    total = 64 * 1024 * 1024
    environ = environ_of(b"x", CONTENT_LENGTH=str(total), **{"wsgi.input": Endless()})
    adapter = adapt(app)
    adapter.start()
    tracemalloc.start()
    try:
        assert sum(map(len, adapter(environ, lambda *_: None))) == total
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_head_has_no_body(adapt: Adapt) -> None:
    answer = Answer(adapt(hello), environ_of(REQUEST_METHOD="HEAD"))
    assert (answer.status, answer.body) == ("200 OK", b"")


def test_what_is_the_servers_is_not_the_applications(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        headers = [(b"Transfer-Encoding", b"chunked"), (b"connection", b"x"), (b"x-a", b"\xeb")]
        await respond(send, b"", 299, headers)

    answer = Answer(adapt(app), environ_of())
    assert (answer.status, answer.headers) == ("299 Unknown", {"x-a": "\xeb"})


# The scope


def scope_of(**changes: Any) -> Scope:
    kept: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        kept.update(scope)
        await respond(send)

    adapter = ASGIToWSGI(app)
    try:
        Answer(adapter, environ_of(**changes))
    finally:
        adapter.close()
    return kept


def test_the_scope() -> None:
    scope = scope_of(
        REQUEST_METHOD="PUT",
        SCRIPT_NAME="/api",
        PATH_INFO="/caf\xc3\xa9",
        QUERY_STRING="a=%20",
        RAW_URI="/api/caf%C3%A9?a=%20",
        SERVER_NAME="example.com",
        SERVER_PORT="8443",
        REMOTE_ADDR="::1",
        REMOTE_PORT="50000",
        HTTP_HOST="example.com",
        HTTP_X_NAME="Zo\xeb",
        CONTENT_TYPE="text/plain",
        CONTENT_LENGTH="",
        **{"wsgi.url_scheme": "https"},
    )
    headers = scope.pop("headers")
    assert sorted(headers) == [
        (b"content-type", b"text/plain"),
        (b"host", b"example.com"),
        (b"x-name", b"Zo\xeb"),
    ]
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.0",
        "server": ("example.com", 8443),
        "client": ("::1", 50000),
        "scheme": "https",
        "method": "PUT",
        "root_path": "/api",
        "path": "/api/caf\xe9",
        "raw_path": b"/api/caf%C3%A9",
        "query_string": b"a=%20",
        "state": {},
        "extensions": {},
    }


def test_what_a_server_does_not_say() -> None:
    scope = scope_of(SCRIPT_NAME="", PATH_INFO="/a b\xff", REMOTE_ADDR="")
    assert (scope["raw_path"], scope["path"]) == (b"/a%20b%FF", "/a b\ufffd")
    assert scope["client"] is None


# Clients that go


def test_close_tells_the_application_and_then_cancels_it(adapt: Adapt) -> None:
    seen: list[str] = []
    ended = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            seen.append((await receive())["type"])
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await anyio.sleep_forever()
        finally:
            seen.append("cancelled")
            ended.set()

    result = adapt(app)(environ_of(), lambda *_: None)
    assert next(iter(result)) == b"first"
    result.close()  # type: ignore[attr-defined]
    wait_for(ended)
    assert seen == ["http.disconnect", "cancelled"]


def test_an_application_that_waits_for_a_slow_client_learns_that_it_has_gone(adapt: Adapt) -> None:
    ended = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(9999), "more_body": True})
        finally:
            ended.set()

    result = adapt(app)(environ_of(), lambda *_: None)
    next(iter(result))
    result.close()  # type: ignore[attr-defined]
    wait_for(ended)


def test_what_comes_after_the_response_delays_nobody(adapt: Adapt) -> None:
    release = threading.Event()
    done: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await respond(send, b"quick")
        done.append((await receive())["type"])
        await anyio.to_thread.run_sync(release.wait, 10)
        done.append("background")

    assert Answer(adapt(app), environ_of()).body == b"quick"
    release.set()
    wait_until(lambda: done == ["http.disconnect", "background"], "the background work")


# Failures


def test_an_error_before_the_head_is_raised_in_the_call(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("on purpose")

    def start_response(*_: Any) -> None:
        raise AssertionError("there is no response")

    with pytest.raises(KeyError, match="on purpose"):
        adapt(app)(environ_of(), start_response)


def test_an_error_after_the_head_breaks_the_body_off(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise KeyError("on purpose")

    result = iter(adapt(app)(environ_of(), lambda *_: None))
    assert next(result) == b"first"
    with pytest.raises(KeyError, match="on purpose"):
        next(result)


def test_an_error_after_the_response_is_logged(
    adapt: Adapt, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await respond(send, b"whole")
        raise KeyError("on purpose")

    monkeypatch.setattr(logging.getLogger("greenuni.error"), "propagate", True)
    assert Answer(adapt(app), environ_of()).body == b"whole"
    wait_until(lambda: "raised after its response" in caplog.text, "the log line")


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_an_application_cannot_end_the_loop(adapt: Adapt, error: BaseException) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/exit":
            raise error
        await respond(send, b"well")

    adapter = adapt(app)
    with pytest.raises(RuntimeError, match="the application raised"):
        Answer(adapter, environ_of(PATH_INFO="/exit"))
    assert Answer(adapter, environ_of()).body == b"well"


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b""}],
        [{"type": "http.response.start", "status": 200}] * 2,
        [{"type": "http.response.trailers"}],
    ],
)
def test_messages_out_of_order_are_named(adapt: Adapt, messages: list[dict[str, Any]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        for message in messages:
            await send(message)

    with pytest.raises(RuntimeError, match="cannot come now"):
        Answer(adapt(app), environ_of())


# The lifespan, the process, the loop


class Living:
    """An application that notes what happened to it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.threads: set[str] = set()
        self.variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.threads.add(threading.current_thread().name)
        if scope["type"] == "http":
            number = scope["state"]["number"]
            scope["state"]["number"] = "changed by a request"
            await respond(send, f"{number} {self.variable.get()}".encode())
            return
        await receive()
        self.events.append("startup")
        scope["state"]["number"] = 7
        self.variable.set("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})


def test_the_lifespan_runs_once_around_all_requests(adapt: Adapt) -> None:
    app = Living()
    adapter = adapt(app)
    assert not app.events
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: answers.append(Answer(adapter, environ_of()).body))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"7 startup"] * 8
    assert app.events == ["startup"]
    adapter.close()
    adapter.close()
    assert app.events == ["startup", "shutdown"]
    assert app.threads == {"greenuni-asgi"}
    with pytest.raises(BootError, match="has been shut down"):
        Answer(adapter, environ_of())


def test_a_failed_startup_fails_every_request(adapt: Adapt) -> None:
    calls: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(1)
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    adapter = adapt(app)
    with pytest.raises(BootError, match="could not start: no database"):
        adapter.start()
    with pytest.raises(BootError, match="no database"):
        Answer(adapter, environ_of())
    assert calls == [1]


def test_close_ends_requests_that_run(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await anyio.sleep_forever()

    adapter = adapt(app)
    result = iter(adapter(environ_of(), lambda *_: None))
    assert next(result) == b"first"
    adapter.close()
    with pytest.raises(RuntimeError, match="cancelled"):
        next(result)


FORKING = """
import os, sys, threading
sys.path.insert(0, {root!r})
from tests.bridge.test_asgi_to_wsgi import Answer, Living, environ_of
from greenuni.bridge import ASGIToWSGI

class Printing(Living):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)
        if scope["type"] == "lifespan":
            os.write(1, f"{{name}} {{' '.join(self.events)}}\\n".encode())

name = "parent"
adapter = ASGIToWSGI(Printing())
{before}
pid = os.fork()
if pid == 0:
    name = "child"
    adapter._app.events.clear()
    Answer(adapter, environ_of())
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
Answer(adapter, environ_of())
"""


@pytest.mark.parametrize("before", ["", "Answer(adapter, environ_of())"])
def test_each_process_has_a_loop_and_a_lifespan_of_its_own(before: str) -> None:
    """Also where the parent had served before it forked; and shutdown runs at exit."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKING.format(root=str(ROOT), before=before)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout.split("\n") == ["child startup shutdown", "parent startup shutdown", ""]
    assert (done.returncode, done.stderr) == (0, "")


def test_requests_run_side_by_side(adapt: Adapt) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await anyio.sleep(0.1)
        await respond(send, b"slept")

    adapter = adapt(app)
    adapter.start()
    answers: Iterable[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(Answer(adapter, environ_of())))  # type: ignore[attr-defined]
        for _ in range(20)
    ]
    before = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - before < 1.5  # one after the other it would be 2 s
    assert [answer.body for answer in answers] == [b"slept"] * 20
