"""The loop among the threads that run the application: who leads, who stands by, who runs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.poller import READ
from greenuni.shell import Interface
from greenuni.testing import fake_seat
from greenuni.wsgi.job import Job
from greenuni.wsgi.loop import Handler, Loop
from greenuni.wsgi.threads import QUICK, ThreadRunner
from greenuni.wsgi.wakeup import Mailbox, Wakeup
from tests.support.server import wait_until
from tests.wsgi.harness import new_call, no_descriptor_leaks, request, serving

LOG = logging.getLogger("test.threads")
StartResponse = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = pool_threads()  # others' threads, which may wait for more work
    with no_descriptor_leaks():
        yield
    wait_until(lambda: pool_threads() <= before, "the threads end")


def pool_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("greenuni-")}


def nothing() -> None:
    pass


class Running(Job):
    """A job that notes the threads in which its steps are made."""

    def __init__(self, run: Callable[[], None] = nothing) -> None:
        self._run = run
        self.call = new_call()
        self.ran_in = self.resumed_in = ""
        self.is_abandoned = False

    def run(self) -> None:
        self.ran_in = threading.current_thread().name
        self._run()

    def resume(self) -> None:
        self.resumed_in = threading.current_thread().name

    def abandon(self) -> None:
        self.is_abandoned = True


class Waiting(Running):
    """A job that is kept until it is let go."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.has_begun, self._go = threading.Event(), threading.Event()

    def _wait(self) -> None:
        self.has_begun.set()
        assert self._go.wait(10)

    def let_go(self) -> None:
        self._go.set()


class Submitting(Handler):
    def __init__(self, runner: ThreadRunner, job: Job) -> None:
        self._runner = runner
        self._job = job

    def on_event(self, mask: int) -> None:
        self._runner.submit(self._job)

    def close(self) -> None: ...


class Pool:
    """A runner with its loop, running in a thread of the test."""

    def __init__(self, count: int, after_turn: Callable[[], None] = nothing) -> None:
        self.loop = Loop(LOG, 10.0, nothing, nothing, after_turn)
        self.wakeup = Wakeup(self._on_wake)
        self.loop.handlers[self.wakeup.read_fd] = self.wakeup
        self.loop.poller.register(self.wakeup.read_fd, READ)
        self.returns: Mailbox[Job] = Mailbox(self.wakeup)
        seat = fake_seat(nothing, Interface.WSGI, [], threads=count)
        self.runner = ThreadRunner(seat, self.loop, self.returns)
        self.failures: list[BaseException] = []
        self._orders: deque[Callable[[], None]] = deque()
        self._main = threading.Thread(target=self._run)
        self._main.start()

    def _run(self) -> None:
        try:
            self.runner.run(self.wakeup)
        except RuntimeError as error:
            self.failures.append(error)

    def _on_wake(self) -> None:
        for job in self.returns.take_all():
            self.runner.taken_back(job)
        while self._orders:
            self._orders.popleft()()

    def order(self, step: Callable[[], None]) -> None:
        """Have the leader take a step."""
        self._orders.append(step)
        self.wakeup.wake()

    def submit(self, job: Job) -> None:
        self.order(lambda: self.loop.soon(Submitting(self.runner, job)))

    def stop(self) -> list[Job]:
        self.order(self.loop.stop)
        self._main.join(10)
        assert not self._main.is_alive()
        self.runner.stop()
        left = self.returns.close()
        self.loop.close()
        self.wakeup.close()
        return left


@contextlib.contextmanager
def pool(count: int) -> Iterator[Pool]:
    running = Pool(count)
    try:
        yield running
    finally:
        running.stop()


def test_the_leader_makes_short_calls_itself() -> None:
    with pool(3) as running:
        jobs = [Running() for _ in range(100)]
        for job in jobs:
            running.submit(job)
        wait_until(lambda: jobs[-1].resumed_in, "all are back")
    assert all(job.ran_in == job.resumed_in for job in jobs)


def test_a_call_that_lasts_loses_the_loop() -> None:
    with pool(2) as running:
        long, short = Waiting(), Running()
        running.submit(long)
        assert long.has_begun.wait(10)
        running.submit(short)
        wait_until(lambda: short.resumed_in, "somebody else leads")
        assert short.resumed_in != long.ran_in
        assert running.runner.running == 1
        assert not long.resumed_in
        long.let_go()
        wait_until(lambda: long.resumed_in, "its job is finished by who leads now")
        assert long.resumed_in != long.ran_in
        assert running.runner.running == 0


