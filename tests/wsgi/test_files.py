"""``wsgi.file_wrapper``: what goes by sendfile, what is read, and that all of it is closed."""

from __future__ import annotations

import gzip
import io
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from greenuni.wsgi.sendfile import FileWrapper, maybe_span
from tests.support.server import wait_until
from tests.wsgi.harness import GET, no_descriptor_leaks, request, serving

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

BOTH = pytest.mark.parametrize("threads", [1, 2])
DATA = bytes(range(256)) * 40_000  # 10 MiB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


class FileApp:
    """Answers with what ``open_file`` returns; notes what was done with it."""

    def __init__(
        self, open_file: Callable[[], Any], fields: list[tuple[str, str]] | None = None
    ) -> None:
        self._open_file = open_file
        self._fields = fields or []
        self.file: Any = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        self.file = self._open_file()
        start_response("200 OK", self._fields)
        return environ["wsgi.file_wrapper"](self.file, 65536)


def length(size: int) -> list[tuple[str, str]]:
    return [("Content-Length", str(size))]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Offset and size of every file that was left to the kernel."""
    sent: list[tuple[int, int]] = []
    sendfile = os.sendfile

    def noted(out_fd: int, in_fd: int, offset: int, count: int) -> int:
        done = sendfile(out_fd, in_fd, offset, count)
        if sent and sum(sent[-1]) == offset:
            sent[-1] = (sent[-1][0], sent[-1][1] + done)
        else:
            sent.append((offset, done))
        return done

    monkeypatch.setattr(os, "sendfile", noted)
    return sent


@BOTH
def test_a_file_goes_by_sendfile_with_its_length(
    threads: int, path: Path, sent: list[tuple[int, int]]
) -> None:
    app = FileApp(partial(open, path, "rb"))
    with no_descriptor_leaks(), serving(app, threads=threads) as shell:
        client = shell.connect()
        for _ in range(2):
            response = client.get()
            assert response["Content-Length"] == str(len(DATA))
            assert response.body == DATA
            wait_until(lambda: app.file.closed, "closed by the application")
    assert sent == [(0, len(DATA))] * 2


def test_from_where_the_file_stands_and_as_much_as_declared(
    path: Path, sent: list[tuple[int, int]]
) -> None:
    with open(path, "rb") as file, serving(FileApp(lambda: file, length(50))) as shell:
        file.seek(100)
        assert shell.get().body == DATA[100:150]
    assert sent == [(100, 50)]


@BOTH
def test_a_slow_reader_does_not_occupy_the_application(threads: int, path: Path) -> None:
    app = FileApp(partial(open, path, "rb"))
    with no_descriptor_leaks(), serving(app, threads=threads) as shell:
        slow = [shell.connect(receive_buffer=4096) for _ in range(3)]
        for client in slow:
            client.send(GET)
        wait_until(lambda: shell.seat.slot.requests == 3, "the application is done with all")
        assert app.file.closed
        assert len(shell.server._connections) == 3
        for client in slow:
            assert client.response().body == DATA


def test_head_and_304_send_nothing_of_a_file(path: Path, sent: list[tuple[int, int]]) -> None:
    app = FileApp(partial(open, path, "rb"), length(len(DATA)))
    with serving(app) as shell, shell.connect() as client:
        client.send(request("/", "HEAD"))
        assert client.response("HEAD")["Content-Length"] == str(len(DATA))
        assert client.get().body == DATA
        wait_until(lambda: app.file.closed, "closed")
    assert len(sent) == 1


def test_sendfile_can_be_switched_off(path: Path, sent: list[tuple[int, int]]) -> None:
    app = FileApp(partial(open, path, "rb"))
    with serving(app, sendfile=False) as shell:
        assert shell.get().body == DATA
    assert not sent
    assert app.file.closed


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with serving(FileApp(partial(open, tmp_path / "empty", "rb"))) as shell:
        response = shell.get()
        assert (response["Content-Length"], response.body) == ("0", b"")


def test_a_file_shorter_than_declared_is_an_error(
    path: Path, sent: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    app = FileApp(partial(open, path, "rb"), length(len(DATA) + 1))
    with serving(app) as shell:
        response = shell.get()
        assert not response.is_whole
        wait_until(lambda: app.file.closed, "closed")
    assert not sent
    assert "less content than its" in caplog.text


def test_a_file_that_shrinks_while_it_is_sent(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with no_descriptor_leaks(), serving(FileApp(partial(open, path, "rb"))) as shell:
        client = shell.connect(receive_buffer=4096)
        client.send(GET)
        wait_until(lambda: shell.seat.slot.requests == 1, "the application is done")
        os.truncate(path, 5_000_000)
        with pytest.raises(ConnectionResetError):
            client.response()
    assert "bytes early" in caplog.text
    assert sum(record.levelno >= logging.ERROR for record in caplog.records) == 1


@pytest.mark.parametrize(
    "kind", ["BytesIO", "gzip", "zip member", "only read", "spooled", "subclass", "pipe"]
)
def test_what_is_no_plain_file_is_read(
    kind: str, path: Path, tmp_path: Path, sent: list[tuple[int, int]]
) -> None:
    data = DATA[:100_000]

    def opened() -> Any:
        if kind == "BytesIO":
            return io.BytesIO(data)
        if kind == "gzip":
            (tmp_path / "data.gz").write_bytes(gzip.compress(data))
            return gzip.open(tmp_path / "data.gz")
        if kind == "zip member":
            with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
                archive.writestr("data", data)
            return zipfile.ZipFile(tmp_path / "data.zip").open("data")
        if kind == "only read":
            return OnlyRead(data)
        if kind == "spooled":
            file = tempfile.SpooledTemporaryFile(10)  # noqa: SIM115 - the application closes it
            file.write(data)
            file.seek(0)
            return file
        if kind == "subclass":
            return Upper(open(path, "rb", buffering=0))
        reader, writer = os.pipe()
        os.write(writer, data[:1000])
        os.close(writer)
        return open(reader, "rb")

    expected = {"pipe": data[:1000], "subclass": DATA.upper()}.get(kind, data)
    with serving(FileApp(opened)) as shell:
        assert shell.get().body == expected
    assert not sent


class OnlyRead:
    """The least that PEP 3333 asks of a file-like object."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


class Upper(io.BufferedReader):
    """Reads something else than what stands in the file."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size).upper()


def test_spans_of_plain_files(path: Path) -> None:
    with open(path, "rb") as file:
        file.read(10)
        assert maybe_span(FileWrapper(file)) == (file.fileno(), 10, len(DATA) - 10)
    assert maybe_span(FileWrapper(file)) is None  # closed
    with open(path, "rb", buffering=0) as raw:
        assert maybe_span(FileWrapper(raw)) == (raw.fileno(), 0, len(DATA))
    with tempfile.NamedTemporaryFile() as named:
        named.write(b"abc")
        named.seek(1)
        assert maybe_span(FileWrapper(named)) == (named.fileno(), 1, 2)
    with tempfile.TemporaryFile() as unnamed:
        unnamed.write(b"abc")
        assert maybe_span(FileWrapper(unnamed)) == (unnamed.fileno(), 3, 0)
    with open(path, encoding="latin-1") as text:
        assert maybe_span(FileWrapper(text)) is None


def test_a_wrapper_without_close_has_none() -> None:
    assert not hasattr(FileWrapper(OnlyRead(b"")), "close")
    assert b"".join(FileWrapper(OnlyRead(b"abc"), 2)) == b"abc"
