"""The corpus of raw requests through every kind of worker: what one accepts, no other rejects."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.corpus import Case, Verdict, iter_pieces, load_corpus
from tests.support.server import Server, serve

from .conftest import APPS

CASES = load_corpus()
BYTE_BY_BYTE_LIMIT = 2000  # octets; the wire's own tests feed the long ones byte by byte

WORKERS = {
    "sync": ("echo_app:wsgi",),
    "threads": ("echo_app:wsgi", "--threads", "2"),
    "asyncio": ("echo_app:asgi", "--loop", "asyncio"),
    "uvloop": ("echo_app:asgi", "--loop", "uvloop"),
    "trio": ("echo_app:asgi", "--async-backend", "trio"),
}


# Where there is no WebSocket a handshake is a plain request, and what follows it is another one. An ASGI
# worker takes it: tests/asgi/websocket/test_handshake.py.
TAKEN_BY_ASGI = "ok-upgrade-websocket-is-ignored"


@pytest.fixture(scope="module", params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[Server]:
    with serve(*WORKERS[worker], cwd=APPS) as server:
        yield server


class Reader:
    """Reads responses from a socket, each framed by its own head."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rb")

    def response(self, method: bytes) -> tuple[int, bytes, bool]:
        """Status, body, and whether the head announces the end of the connection."""
        while True:
            line = self._stream.readline()
            assert line.startswith(b"HTTP/1.1 "), line
            status = int(line[9:12])
            fields = dict(self._fields())
            if status >= 200:
                break
        length = 0 if method == b"HEAD" else int(fields.get(b"content-length", b"0"))
        body = self._stream.read(length)
        return status, body, fields.get(b"connection", b"").lower() == b"close"

    def _fields(self) -> Iterator[tuple[bytes, bytes]]:
        while (line := self._stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            yield name.lower(), value.strip()

    def rest(self) -> bytes:
        return self._stream.read()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def send(connection: socket.socket, raw: bytes, size: int) -> None:
    """Send in pieces; a server that has already refused and closed is no fault."""
    try:
        for piece in iter_pieces(raw, size):
            connection.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return


@pytest.mark.parametrize("size", [1, 1 << 20], ids=["bytewise", "whole"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(server: Server, worker: str, case: Case, size: int) -> None:
    if case.name == TAKEN_BY_ASGI and "echo_app:asgi" in WORKERS[worker]:
        pytest.skip("an ASGI worker takes the handshake")
    if size == 1 and len(case.raw) > BYTE_BY_BYTE_LIMIT:
        pytest.skip("too long to send byte by byte")
    if size == 1 and case.verdict is Verdict.CLOSES:
        pytest.skip("who goes on sending after the last request may be reset (RFC 9112 9.6)")
    with server.connect(timeout=5) as connection, Reader(connection) as reader:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        send(connection, case.raw, size)
        check_answers(case, connection, reader)


def check_answers(case: Case, connection: socket.socket, reader: Reader) -> None:
    closes = False
    for expected in case.answered:
        status, body, closes = reader.response(expected.method)
        assert status == 200
        if expected.method != b"HEAD":
            assert body == expected.body
    if case.status is not None:
        method = case.requests[-1].method if case.verdict is Verdict.BODY_REFUSED else b"GET"
        status, _, closes = reader.response(method)
        assert status == case.status
    if case.must_close:
        assert closes
        assert reader.rest() == b""
    elif case.verdict is Verdict.SURVIVES:
        assert not closes
        connection.sendall(b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reader.response(b"GET")[0] == 200
