"""The transport between a socket and its user: what it says and when, without an event loop."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greenuni.asgi.channel import TransportUser
from greenuni.asgi.transport import (
    BATCH,
    HIGH_WATER,
    LOW_WATER,
    Sockets,
    SocketTransport,
)
from greenuni.transfer import RECEIVE_SIZE

LOG = logging.getLogger("greenuni.error")


class Diary(TransportUser):
    """A transport's user that writes down what it is told."""

    def __init__(self, *, keeps_open: bool = False) -> None:
        self.entries: list[str] = []
        self.data = b""
        self.transport: SocketTransport
        self.on_data: Callable[[], object] = lambda: None
        self._keeps_open = keeps_open

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.entries.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.on_data()

    def eof_received(self) -> bool:
        self.entries.append("eof")
        return self._keeps_open

    def connection_lost(self, error: Exception | None) -> None:
        self.entries.append("lost" if error is None else f"lost: {type(error).__name__}")

    def pause_writing(self) -> None:
        self.entries.append("pause")

    def resume_writing(self) -> None:
        self.entries.append("resume")


class Loop:
    """The part of an event loop that sockets need, turned by hand."""

    def __init__(self) -> None:
        self._due: list[Callable[[], object]] = []
        self.sockets = Sockets(self._due.append, LOG)
        self.far_ends: list[socket.socket] = []
        self.near_ends: list[socket.socket] = []

    def connect(self, diary: Diary, *, first: bytes = b"") -> socket.socket:
        """Start a connection for ``diary`` on which ``first`` has come already; its far end."""
        near, far = socket.socketpair()
        near.setblocking(False)
        far.settimeout(5)
        far.sendall(first)
        self.far_ends.append(far)
        self.near_ends.append(near)
        SocketTransport(self.sockets, near, diary).start()
        return far

    def settle(self) -> None:
        """Run what is due now."""
        due, self._due[:] = list(self._due), []
        for callback in due:
            callback()

    def turn(self) -> None:
        """One batch, and what follows from it."""
        self.sockets.turn()
        self.settle()

    @property
    def watched(self) -> int:
        return len(self.sockets._watched)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    for far in loop.far_ends:
        far.close()
    loop.settle()
    while loop.watched:
        loop.turn()
    loop.sockets.close()


def read_all(far: socket.socket, loop: Loop) -> int:
    """How many bytes come until the near end closes."""
    far.setblocking(False)
    received = 0
    while True:
        try:
            data = far.recv(65536)
        except BlockingIOError:
            loop.turn()
        except ConnectionResetError:
            return received
        else:
            if not data:
                return received
            received += len(data)


def fill(diary: Diary) -> None:
    """Write until the socket takes no more, and some."""
    while "pause" not in diary.entries:
        diary.transport.write(b"x" * 10_000)


