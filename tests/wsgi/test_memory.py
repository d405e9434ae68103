"""Large bodies in both directions, in a process of their own whose memory is watched."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import resident_bytes
from tests.wsgi.harness import Client, request

MIB = 1 << 20
SIZE = 256 * MIB
GROWTH_LIMIT = 40 * MIB
BLOCK = b"x" * MIB
ROOT = Path(__file__).parent.parent.parent

SCRIPT = """
import sys
from greenuni.shell import Interface
from greenuni.testing import fake_seat
from greenuni.wsgi import serve
from tests.wsgi.harness import listen

SIZE = int(sys.argv[2])

def blocks():
    block = b"x" * 65536
    for _ in range(SIZE // len(block)):
        yield block

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/download":
        return blocks()
    count = 0
    while block := environ["wsgi.input"].read(65536):
        count += len(block)
    return [str(count).encode()]

listener = listen()
seat = fake_seat(app, Interface.WSGI, [listener], threads=int(sys.argv[1]))
seat.ready = lambda: print(listener.getsockname()[1], flush=True)
serve(seat)
"""


class Watched:
    """A process that serves, and how much its memory has grown."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self._process = process
        self._port = int(process.stdout.readline())
        with self.connect() as client:
            client.get("/warm")
        self._before = resident_bytes(process.pid)
        self._peak = self._before

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self._port)))

    def sample(self) -> None:
        self._peak = max(self._peak, resident_bytes(self._process.pid))

    @property
    def growth(self) -> int:
        return self._peak - self._before


@pytest.fixture(params=["1", "2"])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, request.param, str(SIZE)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    yield Watched(process)
    process.terminate()
    process.communicate(timeout=10)


def test_an_upload_with_a_length(watched: Watched) -> None:
    with watched.connect() as client:
        client.send(request("/upload", "POST", content_length=str(SIZE)))
        for _ in range(SIZE // MIB):
            client.send(BLOCK)
            watched.sample()
        assert client.response().body == str(SIZE).encode()
    assert watched.growth < GROWTH_LIMIT


def test_a_chunked_upload(watched: Watched) -> None:
    with watched.connect() as client:
        client.send(request("/upload", "POST", transfer_encoding="chunked"))
        for _ in range(SIZE // MIB):
            client.send(b"%x\r\n%s\r\n" % (MIB, BLOCK))
            watched.sample()
        client.send(b"0\r\n\r\n")
        assert client.response().body == str(SIZE).encode()
    assert watched.growth < GROWTH_LIMIT


@pytest.mark.parametrize("reader", ["fast", "stalled at first"])
def test_a_streamed_download(watched: Watched, reader: str) -> None:
    with watched.connect() as client, watched.connect() as other:
        client.send(request("/download"))
        if reader == "stalled at first":
            other.get("/")  # answered when the application is done with the download
            watched.sample()
        received = 0
        while received < SIZE:
            received += len(client.sock.recv(MIB))
            watched.sample()
    assert watched.growth < GROWTH_LIMIT
