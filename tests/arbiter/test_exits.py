"""Causes of death."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from greenuni.arbiter.exits import Exit, OomCounter, Sent, describe, find_oom_file

ABRT = Sent(signal.SIGABRT, "its loop had not turned for 6.0 s", 0.0)
KILL = Sent(signal.SIGKILL, "it had not ended 2.0 s after SIGTERM", 0.0)
TERM = Sent(signal.SIGTERM, "the server was told to stop", 0.0)


@pytest.mark.parametrize(
    ("exit", "sent", "text"),
    [
        (Exit(status=0), None, "ended with exit status 0"),
        (
            Exit(status=0),
            TERM,
            "ended with exit status 0 after SIGTERM, because the server was told",
        ),
        (Exit(number=9), None, "was ended by SIGKILL, which this server did not send"),
        (Exit(number=9), TERM, "was ended by SIGKILL, which this server did not send"),
        (Exit(number=9), KILL, "was ended by SIGKILL, sent because it had not ended 2.0 s after"),
        (Exit(number=9, out_of_memory=True), None, "was ended by SIGKILL: out of memory, says the"),
        (Exit(number=9, out_of_memory=True), KILL, "was ended by SIGKILL, sent because it had not"),
        (Exit(number=11, core_dumped=True), None, r"was ended by SIGSEGV \(core dumped\)"),
        (Exit(number=15), TERM, "was ended by SIGTERM, sent because the server was told to stop"),
        (Exit(number=40), None, "was ended by signal 40"),
        (Exit(status=134), None, "was ended by SIGABRT, which this server did not send"),
        (Exit(status=134), TERM, "was ended by SIGABRT, which this server did not send"),
        (Exit(status=134), ABRT, "ended with exit status 134 after SIGABRT, because its loop had"),
        (Exit(), None, "has ended, and its exit status was taken by other code"),
    ],
)
def test_a_cause_is_told(exit: Exit, sent: Sent | None, text: str) -> None:
    assert re.match(text, describe(exit, sent))


@pytest.mark.parametrize(
    ("end", "exit"),
    [
        (lambda: os._exit(7), Exit(status=7)),
        (lambda: os._exit(0), Exit(status=0)),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), Exit(number=9)),
    ],
)
def test_wait_statuses_are_read(end: object, exit: Exit) -> None:
    pid = os.fork()
    if pid == 0:
        end()  # type: ignore[operator]
    assert Exit.from_wait_status(os.waitpid(pid, 0)[1]) == exit
    assert exit.is_clean == (exit.status == 0)


def test_the_counter_tells_each_kill_once(tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("low 0\noom 3\noom_kill 2\n")
    counter = OomCounter(str(file))
    assert not counter.take()
    file.write_text("low 0\noom 5\noom_kill 4\n")
    assert counter.take()
    assert counter.take()
    assert not counter.take()


def test_kills_that_concerned_nobody_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("oom_kill 0\n")
    counter = OomCounter(str(file))
    file.write_text("oom_kill 1\n")
    counter.forget()
    assert not counter.take()


@pytest.mark.parametrize("content", ["", "oom_kill x\n", "oom_kill_disable 0\n"])
def test_without_a_counter_nothing_is_out_of_memory(tmp_path: Path, content: str) -> None:
    file = tmp_path / "memory.events"
    file.write_text(content)
    counter = OomCounter(str(file))
    file.unlink()
    assert not counter.take()
    assert not OomCounter(None).take()


@pytest.mark.parametrize(
    ("membership", "there"),
    [
        ("0::/system.slice/site.service\n", "system.slice/site.service/memory.events"),
        ("0::/../../site\n0::/\n", "memory.events"),  # a container with a namespace of its own
        ("4:memory:/docker/abc\n0::/\n", "memory/docker/abc/memory.oom_control"),
        ("4:cpu,memory:/docker/abc\n", "memory/memory.oom_control"),
        ("0::/user\n", "unified/user/memory.events"),
    ],
)
def test_the_counter_is_found(tmp_path: Path, membership: str, there: str) -> None:
    proc = tmp_path / "cgroup"
    proc.write_text(membership)
    mounted = tmp_path / "sys"
    file = mounted / there
    file.parent.mkdir(parents=True)
    file.write_text("oom_kill 0\n")
    assert find_oom_file(str(proc), str(mounted)) == str(file)


def test_a_machine_without_cgroups_has_none(tmp_path: Path) -> None:
    assert find_oom_file(str(tmp_path / "missing"), str(tmp_path)) is None
    (tmp_path / "cgroup").write_text("0::/\n")
    assert find_oom_file(str(tmp_path / "cgroup"), str(tmp_path)) is None