def test_bytes_go_both_ways(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    far.sendall(b"hello")
    loop.turn()
    assert diary.data == b"hello"
    diary.transport.write(b"good")
    diary.transport.writelines([b"by", b"e"])
    assert diary.transport.get_write_buffer_size() == 0
    assert far.recv(100) == b"goodbye"


def test_what_came_with_the_handshake_is_read_at_once(loop: Loop) -> None:
    diary = Diary()
    loop.connect(diary, first=b"hello")
    assert diary.data == b"hello"
    assert loop.watched == 0
    loop.settle()
    assert loop.watched == 1


def test_a_connection_of_one_answer_is_never_watched(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary, first=b"hello")
    diary.transport.write(b"bye")
    diary.transport.close()
    assert (far.recv(100), far.recv(100)) == (b"bye", b"")
    assert diary.entries == ["made"]
    loop.settle()
    assert diary.entries == ["made", "lost"]
    assert loop.watched == 0


def test_close_from_within_data_received(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    diary.on_data = lambda: diary.transport.close()
    far.sendall(b"hello")
    loop.sockets.turn()
    assert diary.entries == ["made"]
    loop.settle()
    assert diary.entries == ["made", "lost"]


def test_one_closed_by_another_of_the_same_batch(loop: Loop) -> None:
    one, other = Diary(), Diary()
    for diary, neighbour in ((one, other), (other, one)):
        loop.connect(diary).sendall(b"x")
        diary.on_data = lambda neighbour=neighbour: neighbour.transport.abort()  # type: ignore[misc]
    loop.turn()
    assert sorted((one.data, other.data)) == [b"", b"x"]
    assert sorted(map(len, (one.entries, other.entries))) == [1, 2]


def test_close_flushes_first(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    diary.transport.write(b"x" * 1_000_000)
    diary.transport.close()
    assert "closing" in repr(diary.transport)
    diary.transport.write(b"too late")
    assert read_all(far, loop) == 1_000_000
    loop.settle()
    assert diary.entries == ["made", "pause", "resume", "lost"]


def test_nothing_is_read_while_closing(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    diary.transport.write(b"x" * 1_000_000)
    diary.transport.close()
    far.sendall(b"hello")
    assert read_all(far, loop) == 1_000_000
    assert diary.data == b""


def test_abort_does_not_flush(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    diary.transport.write(b"x" * 1_000_000)
    diary.transport.abort()
    diary.transport.abort()
    assert read_all(far, loop) < 1_000_000
    loop.settle()
    assert diary.entries == ["made", "pause", "lost"]


def test_abort_is_a_reset() -> None:
    loop = Loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        diary = Diary()
        SocketTransport(loop.sockets, accepted, diary).start()
        diary.transport.abort()
        with client, pytest.raises(ConnectionResetError):
            client.recv(1)
    loop.settle()
    loop.sockets.close()


def test_writing_pauses_and_resumes(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    fill(diary)
    assert diary.transport.get_write_buffer_size() > HIGH_WATER
    while "resume" not in diary.entries:
        far.recv(10_000)
        loop.turn()
    assert diary.entries == ["made", "pause", "resume"]
    assert diary.transport.get_write_buffer_size() <= LOW_WATER


def test_what_was_buffered_arrives_in_order(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    expected = b""
    for number in range(3000):
        parts = [b"%d " % number * 40, b"", b"%d," % number * 40]
        expected += b"".join(parts)
        diary.transport.writelines(parts)
    diary.transport.write(b"")
    assert diary.transport.get_write_buffer_size() > 0
    diary.transport.write_eof()
    received = b""
    far.setblocking(False)
    while len(received) < len(expected):
        loop.turn()
        received += far.recv(100_000)
    loop.turn()
    assert received == expected
    assert far.recv(1) == b""


def test_reading_pauses_at_once(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    far.sendall(b"one")
    loop.turn()
    diary.transport.pause_reading()
    diary.transport.pause_reading()
    far.sendall(b"two")
    loop.turn()
    assert diary.data == b"one"
    assert loop.watched == 0
    diary.transport.resume_reading()
    loop.turn()
    assert diary.data == b"onetwo"


def test_a_batch_reads_each_connection_once(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    far.sendall(b"x" * (RECEIVE_SIZE + 1))
    loop.turn()
    assert len(diary.data) <= RECEIVE_SIZE
    while len(diary.data) <= RECEIVE_SIZE:
        loop.turn()


def test_eof_closes(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    far.shutdown(socket.SHUT_WR)
    loop.turn()
    assert diary.entries == ["made", "eof", "lost"]
    assert far.recv(1) == b""


def test_eof_that_is_kept_open_is_told_once_and_not_waited_for(loop: Loop) -> None:
    diary = Diary(keeps_open=True)
    far = loop.connect(diary)
    far.shutdown(socket.SHUT_WR)
    loop.turn()
    assert loop.watched == 0
    diary.transport.resume_reading()
    loop.turn()
    assert diary.entries == ["made", "eof"]
    diary.transport.write(b"still here")
    assert far.recv(100) == b"still here"
    diary.transport.close()
    loop.settle()
    assert diary.entries == ["made", "eof", "lost"]


def test_write_eof_comes_after_what_was_written(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    fill(diary)
    diary.transport.write_eof()
    assert "finishing" in repr(diary.transport)
    diary.transport.write(b"too late")
    read_all(far, loop)
    assert "finished" in repr(diary.transport)
    far.send(b"heard")
    loop.turn()
    assert diary.data == b"heard"


def test_a_client_that_reset_before_we_could_shut_down(loop: Loop) -> None:
    diary = Diary()
    far = loop.connect(diary)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        SocketTransport(loop.sockets, accepted, diary).start()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        diary.transport.write_eof()
    loop.settle()
    assert diary.entries[-1] == "lost: OSError"
    far.close()


@pytest.mark.parametrize("buffers", [False, True])
def test_writing_to_one_who_has_left(loop: Loop, buffers: bool) -> None:
    """The loss is told once, and not from within ``write``."""
    diary = Diary(keeps_open=True)
    far = loop.connect(diary)
    if buffers:
        fill(diary)
    before = list(diary.entries)
    far.close()
    if buffers:
        loop.sockets.turn()
    diary.transport.write(b"x")
    diary.transport.write(b"y")
    assert diary.transport.get_write_buffer_size() == 0
    lost = [entry for entry in diary.entries[len(before) :] if entry.startswith("lost")]
    assert lost == []
    loop.settle()
    loop.turn()
    diary.transport.close()
    loop.settle()
    lost = [entry for entry in diary.entries if entry.startswith("lost")]
    assert lost in (["lost: BrokenPipeError"], ["lost: ConnectionResetError"])


def test_a_reset_is_the_end(loop: Loop) -> None:
    diary = Diary()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        SocketTransport(loop.sockets, accepted, diary).start()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    loop.turn()
    assert diary.entries == ["made", "lost: ConnectionResetError"]


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received"])
def test_a_fault_of_ours_ends_that_connection_only(
    loop: Loop, method: str, error_log: pytest.LogCaptureFixture
) -> None:
    faulty, sound = Diary(), Diary()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    setattr(faulty, method, fail)
    for diary in (faulty, sound):
        loop.connect(diary, first=b"hello").shutdown(socket.SHUT_WR)
    loop.settle()
    loop.turn()
    assert faulty.entries[-1] == "lost"
    assert sound.entries == ["made", "eof", "lost"]
    assert sound.data == b"hello"
    assert len(error_log.records) == 1


def test_a_fault_in_the_farewell_is_logged(loop: Loop, error_log: pytest.LogCaptureFixture) -> None:
    class Faulty(Diary):
        def connection_lost(self, error: Exception | None) -> None:
            raise ZeroDivisionError

    loop.connect(Faulty()).close()
    loop.turn()
    loop.turn()
    assert len(error_log.records) == 1
    assert loop.watched == 0


def test_a_socket_that_the_poller_does_not_take_is_closed(loop: Loop) -> None:
    diary = Diary()
    loop.connect(diary, first=b"hello")
    loop.near_ends[-1].close()
    loop.settle()
    loop.settle()
    assert diary.entries == ["made", "lost: OSError"]


def test_a_turn_is_bounded_and_nobody_is_left_out(loop: Loop) -> None:
    diaries = [Diary() for _ in range(BATCH + 3)]
    far_ends = [loop.connect(diary) for diary in diaries]
    for far in far_ends:
        far.sendall(b"x")
    loop.turn()
    assert sum(len(diary.data) for diary in diaries) == BATCH
    for far in far_ends:
        far.sendall(b"x")
    loop.turn()
    assert all(diary.data for diary in diaries)