def test_no_more_calls_at_once_than_threads() -> None:
    with pool(2) as running:
        jobs = [Waiting() for _ in range(4)]
        for job in jobs:
            running.submit(job)
        wait_until(lambda: jobs[1].has_begun.is_set(), "two run")
        turned = threading.Event()
        running.order(turned.set)
        assert turned.wait(10)
        assert running.runner.running == 4
        assert [job.has_begun.is_set() for job in jobs] == [True, True, False, False]
        for job in jobs:
            job.let_go()
        wait_until(lambda: all(job.resumed_in for job in jobs), "all are back")


def test_after_a_long_call_the_next_ones_are_left_to_others() -> None:
    with pool(2) as running:
        long = Waiting()
        running.submit(long)
        assert long.has_begun.wait(10)
        wait_until(lambda: running.runner._mean > QUICK, "the loop is taken over")
        other = Running()
        running.submit(other)
        wait_until(lambda: other.resumed_in, "it is back")
        assert other.ran_in != other.resumed_in
        long.let_go()


def test_calls_that_became_short_are_made_by_the_leader_again() -> None:
    with pool(2) as running:
        long = Waiting()
        running.submit(long)
        assert long.has_begun.wait(10)
        wait_until(lambda: running.runner._mean > QUICK, "the loop is taken over")
        long.let_go()
        jobs = [Running() for _ in range(100)]  # which took no time
        for job in jobs:
            running.submit(job)
        wait_until(lambda: all(job.resumed_in for job in jobs), "all are back")
        last = Running()
        running.submit(last)
        wait_until(lambda: last.resumed_in, "it is back")
        assert last.ran_in == last.resumed_in


def test_what_is_still_running_at_the_end_lets_go_of_itself() -> None:
    running = Pool(2)
    long = Waiting()
    running.submit(long)
    assert long.has_begun.wait(10)
    assert running.stop() == []
    long.let_go()
    wait_until(lambda: long.is_abandoned, "let go of where there is no loop")
    assert not long.resumed_in


def test_a_fault_of_a_job_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    with pool(2) as running:
        jobs = [Running(fail) for _ in range(5)]
        for job in jobs:
            running.submit(job)
        wait_until(lambda: all(job.resumed_in for job in jobs), "all are back")
    assert caplog.text.count("a bug") >= 5


def test_a_fault_of_the_loop_comes_out_in_the_main_thread() -> None:
    def fail() -> None:
        raise RuntimeError("a broken loop")

    running = Pool(2, after_turn=fail)
    wait_until(lambda: running.failures, "raised by run()")
    running.stop()
    assert str(running.failures[0]) == "a broken loop"


def switches() -> int:
    """How often threads of the pool went to sleep and were woken."""
    count = 0
    for thread in pool_threads():
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        count += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return count


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts by /proc")
def test_idle_threads_sleep() -> None:
    with pool(4) as running:
        job = Running()
        running.submit(job)
        wait_until(lambda: job.resumed_in, "a call was made")
        wait_until(lambda: not running.runner._has_deputy, "nobody stands by any more")
        before = switches()
        assert not threading.Event().wait(0.3)
        assert switches() - before < 5  # a deputy would have been woken 150 times


def test_an_application_sees_its_own_threads_and_no_more_at_once() -> None:
    lock, most, now = threading.Lock(), 0, 0
    local = threading.local()

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        local.count = getattr(local, "count", 0) + 1
        if environ["PATH_INFO"] == "/wait":
            gate.wait(10)
        with lock:
            now -= 1
        start_response("200 OK", [])
        return [str(environ["wsgi.multithread"]).encode()]

    gate = threading.Event()
    with serving(app, threads=3) as shell:
        clients = [shell.connect() for _ in range(8)]
        for client in clients:
            client.send(request("/wait"))
        wait_until(lambda: now == 3, "as many as there are threads")
        assert threading.main_thread() not in pool_threads()
        gate.set()
        assert {client.response().body for client in clients} == {b"True"}
    assert most == 3
