"""The server's side of an ASGI request, in memory, on every event loop; and what tests wait with."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio

from greenuni.bridge.interfaces import ASGIApp, Environ, Message, Scope, StartResponse

BACKENDS = ("asyncio", "uvloop", "trio")
SECONDS = 10.0  # how long anything may take that should be immediate
PLAIN = [("Content-Type", "text/plain")]


def run(backend: str, main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """``anyio.run`` on one of BACKENDS."""
    if backend == "trio":
        return anyio.run(main, *args, backend="trio")
    options = {"use_uvloop": backend == "uvloop"}
    return anyio.run(main, *args, backend="asyncio", backend_options=options)


def wait_until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Poll in a thread until ``condition()`` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.002)


async def until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Poll in a loop until ``condition()`` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await anyio.sleep(0.002)


def wait_for(event: threading.Event) -> None:
    """Wait for an event; AssertionError if it does not come."""
    assert event.wait(SECONDS), "the event did not come"


def http_scope(**changes: Any) -> Scope:
    """The scope of ``GET /``, with ``changes``; ``headers`` may be a dict of text."""
    headers = changes.pop("headers", {})
    if isinstance(headers, Mapping):
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
    path = changes.get("path", "/")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        **changes,
    }


class Conversation:
    """One call of an ASGI application, whose messages the test plays.

    After ``disconnect`` or the end of the response ``receive`` gives ``http.disconnect``. While
    ``is_stuck``, ``send`` of a body waits, as if the client did not read.
    """

    def __init__(self, app: ASGIApp, scope: Scope, body: Iterable[bytes] | None = (b"",)) -> None:
        """``body`` None: the test feeds it."""
        self._app = app
        self.scope = scope
        self._incoming: list[Message] = []
        self._changed: Any = None
        self.received = 0  # messages that the application has taken
        self.sent: list[Message] = []
        self.body_size = 0
        self.is_gone = False
        self.has_told = False  # whether the application has been given http.disconnect
        self.is_complete = False
        self.is_stuck = False
        self.error: BaseException | None = None
        self.has_returned = False
        if body is not None:
            parts = list(body)
            for number, part in enumerate(parts, 1):
                self.feed(part, more=number < len(parts))

    def feed(self, data: bytes, more: bool) -> None:
        self._incoming.append({"type": "http.request", "body": data, "more_body": more})
        self._notify()

    def disconnect(self) -> None:
        self.is_gone = True
        self._notify()

    def unstick(self) -> None:
        self.is_stuck = False
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = anyio.Event()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    async def receive(self) -> Message:
        while True:
            if self._incoming:
                self.received += 1
                return self._incoming.pop(0)
            if self.is_gone or self.is_complete:
                self.has_told = True
                return {"type": "http.disconnect"}
            await self._change()

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        if self.is_gone:
            return
        self.sent.append(message)
        while self.is_stuck and message["type"] == "http.response.body" and not self.is_gone:
            await self._change()
        self.body_size += len(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_complete = True
            self._notify()

    async def run(self) -> None:
        try:
            await self._app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        self.has_returned = True

    # What came of it

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode("latin-1"): v.decode("latin-1") for k, v in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(m["body"] for m in self.sent if m["type"].endswith("body"))


async def talk(app: ASGIApp, body: Iterable[bytes] = (b"",), **scope: Any) -> Conversation:
    """A whole request, played from its start to its end. Raises what the application raised."""
    conversation = Conversation(app, http_scope(**scope), body)
    with anyio.fail_after(SECONDS):
        await conversation.run()
    if conversation.error is not None:
        raise conversation.error
    return conversation


def request(
    backend: str, app: ASGIApp, body: Iterable[bytes] = (b"",), **scope: Any
) -> Conversation:
    """``talk`` in a loop of its own."""
    result: Conversation = run(backend, lambda: talk(app, body, **scope))
    return result


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", list(PLAIN))
    return [b"Hello, world!"]


class Closing:
    """An iterable that notes that it was closed, and by which thread."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.closed = threading.Event()
        self.closer = ""

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self.closer = threading.current_thread().name
        self.closed.set()
