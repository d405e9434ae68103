"""What a poller found: in Python and, where it was built, in C, with the same answers."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from types import FrameType, ModuleType

import pytest

from greenuni import readiness as installed
from greenuni.poller import READ, WRITE, Poller, SelectorPoller, new_poller
from tests.support.sources import from_source


@pytest.fixture(params=[installed, from_source("readiness")], ids=["installed", "source"])
def readiness(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


@pytest.fixture(params=[new_poller, SelectorPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    make: Callable[[], Poller] = request.param
    with closing(make()) as poller:
        yield poller


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


def test_who_is_ready_and_for_what(readiness: ModuleType, poller: Poller, pair: Pair) -> None:
    ready = readiness.Ready(poller)
    ours, theirs = pair
    poller.register(ours.fileno(), READ)
    assert ready.wait(0.0) == 0
    theirs.send(b"x")
    for _ in range(2):  # level-triggered
        assert ready.wait(10.0) == 1
        assert (ready.fd(0), ready.mask(0)) == (ours.fileno(), READ)
    poller.modify(ours.fileno(), READ | WRITE)
    assert ready.wait(10.0) == 1
    assert ready.mask(0) == READ | WRITE
    poller.unregister(ours.fileno())
    assert ready.wait(0.0) == 0


def test_a_hang_up_is_told_unasked(readiness: ModuleType, pair: Pair) -> None:
    with closing(new_poller()) as poller:
        ready = readiness.Ready(poller)
        ours, theirs = pair
        poller.register(ours.fileno(), READ)
        theirs.close()
        assert ready.wait(10.0) == 1
        assert ready.mask(0) & READ


def test_nothing_is_told_past_what_was_found(
    readiness: ModuleType, poller: Poller, pair: Pair
) -> None:
    ready = readiness.Ready(poller)
    poller.register(pair[0].fileno(), WRITE)
    with pytest.raises(IndexError):
        ready.fd(0)
    assert ready.wait(10.0) == 1
    for ask in (ready.fd, ready.mask):
        with pytest.raises(IndexError):
            ask(1)


def test_more_than_fit_are_found_by_the_next_wait(readiness: ModuleType, poller: Poller) -> None:
    ready = readiness.Ready(poller)
    with ExitStack() as opened:
        descriptors = set()
        for _ in range(readiness.MOST + 10):
            reader, writer = os.pipe()
            opened.callback(os.close, reader)
            opened.callback(os.close, writer)
            poller.register(writer, WRITE)
            descriptors.add(writer)
        while descriptors:
            count = ready.wait(10.0)
            assert 0 < count <= readiness.MOST
            for fd in {ready.fd(index) for index in range(count)}:
                poller.unregister(fd)
                descriptors.remove(fd)
        assert ready.wait(0.0) == 0


def test_others_run_and_signals_are_handled_meanwhile(
    readiness: ModuleType, poller: Poller, pair: Pair
) -> None:
    ready = readiness.Ready(poller)
    ours, theirs = pair
    poller.register(ours.fileno(), READ)
    handled = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        handled.set()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        handled.wait(10.0)
        theirs.send(b"x")

    before = signal.signal(signal.SIGUSR2, note)
    other = threading.Thread(target=interrupt)
    try:
        other.start()
        while not ready.wait(10.0):
            pass
    finally:
        other.join()
        signal.signal(signal.SIGUSR2, before)
    assert handled.is_set()
