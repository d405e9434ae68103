"""Bytes on their way to a client: socket, memory, file, waiting."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenuni.wsgi.output import (
    ClientDisconnected,
    Output,
    OutputDisk,
    OutputLimits,
    SourceTruncated,
)
from tests.wsgi.harness import no_descriptor_leaks

LOG = logging.getLogger("test.output")
PATTERN = bytes(range(256)) * 256  # 64 KiB
MIB = 1 << 20


class Pair:
    """An output, and the socket that it ends in."""

    def __init__(self, directory: str | None = None, **limits: float) -> None:
        values = {"memory": 100_000, "file": 100 * MIB, "send_timeout": 5.0, **limits}
        self.sock, self.reader = socket.socketpair()
        self.sock.setblocking(False)
        self.reader.settimeout(10)
        self.disk = OutputDisk(directory, LOG)
        self.output = Output(self.sock.fileno(), OutputLimits(**values), self.disk)  # type: ignore[arg-type]

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.output.close()
        self.sock.close()
        self.reader.close()

    def fill(self) -> int:
        """Write until the socket takes no more."""
        count = 0
        while not self.output.pending:
            self.output.write([PATTERN])
            count += len(PATTERN)
        return count

    def write_much(self) -> None:
        for _ in range(100):
            self.output.write([PATTERN])

    def read(self, count: int) -> bytes:
        """Read ``count`` bytes, flushing as the loop would."""
        received = bytearray()
        while len(received) < count:
            self.output.flush()
            received += self.reader.recv(min(65536, count - len(received)))
        return bytes(received)


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with no_descriptor_leaks():
        yield


def test_what_fits_goes_out_at_once() -> None:
    with Pair() as pair:
        pair.output.write([b"head", b"body"])
        pair.output.write([b"more"])
        pair.output.write([])
        pair.output.write([b""])
        assert not pair.output.pending
        assert pair.reader.recv(100) == b"headbodymore"
        assert pair.output.taken == 12


def test_large_parts_go_out_gathered() -> None:
    parts = [b"head", PATTERN * 8, b"tail"]
    with Pair() as pair:
        pair.output.write(parts)
        assert pair.read(8 + len(PATTERN) * 8) == b"".join(parts)
        assert not pair.output.pending


def test_order_is_kept_through_memory_and_file(tmp_path: Path) -> None:
    with Pair(str(tmp_path)) as pair:
        written = pair.fill()
        for _ in range(100):
            pair.output.write([PATTERN[:1000], PATTERN[1000:]])
            written += len(PATTERN)
        assert "file=None" not in repr(pair.output)
        assert pair.read(written) == PATTERN * (written // len(PATTERN))
        assert not pair.output.pending
        pair.output.write([b"again"])
        assert pair.read(5) == b"again"


def test_memory_before_file_and_never_more_than_allowed() -> None:
    with Pair(memory=1000) as pair:
        pair.fill()
        pair.output.write([PATTERN])
        assert "memory=1000 " in repr(pair.output)


def test_one_chunk_larger_than_everything_else() -> None:
    data = PATTERN * 160  # 10 MiB
    with Pair() as pair:
        pair.output.write([data])
        assert pair.output.pending
        assert pair.read(len(data)) == data


def test_a_fast_reader_never_causes_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much faster the writer is."""
    files: list[object] = []
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **arguments: files.append(arguments))
    total = 64 * MIB
    with Pair() as pair:
        received = 0

        def read() -> None:
            nonlocal received
            while received < total:
                received += len(pair.reader.recv(MIB))

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(total // len(PATTERN)):
            pair.output.write([PATTERN])
        while pair.output.pending:
            pair.output.flush()
        reader.join(10)
        assert received == total
    assert not files


def test_a_stalled_reader_costs_next_to_nothing() -> None:
    with Pair() as pair:
        pair.fill()
        for _ in range(200):
            pair.output.write([PATTERN])
        assert pair.output._waited < 0.1


def test_past_the_file_limit_the_writer_waits_for_the_reader() -> None:
    total = 8 * MIB
    with Pair(file=MIB) as pair:
        received: list[bytes] = []

        def read() -> None:
            go.wait(10)
            count = 0
            while count < total:
                received.append(pair.reader.recv(MIB))
                count += len(received[-1])

        go = threading.Event()
        reader = threading.Thread(target=read)
        reader.start()
        timer = threading.Timer(0.2, go.set)
        timer.start()
        for _ in range(total // len(PATTERN)):
            pair.output.write([PATTERN])
        assert go.is_set()
        while pair.output.pending:
            pair.output.flush()
        reader.join(10)
        timer.join()
        assert b"".join(received) == PATTERN * (total // len(PATTERN))


@pytest.mark.parametrize("limit", [0, MIB])
def test_a_reader_that_takes_nothing_is_given_up(limit: int) -> None:
    with Pair(file=limit, send_timeout=0.05) as pair:
        pair.fill()
        with pytest.raises(ClientDisconnected, match=r"nothing for 0\.05 s"):
            pair.write_much()


def test_no_directory_is_said_once_and_the_writer_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Pair("/nowhere", send_timeout=0.05) as pair:
        pair.fill()
        for _ in range(2):
            with pytest.raises(ClientDisconnected):
                pair.write_much()
    (record,) = caplog.records
    assert "tmp_upload_dir" in record.getMessage()


@pytest.mark.parametrize("part", [[b"x"], [PATTERN, PATTERN]])
def test_a_reader_that_has_gone(part: list[bytes]) -> None:
    with Pair() as pair:
        pair.reader.close()
        with pytest.raises(ClientDisconnected):
            pair.output.write(part)


def test_a_reader_that_goes_while_something_is_kept() -> None:
    with Pair() as pair:
        pair.fill()
        pair.reader.close()
        with pytest.raises(ClientDisconnected):
            pair.output.flush()


def file_of(tmp_path: Path, data: bytes) -> int:
    path = tmp_path / "file"
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


@pytest.mark.parametrize("can_sendfile", [True, False])
def test_a_file_follows_what_was_written(
    tmp_path: Path, can_sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_sendfile:
        monkeypatch.delattr(os, "sendfile")
    data = PATTERN * 80
    with Pair() as pair:
        pair.output.write([b"head"])
        pair.output.write_file(file_of(tmp_path, data), 10, len(data) - 20)
        assert pair.output.pending
        assert pair.read(len(data) - 16) == b"head" + data[10:-10]
        assert not pair.output.pending


def test_a_file_behind_kept_bytes(tmp_path: Path) -> None:
    with Pair() as pair:
        written = pair.fill()
        for _ in range(20):
            pair.output.write([PATTERN])
            written += len(PATTERN)
        pair.output.write_file(file_of(tmp_path, b"the file"), 0, 8)
        assert pair.read(written + 8)[-8:] == b"the file"


@pytest.mark.parametrize("can_sendfile", [True, False])
def test_a_file_that_became_shorter(
    tmp_path: Path, can_sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_sendfile:
        monkeypatch.delattr(os, "sendfile")
    with Pair() as pair, pytest.raises(SourceTruncated, match="7 bytes early"):
        pair.output.write_file(file_of(tmp_path, b"abc"), 0, 10)


def test_an_empty_file(tmp_path: Path) -> None:
    with Pair() as pair:
        pair.output.write_file(file_of(tmp_path, b""), 0, 0)
        assert not pair.output.pending


def test_a_flush_gives_others_their_turn(tmp_path: Path) -> None:
    total = 64 * MIB
    descriptor = os.open(tmp_path / "large", os.O_RDWR | os.O_CREAT)
    os.truncate(descriptor, total)
    with Pair() as pair:

        def read() -> None:
            received = 0
            while received < total:
                received += len(pair.reader.recv(MIB))

        reader = threading.Thread(target=read)
        reader.start()
        pair.output.write_file(descriptor, 0, total)
        steps = 1
        while pair.output.pending:
            taken = pair.output.taken
            pair.output.flush()
            assert pair.output.taken - taken < 3 * MIB
            steps += 1
        reader.join(10)
        assert steps > 20
