"""A shell that serves in a thread of the test, and raw clients to talk to it.

::

    with serving(app, keepalive=1.0) as shell, shell.connect() as client:
        client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        assert client.response().status == 200
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from greenuni.http import Connection, Limits, Responder
from greenuni.shell import Interface, Pools, Seat
from greenuni.testing import fake_seat
from greenuni.wsgi import Server
from greenuni.wsgi.application import Call
from greenuni.wsgi.gateway import Gateway
from greenuni.wsgi.output import Output, OutputDisk, OutputLimits
from tests.support.server import wait_until

PATIENCE = 10.0  # seconds; only a failing test waits that long
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def request(
    target: str = "/", method: str = "GET", body: bytes | None = None, **fields: str
) -> bytes:
    """The bytes of an HTTP/1.1 request; fields as ``x_name="value"``."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b"")


@dataclass
class Response:
    """A response as it came. ``is_whole`` is False when it ended before its framing said so."""

    status: int
    reason: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = True

    def __getitem__(self, name: str) -> str:
        return ",".join(value for key, value in self.fields if key.lower() == name.lower())

    def __contains__(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.fields)


class Client:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self._file: io.BufferedReader = sock.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def get(self, target: str = "/", **fields: str) -> Response:
        self.send(request(target, **fields))
        return self.response()

    def response(self, method: str = "GET") -> Response:
        """Read one response. Raises EOFError when there is none."""
        line = self._file.readline()
        if not line:
            raise EOFError("the server closed the connection")
        version, status, reason = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
        assert version == "HTTP/1.1"
        response = Response(int(status), reason)
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(": ")
            response.fields.append((name, value))
        if method != "HEAD" and response.status not in (204, 304) and response.status >= 200:
            self._read_body(response)
        return response

    def _read_body(self, response: Response) -> None:
        if response["Transfer-Encoding"] == "chunked":
            self._read_chunked(response)
        elif "Content-Length" in response:
            size = int(response["Content-Length"])
            response.body = self._file.read(size)
            response.is_whole = len(response.body) == size
        else:
            response.body = self._file.read()

    def _read_chunked(self, response: Response) -> None:
        chunks = []
        while line := self._file.readline():
            size = int(line, 16)
            chunk = self._file.read(size + 2)
            chunks.append(chunk[:-2])
            if size == 0:
                response.body = b"".join(chunks)
                return
        response.body = b"".join(chunks)
        response.is_whole = False

    def chunk(self) -> bytes:
        """One chunk of a chunked body, as soon as it is there."""
        size = int(self._file.readline(), 16)
        return self._file.read(size + 2)[:-2]

    def is_closed(self) -> bool:
        """Wait for the server's end of the connection; False when something else comes."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


class Shell:
    """A serving shell, its seat, and the way to both."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.server = Server(seat)
        self.address = seat.listeners[0].getsockname()
        self._clients: list[Client] = []
        self._thread = threading.Thread(target=self.server.run, name="shell")
        self._thread.start()

    def connect(self, receive_buffer: int = 0) -> Client:
        """A client, which the end of the test closes if nobody did."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        sock = socket.socket(family)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(self.address)
        self._clients.append(Client(sock))
        return self._clients[-1]

    def get(self, target: str = "/", **fields: str) -> Response:
        """One request over a connection of its own."""
        with self.connect() as client:
            return client.get(target, **fields)

    @property
    def is_serving(self) -> bool:
        return self._thread.is_alive()

    def drain(self) -> None:
        self.server.drain()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), self.server

    def stop(self) -> None:
        self.server.stop()
        self.join()

    def close_clients(self) -> None:
        for client in self._clients:
            client.close()


def listen(path: str | None = None) -> socket.socket:
    """A non-blocking listener on loopback, or on a unix socket."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen(512)
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def serving(
    app: Callable[..., Any], path: str | None = None, pools: Pools | None = None, **settings: Any
) -> Iterator[Shell]:
    """``app`` served in a thread until the block ends. ``access`` and Config fields are settings.

    The timeout is short, which makes the loop tick ten times a second.
    """
    settings.setdefault("timeout", 0.4)
    with listen(path) as listener:
        seat = fake_seat(app, Interface.WSGI, [listener], **settings)
        seat.pools = pools
        shell = Shell(seat)
        try:
            assert shell.seat.ready.wait(PATIENCE)  # type: ignore[attr-defined]
            yield shell
        finally:
            shell.stop()
            shell.close_clients()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def no_descriptor_leaks() -> Iterator[None]:
    """The block closes what it opens, if not at once."""
    before = open_descriptors()
    yield
    wait_until(lambda: open_descriptors() <= before, "all descriptors closed again")


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world!"]


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["wsgi.input"].read()]


class Tracked:
    """An iterable response body that counts how often it is closed, and how far it was read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.closed = 0
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.given += 1
        return chunk

    def close(self) -> None:
        self.closed += 1


def new_call() -> Call:
    """A call that no application has."""
    wire = Connection(Limits())
    request = wire.take(GET)
    assert request
    log = logging.getLogger("test")
    gateway = Gateway(lambda *_: None, log, sendfile=False, closes=False)
    output = Output(-1, OutputLimits(0, 0, 0), OutputDisk(None, log))
    return Call(gateway, request, {"REMOTE_ADDR": ""}, Responder(wire, request), output)
