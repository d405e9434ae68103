"""A server in a thread, a client with raw bytes, and small applications to put between them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenuni.asgi import Server
from greenuni.shell import Interface, Pools, Seat
from greenuni.testing import fake_seat

BACKENDS = ("asyncio", "uvloop", "trio")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SECONDS = 10.0  # how long anything may take that should be immediate

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


def wait_until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Poll until ``condition()`` is true; AssertionError naming ``what`` after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def backend_settings(backend: str) -> dict[str, Any]:
    """Settings of Config that select ``backend``."""
    return {"async_backend": "trio"} if backend == "trio" else {"loop": backend}


@dataclass
class Response:
    """One response as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


class Client:
    """A socket that speaks raw HTTP. ``response`` reads exactly one response."""

    def __init__(self, address: Any, *, receive_buffer: int | None = None) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(SECONDS)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def finish(self) -> Client:
        """Close the writing half."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Close with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def get(self, path: str = "/", *headers: str) -> Response:
        lines = "".join(f"{header}\r\n" for header in headers)
        self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
        return self.response()

    def read(self, count: int) -> bytes:
        data = self._reader.read(count)
        assert data is not None
        return data

    def line(self) -> bytes:
        return self._reader.readline()

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response, interim ones too."""
        line = self.line()
        assert line.startswith(b"HTTP/1.1 "), line
        return int(line[9:12]), self._fields()

    def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := self.line()) != b"\r\n":
            assert line.endswith(b"\r\n"), line
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return fields

    def response(self, *, has_body: bool = True) -> Response:
        status, headers = self.head()
        trailers: dict[str, str] = {}
        if not has_body or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
            trailers = self._fields()
        elif "content-length" in headers:
            length = int(headers["content-length"])
            body = self.read(length)
            assert len(body) == length, "the body is shorter than its Content-Length"
        else:
            body = self.rest()
        return Response(status, headers, body, trailers)

    def chunk(self) -> bytes:
        """The next chunk; empty for the last. Its trailer section is left to read."""
        size = int(self.line(), 16)
        data = self.read(size)
        if size:
            assert self.line() == b"\r\n"
        return data

    def rest(self) -> bytes:
        """Everything until the server closes."""
        return self._reader.read()

    def is_closed(self) -> bool:
        """Whether the server has closed, cleanly or not, with nothing left to read."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True


@dataclass
class Serving:
    """A server that runs in a thread of this process."""

    server: Server
    seat: Seat
    address: Any
    thread: threading.Thread
    errors: list[BaseException]

    def client(self, **options: Any) -> Client:
        return Client(self.address, **options)

    @property
    def slot(self) -> Any:
        return self.seat.slot

    def has_ended(self) -> bool:
        return not self.thread.is_alive()

    def wait_for_end(self, seconds: float = SECONDS) -> None:
        self.thread.join(seconds)
        assert self.has_ended(), f"the server still runs after {seconds} s: {self.server!r}"


def tcp_listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setblocking(False)
    return listener


def unix_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(64)
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def serving(
    app: Callable[..., Any],
    backend: str = "asyncio",
    *,
    listener: socket.socket | None = None,
    interface: Interface = Interface.ASGI3,
    access: Any = None,
    pools: Pools | None = None,
    wait: bool = True,
    tick: float = 0.05,
    **settings: Any,
) -> Iterator[Serving]:
    """Serve ``app``; at the end stop, and raise what the server raised."""
    listener = listener or tcp_listener()
    settings = {"header_timeout": 30.0, **backend_settings(backend), **settings}
    seat = fake_seat(app, interface, [listener], access, **settings)
    seat.pools = pools
    address = listener.getsockname()
    server = Server(seat, tick=tick)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            server.run()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            errors.append(error)
        finally:
            listener.close()

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    running = Serving(server, seat, address, thread, errors)
    try:
        if wait:
            wait_until(lambda: seat.ready.is_set() or errors, "the server is ready")
        if not errors:
            yield running
    finally:
        if thread.is_alive():
            with contextlib.suppress(RuntimeError):
                server.quick_stop()
        thread.join(SECONDS)
    assert not thread.is_alive(), f"the server did not stop: {server!r}"
    if errors:
        raise errors[0]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def respond(
    send: Send,
    body: bytes = b"",
    status: int = 200,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """A whole response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes:
    """The request body; AssertionError when the client leaves in the middle of it."""
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return body


def http_only(handler: App) -> App:
    """An application without a lifespan, of one handler."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await handler(scope, receive, send)

    return app


def routed(handlers: Mapping[str, App]) -> App:
    """An application without a lifespan, of a handler a path."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await handlers[scope["path"]](scope, receive, send)

    return app


async def hello(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await respond(send, b"Hello, world!", headers=[(b"content-type", b"text/plain")])


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await respond(send, await read_body(receive))
