"""The loop and what threads reach it by, with descriptors that are only pipes."""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from greenuni.poller import READ, WRITE, SelectorPoller, new_poller, wait_writable
from greenuni.shell import Interface
from greenuni.testing import fake_seat
from greenuni.wsgi import loop as loop_module
from greenuni.wsgi.application import QuickStop
from greenuni.wsgi.job import Job
from greenuni.wsgi.loop import Handler, Loop
from greenuni.wsgi.runner import InlineRunner
from greenuni.wsgi.states import TRANSITIONS, State
from greenuni.wsgi.wakeup import Mailbox, Wakeup
from tests.wsgi.harness import new_call, no_descriptor_leaks

LOG = logging.getLogger("test.loop")


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with no_descriptor_leaks():
        yield


class Stepping(Handler):
    def __init__(self, step: Callable[[int], None]) -> None:
        self._step = step
        self.closed = 0

    def on_event(self, mask: int) -> None:
        self._step(mask)

    def close(self) -> None:
        self.closed += 1


def nothing() -> None:
    pass


def fail(error: Exception) -> None:
    raise error


def new_loop(on_interrupt: Callable[[], None] = nothing) -> Loop:
    return Loop(LOG, 1.0, on_tick=nothing, on_interrupt=on_interrupt, after_turn=nothing)


# Pollers


@pytest.mark.parametrize("make", [new_poller, SelectorPoller])
def test_a_poller_is_level_triggered(make: Callable[[], SelectorPoller]) -> None:
    poller = make()
    reader, writer = os.pipe()
    poller.register(reader, READ)
    poller.register(writer, WRITE)
    assert poller.poll(1) == [(writer, WRITE)]
    os.write(writer, b"x")
    poller.unregister(writer)
    assert poller.poll(1) == [(reader, READ)]
    assert poller.poll(1) == [(reader, READ)]
    poller.modify(reader, READ | WRITE)
    assert poller.poll(1)
    os.read(reader, 1)
    poller.modify(reader, READ)
    assert poller.poll(0) == []
    poller.close()
    os.close(reader)
    os.close(writer)


def test_waiting_for_a_reader() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    assert wait_writable(writer, 0.001)
    os.write(writer, b"x" * 1_000_000)  # as much as there is room for
    assert not wait_writable(writer, 0.001)
    os.close(reader)
    assert wait_writable(writer, 0.001)  # to find out that nobody reads
    os.close(writer)


# The loop


def test_soon_is_after_what_is_ready_and_in_order() -> None:
    seen: list[str] = []
    loop = new_loop()
    wakeup = Wakeup(lambda: seen.append("ready"))
    loop.handlers[wakeup.read_fd] = wakeup
    loop.poller.register(wakeup.read_fd, READ)
    loop.soon(Stepping(lambda mask: seen.append(f"first {mask}")))
    loop.soon(Stepping(lambda mask: (seen.append("second"), loop.stop())))  # type: ignore[arg-type, return-value]
    wakeup.wake()
    loop.run()
    assert seen == ["ready", "first 0", "second"]
    loop.close()
    wakeup.close()


def test_faults_close_the_handler_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    loop = new_loop()
    gone = Stepping(lambda mask: fail(ConnectionResetError()))
    faulty = Stepping(lambda mask: fail(ValueError("a bug")))
    loop.soon(gone)
    loop.soon(faulty)
    loop.soon(Stepping(lambda mask: loop.stop()))
    loop.run()
    assert (gone.closed, faulty.closed) == (1, 1)
    (record,) = caplog.records
    assert "Fault in the server" in record.getMessage()
    loop.close()


def test_the_clock_stands_still_while_a_turn_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    time = 100.0
    monkeypatch.setattr(loop_module.time, "monotonic", lambda: time)
    seen: list[float] = []

    def step(mask: int) -> None:
        nonlocal time
        seen.append(loop.now)
        time += durations.pop()
        if durations:
            loop.soon(handler)
        else:
            loop.stop()

    durations = [0.0, 60.0, 0.1]
    loop = new_loop()
    handler = Stepping(step)
    loop.soon(handler)
    loop.run()
    assert seen == pytest.approx([100.0, 100.1, 100.1])
    loop.close()


# Wake-ups and the mailbox


def test_many_things_and_one_wake_up() -> None:
    woken: list[int] = []
    wakeup = Wakeup(lambda: woken.append(1))
    mailbox: Mailbox[int] = Mailbox(wakeup)
    threads = [threading.Thread(target=mailbox.put, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(os.read(wakeup.read_fd, 100)) == 1
    wakeup.on_event(READ)
    assert sorted(mailbox.take_all()) == list(range(20))
    assert mailbox.put(20)
    assert os.read(wakeup.read_fd, 100)
    assert mailbox.close() == [20]
    assert not mailbox.put(21)
    wakeup.close()
    wakeup.close()
    wakeup.wake()
    assert woken == [1]


def test_a_full_pipe_is_no_error() -> None:
    wakeup = Wakeup(nothing)
    for _ in range(70_000):
        wakeup.wake()
    wakeup.close()


# Runners


class Running(Job):
    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self.call = new_call()
        self.events: list[str] = []

    def run(self) -> None:
        self.events.append(threading.current_thread().name)
        self._run()

    def resume(self) -> None:
        self.events.append("resumed")

    def abandon(self) -> None:
        self.events.append("abandoned")


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_inline_runs_at_once_in_a_copy_of_the_context_and_with_a_pulse() -> None:
    token = variable.set("at the start")
    seat = fake_seat(nothing, Interface.WSGI, [])
    runner = InlineRunner(seat)
    variable.reset(token)
    seen: list[tuple[str, bool, int]] = []

    def run() -> None:
        seen.append((variable.get(), seat.pulse.in_app, runner.running))
        variable.set("changed")

    job = Running(run)
    for _ in range(2):
        runner.submit(job)
    assert seen == [("at the start", True, 1)] * 2
    assert job.events == ["MainThread", "resumed"] * 2
    assert not seat.pulse.in_app
    assert (runner.running, seat.slot.requests) == (0, 2)  # type: ignore[attr-defined]
    assert variable.get() == "unset"
    runner.stop()


def stop_quickly() -> None:
    raise QuickStop(0)


def test_a_quick_stop_ends_the_job_and_not_the_loop() -> None:
    seat = fake_seat(nothing, Interface.WSGI, [])
    job = Running(stop_quickly)
    InlineRunner(seat).submit(job)
    assert job.events == ["MainThread", "resumed"]
    assert not seat.pulse.in_app


# States


def test_every_state_has_its_transitions_and_every_one_ends() -> None:
    assert set(TRANSITIONS) == set(State)
    for state, following in TRANSITIONS.items():
        assert state is State.CLOSED or State.CLOSED in following
        assert state not in following
