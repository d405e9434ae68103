"""Sockets by their descriptors: in Python and, where it was built, in C, with the same answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from greenuni import transfer as installed
from tests.support.sources import from_source

BOTH = pytest.mark.parametrize(
    "transfer", [installed, from_source("transfer")], ids=["installed", "source"]
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(10)
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


@BOTH
@pytest.mark.parametrize(
    ("family", "own"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_UNIX, "")],
    ids=["IPv4", "IPv6", "unix"],
)
def test_who_is_accepted(
    transfer: ModuleType, family: socket.AddressFamily, own: str, tmp_path: Path
) -> None:
    with socket.socket(family) as listener, socket.socket(family) as client:
        address = str(tmp_path / "listener") if family is socket.AF_UNIX else (own, 0)
        try:
            listener.bind(address)
        except OSError as error:
            pytest.skip(f"no such network here: {error}")
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            transfer.accept(listener)
        client.connect(listener.getsockname())
        fd, peer = transfer.accept(listener)
        try:
            assert peer == client.getsockname()
            assert not os.get_blocking(fd)
            assert not os.get_inheritable(fd)
        finally:
            transfer.close(fd)
        assert client.recv(1) == b""


@BOTH
def test_what_cannot_be_accepted(transfer: ModuleType) -> None:
    with socket.socket() as not_listening, pytest.raises(OSError, match="Errno 22"):
        transfer.accept(not_listening)


@BOTH
def test_nobody_needs_the_error_of_a_close(transfer: ModuleType) -> None:
    transfer.close(-1)


@BOTH
def test_nothing_something_and_the_end(transfer: ModuleType, pair: Pair) -> None:
    ours, theirs = pair
    assert transfer.maybe_receive(ours.fileno()) is None
    theirs.send(b"a\0b")
    assert transfer.maybe_receive(ours.fileno()) == b"a\0b"
    theirs.close()
    assert transfer.maybe_receive(ours.fileno()) == b""


@BOTH
def test_no_more_than_one_piece_at_once(transfer: ModuleType, pair: Pair) -> None:
    ours, theirs = pair
    size = transfer.RECEIVE_SIZE
    theirs.sendall(b"x" * size + b"y")
    data = b""
    while len(data) < size:
        piece = transfer.maybe_receive(ours.fileno())
        assert len(piece) <= size
        data += piece
    data += transfer.maybe_receive(ours.fileno()) or b""
    assert data == b"x" * size + b"y"


@BOTH
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_what_is_sent_and_how_much_of_it(transfer: ModuleType, pair: Pair, kind: type) -> None:
    ours, theirs = pair
    assert transfer.send(ours.fileno(), kind(b"")) == 0
    assert transfer.send(ours.fileno(), kind(b"a\0b")) == 3
    assert theirs.recv(10) == b"a\0b"
    while transfer.send(ours.fileno(), kind(bytes(100_000))):
        pass
    assert transfer.send(ours.fileno(), kind(b"full")) == 0


@BOTH
def test_errors_are_connection_errors(transfer: ModuleType, pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(ConnectionError, match=r"\[Errno 32\] Broken pipe"):
        transfer.send(ours.fileno(), b"x")
    with pytest.raises(ConnectionError, match=r"\[Errno 9\] Bad file descriptor"):
        transfer.maybe_receive(-1)
    with pytest.raises(TypeError):
        transfer.send(ours.fileno(), "text")
