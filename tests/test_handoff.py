"""Connections on their way from one worker to another."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from greenuni.handoff import UNREAD_LIMIT, Outbox, names, receive, send


class Queue:
    """Both ends of a queue, and a connection to send through it."""

    def __init__(self) -> None:
        self.sender, self.receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.client, self.connection = socket.socketpair()
        for end in (self.sender, self.receiver, self.connection):
            end.setblocking(False)

    def send(self, unread: bytes = b"", hops: int = 0) -> bool:
        return send(self.sender, self.connection.fileno(), unread, hops)

    def fill(self) -> int:
        """Send the connection until there is no room; how often it is in the queue now."""
        count = 0
        while self.send():
            count += 1
        return count

    def take(self) -> None:
        found = receive(self.receiver)
        assert found is not None
        os.close(found[0])

    def close(self) -> None:
        for end in (self.sender, self.receiver, self.client, self.connection):
            end.close()


@pytest.fixture
def queue() -> Iterator[Queue]:
    made = Queue()
    yield made
    made.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("unread", [b"", b"GET / HTTP/1.1\r\n", bytes(UNREAD_LIMIT)])
def test_a_connection_arrives_with_what_was_read(queue: Queue, unread: bytes) -> None:
    assert queue.send(unread, hops=3)
    queue.connection.close()
    arrived = receive(queue.receiver)
    assert arrived is not None
    fd, data, hops = arrived
    assert (data, hops) == (unread, 3)
    assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not os.get_inheritable(fd)
    queue.client.sendall(b"more")
    assert os.read(fd, 10) == b"more"
    os.close(fd)
    assert queue.client.recv(1) == b""


def test_connections_arrive_in_order(queue: Queue) -> None:
    for number in range(3):
        queue.send(b"%d" % number)
    arrived = [receive(queue.receiver) for _ in range(3)]
    assert [found[1] for found in arrived if found] == [b"0", b"1", b"2"]
    for found in arrived:
        assert found
        os.close(found[0])


def test_nothing_there_is_none(queue: Queue) -> None:
    assert receive(queue.receiver) is None


def test_what_holds_no_descriptor_is_none(queue: Queue) -> None:
    queue.sender.send(b"\0nobody")
    assert receive(queue.receiver) is None


def test_a_full_queue_is_no_error(queue: Queue) -> None:
    before = descriptors()
    count = queue.fill()
    assert count > 10
    assert not queue.send(b"late")
    for _ in range(count):
        queue.take()
    assert receive(queue.receiver) is None
    assert descriptors() == before


def test_too_much_cannot_travel(queue: Queue) -> None:
    with pytest.raises(OSError, match="too long") as caught:
        queue.send(bytes(UNREAD_LIMIT + 1))
    assert caught.value.errno == errno.EMSGSIZE
    assert receive(queue.receiver) is None


def test_nobody_can_receive_any_more(queue: Queue) -> None:
    queue.receiver.close()
    with pytest.raises(BrokenPipeError):
        queue.send()


def test_without_a_free_descriptor_the_connection_is_lost_and_closed(queue: Queue) -> None:
    queue.send(b"GET / HTTP/1.1\r\n")
    queue.connection.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(queue.sender.fileno(), queue.receiver.fileno(), queue.client.fileno())
    fillers = [os.dup(0) for _ in range(3)]  # below the limit everything is taken
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free(), hard))
        with pytest.raises(OSError, match="Too many open files"):
            receive(queue.receiver)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    assert highest
    assert queue.client.recv(1) == b""


def lowest_free() -> int:
    free = os.dup(0)
    os.close(free)
    return free


def test_names_are_those_of_accept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, address = listener.accept()
        with accepted:
            assert names(accepted.fileno()) == (listener.getsockname(), address)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()  # with a reset
            assert names(accepted.fileno()) is None
            assert accepted.fileno() >= 0


class Passenger:
    """Leaves through the queue unless it has nothing to send any more."""

    def __init__(self, queue: Queue, name: bytes) -> None:
        self.queue = queue
        self.name = name
        self.has_given_up = False

    def leave(self, sender: socket.socket) -> bool:
        return self.has_given_up or send(sender, self.queue.connection.fileno(), self.name)


class TestOutbox:
    """What waits for room in a queue."""

    @pytest.fixture(autouse=True)
    def _outbox(self, queue: Queue) -> None:
        self.queue = queue
        self.watched: list[bool] = []
        self.outbox = Outbox(queue.sender, self.watched.append)

    def put(self, name: bytes) -> Passenger:
        passenger = Passenger(self.queue, name)
        self.outbox.put(passenger)
        return passenger

    def arrivals(self) -> list[bytes]:
        found = []
        while (arrived := receive(self.queue.receiver)) is not None:
            os.close(arrived[0])
            found.append(arrived[1])
        return found

    def test_where_there_is_room_nobody_waits(self) -> None:
        self.put(b"a")
        assert (len(self.outbox), self.watched) == (0, [])
        assert self.arrivals() == [b"a"]

    def test_those_who_wait_keep_their_order(self) -> None:
        self.queue.fill()
        self.put(b"a")
        assert self.watched == [True]
        self.arrivals()
        self.put(b"b")  # there is room, but not for whoever comes last
        assert repr(self.outbox) == "<Outbox of 2>"
        self.outbox.flush()
        assert self.watched == [True, False]
        assert self.arrivals() == [b"a", b"b"]

    def test_who_has_given_up_is_passed_over(self) -> None:
        self.queue.fill()
        self.put(b"a").has_given_up = True
        self.put(b"b")
        self.arrivals()
        self.outbox.flush()
        assert self.arrivals() == [b"b"]

    def test_with_room_for_some_it_goes_on_watching(self) -> None:
        count = self.queue.fill()
        for _ in range(count + 2):
            self.put(b"")
        self.arrivals()
        self.outbox.flush()
        assert len(self.outbox) == 2
        assert self.watched == [True, True]

    def test_a_queue_that_takes_nothing_is_not_watched(self) -> None:
        self.queue.fill()
        self.put(b"a")
        self.outbox.flush()
        assert self.watched == [True, False]
        assert len(self.outbox) == 1

    def test_with_nobody_waiting_nothing_is_touched(self) -> None:
        self.outbox.flush()
        assert self.watched == []
