"""The signal pipe, and the page that explains the signals."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from greenuni.arbiter.signals import HANDLED, SignalPipe, StoppedEarly
from tests.support.server import wait_until

PAGE = Path(__file__).parent.parent.parent / "docs" / "signals.md"


def test_every_signal_is_explained() -> None:
    rows = re.findall(r"^\| ([A-Z][A-Z0-9]+) \|", PAGE.read_text(), re.MULTILINE)
    assert {f"SIG{name}" for name in rows} == {number.name for number in HANDLED} - {"SIGCHLD"}


def test_signals_are_queued_in_order_and_handlers_given_back() -> None:
    before = [signal.getsignal(number) for number in HANDLED]
    pipe = SignalPipe()
    pipe.begin_loop()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTTIN):
        os.kill(os.getpid(), number)
    found: list[signal.Signals] = []
    wait_until(lambda: found.extend(pipe.take()) or len(found) == 3, "three signals")
    assert found == [signal.SIGHUP, signal.SIGTERM, signal.SIGTTIN]
    assert pipe.take() == []
    assert repr(pipe) == "<SignalPipe looping>"
    pipe.close()
    assert [signal.getsignal(number) for number in HANDLED] == before


def test_before_the_loop_an_ending_signal_raises() -> None:
    pipe = SignalPipe()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(StoppedEarly, match="SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.SIGHUP in pipe.take()
    finally:
        pipe.close()


def test_a_held_signal_waits() -> None:
    pipe = SignalPipe()
    pipe.begin_loop()
    try:
        with pipe.held():
            # To this thread: the process may have others, of the test runner, that do not hold it.
            signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
            assert pipe.take() == []
        assert pipe.take() == [signal.SIGHUP]
    finally:
        pipe.close()


def test_a_child_shares_nothing() -> None:
    pipe = SignalPipe()
    pipe.begin_loop()
    try:
        with pipe.held():
            pid = os.fork()
            if pid == 0:
                pipe.leave_to_child()
                os.kill(os.getpid(), signal.SIGTERM)  # held until the block ends
        if pid == 0:
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert signal.SIGTERM not in pipe.take()
    finally:
        pipe.close()
