"""Decisions about signals, boot, death and stuck loops, one event at a time."""

from __future__ import annotations

import logging
import signal

import pytest

from greenuni.arbiter.events import (
    CloseListeners,
    Died,
    ForkFailed,
    KeepPlaces,
    Log,
    ReopenLogs,
    Spawn,
    Tick,
)
from greenuni.arbiter.exits import Exit
from greenuni.arbiter.messages import Booted, Failed, Retiring
from greenuni.arbiter.table import Stage
from tests.arbiter.world import World, only

# Start


def test_the_first_event_fills_every_place() -> None:
    world = World(3, ready=False)
    assert world.spawned == [Spawn(1, 0, 0), Spawn(2, 1, 0), Spawn(3, 2, 0)]


def test_what_is_served_is_said_once_a_generation() -> None:
    world = World(2, ready=False)
    world.ready(1)
    assert "Serving app:app" in world.text
    world.ready(2)
    assert "Serving" not in world.text


def test_booting_is_logged_with_the_pid() -> None:
    world = World(1, ready=False)
    world.say(1, Booted())
    assert "Booting worker with pid: 101" in world.text


# Signals that end


def test_term_drains_and_waits_two_seconds_longer_than_the_workers() -> None:
    world = World(2, graceful_timeout=30)
    world.signal(signal.SIGTERM)
    assert world.sent == [(1, signal.SIGTERM), (2, signal.SIGTERM)]
    assert only(CloseListeners, world.commands)
    world.wait(30)
    assert world.sent == []
    world.wait(2)
    assert world.sent == [(1, signal.SIGKILL), (2, signal.SIGKILL)]


def test_what_a_worker_ran_that_did_not_drain_is_named() -> None:
    world = World(graceful_timeout=3, timeout=0)
    world.signal(signal.SIGTERM)
    world.wait(5, request_line="GET /slow", since=world.now - 1)
    world.die(1, number=signal.SIGKILL)
    assert (
        "had not ended 5.0 s after SIGTERM, running GET /slow since 6.0 s; it lived" in world.text
    )


def test_the_server_ends_when_its_last_worker_has() -> None:
    world = World(2)
    world.signal(signal.SIGTERM)
    world.die(1)
    assert world.finished == []
    world.die(2)
    assert world.finished == [0]


def test_without_a_graceful_timeout_nobody_is_killed_for_draining() -> None:
    world = World(graceful_timeout=0, timeout=0)
    world.signal(signal.SIGTERM)
    assert world.deadline is None


def test_a_second_term_changes_nothing() -> None:
    world = World()
    world.signal(signal.SIGTERM)
    world.signal(signal.SIGTERM)
    assert world.sent == []
    assert "already stopping" in world.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_quits_and_kills_after_two_seconds(number: signal.Signals) -> None:
    world = World(2)
    world.signal(number)
    assert world.sent == [(1, signal.SIGQUIT), (2, signal.SIGQUIT)]
    assert world.deadline == world.now + 2
    world.wait(2)
    assert world.sent == [(1, signal.SIGKILL), (2, signal.SIGKILL)]
    world.die(1, number=9)
    world.die(2, number=9)
    assert world.finished == [0]


def test_a_second_quick_stop_kills_at_once() -> None:
    world = World()
    world.signal(signal.SIGINT)
    world.wait(1)
    world.signal(signal.SIGINT)
    assert world.sent == [(1, signal.SIGKILL)]
    world.die(1, number=signal.SIGKILL)
    assert "SIGKILL, sent because it was told so a second time" in world.text


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGQUIT])
def test_a_doubled_quick_stop_is_one(second: signal.Signals) -> None:
    world = World()
    world.signal(signal.SIGINT)
    deadline = world.deadline
    world.wait(0.9)
    world.signal(second)
    assert world.sent == []
    assert "already stopping at once" in world.text
    assert world.deadline == deadline


def test_a_quick_stop_overtakes_a_graceful_one() -> None:
    world = World(graceful_timeout=30)
    world.signal(signal.SIGTERM)
    world.signal(signal.SIGINT)
    assert world.sent == [(1, signal.SIGQUIT)]
    assert world.deadline == world.now + 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_boots_is_ended_by_term(number: signal.Signals) -> None:
    world = World(ready=False)
    world.signal(number)
    assert world.sent == [(1, signal.SIGTERM)]
    assert world.deadline == world.now + 2
    world.die(1, number=signal.SIGTERM)
    assert world.finished == [0]


def test_a_death_while_stopping_is_not_made_good() -> None:
    world = World(2)
    world.signal(signal.SIGTERM)
    world.die(1, number=9)
    assert world.spawned == []
    assert world.deadline is not None


def test_no_reload_and_no_new_places_while_stopping() -> None:
    world = World()
    world.signal(signal.SIGTERM)
    assert world.signal(signal.SIGHUP) == []
    assert world.signal(signal.SIGTTIN) == []


# Other signals


def test_ttin_and_ttou_change_the_number_of_workers() -> None:
    world = World(2)
    world.signal(signal.SIGTTIN)
    assert world.spawned == [Spawn(3, 2, 0)]
    world.all_ready()
    world.signal(signal.SIGTTOU)
    assert world.sent == [(3, signal.SIGTERM)]
    assert only(KeepPlaces, world.commands) == [KeepPlaces(2)]
    world.die(3)
    assert world.serials() == [1, 2]
    world.signal(signal.SIGTTIN)
    assert world.spawned == [Spawn(4, 2, 0)]


def test_the_last_worker_cannot_be_taken_away() -> None:
    world = World(1)
    world.signal(signal.SIGTTOU)
    assert world.sent == []
    assert "wanted now: 1 worker" in world.text


def test_usr1_reopens_the_logs_of_everybody() -> None:
    world = World(2)
    world.signal(signal.SIGTTIN)
    world.signal(signal.SIGUSR1)
    assert only(ReopenLogs, world.commands)
    assert world.sent == [(serial, signal.SIGUSR1) for serial in (1, 2, 3)]


@pytest.mark.parametrize(
    ("number", "instead"), [(signal.SIGUSR2, "--reuse-port"), (signal.SIGWINCH, "TTOU")]
)
def test_signals_that_are_not_supported_say_what_to_use(
    number: signal.Signals, instead: str
) -> None:
    world = World()
    world.signal(number)
    assert instead in world.text
    assert world.sent == []


# Boot failures


def test_a_first_generation_that_cannot_boot_ends_the_server_with_its_status() -> None:
    world = World(4, ready=False)
    world.fail(2, "no module named site", status=3)
    assert world.text.count("Traceback of the user") == 1
    assert world.sent == [(s, signal.SIGTERM) for s in (1, 2, 3, 4)]
    for serial in (1, 3, 4):
        world.fail(serial, "no module named site")
        assert world.text == ""
        world.die(serial, status=3)
    world.die(2, status=3)
    assert world.finished == [3]


def test_after_the_first_generations_failure_nothing_is_said() -> None:
    world = World(4, ready=False)
    world.fail(1)
    assert "Stopping: the first generation of workers cannot boot" in world.text
    later = world.say(2, Booted())
    later += world.die(1, status=3)
    later += world.die(2, number=signal.SIGTERM)
    later += world.die(3, status=0)
    later += world.wait(2)
    later += world.die(4, number=signal.SIGKILL)
    assert world.finished == [3]
    assert {line.level for line in only(Log, later)} == {logging.DEBUG}


def test_a_setting_that_does_not_apply_ends_with_status_2() -> None:
    world = World(ready=False)
    world.fail(1, "--threads is for WSGI", status=2)
    world.die(1, status=2)
    assert world.finished == [2]


def test_a_name_of_the_users_stays_as_it_is_written() -> None:
    world = World(ready=False)
    world.fail(1, "create_app in 'fac:create_app' raised KeyError")
    assert world.text.startswith("create_app in 'fac:create_app' raised KeyError")


@pytest.mark.parametrize("exit", [Exit(status=5), Exit(number=signal.SIGSEGV)])
def test_a_first_worker_that_ends_without_a_word_is_a_boot_failure(exit: Exit) -> None:
    world = World(2, ready=False)
    world.feed(Died(1, exit, 0))
    assert "Worker 0 (pid 101)" in world.text
    assert "while it booted" in world.text
    world.die(2, number=signal.SIGTERM)
    assert world.finished == [3]


def test_a_boot_failure_after_the_first_success_is_a_crash() -> None:
    world = World(2, ready=False)
    world.ready(1)
    world.fail(2)
    assert world.sent == []
    world.die(2, status=3)
    assert world.spawned == [Spawn(3, 1, 0)]


def test_a_fork_that_fails_is_tried_again_while_others_serve() -> None:
    world = World(1)
    world.signal(signal.SIGTTIN)
    (spawn,) = world.spawned
    world.feed(ForkFailed(spawn.serial, "no memory"))
    assert "Worker 1 cannot be forked: no memory" in world.text


# Death


@pytest.mark.parametrize("served", [1.0, 5.0, 60.0])
def test_a_dead_worker_is_replaced_at_once(served: float) -> None:
    world = World(2)
    world.wait(served)
    world.die(1, number=signal.SIGKILL)
    assert world.spawned == [Spawn(3, 0, 0)]
    assert "was ended by SIGKILL, which this server did not send" in world.text
    assert "answered 7 requests" in world.text


def test_a_crash_loop_backs_off_up_to_thirty_seconds() -> None:
    world = World(2)
    delays = []
    serial = 1
    for _ in range(9):
        died_at = world.now
        world.die(serial, status=1)
        while not world.spawned:
            assert world.deadline is not None
            world.wait(world.deadline - world.now)
        delays.append(world.now - died_at)
        serial = world.spawned[0].serial
        world.ready(serial)
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert len(world.workers(Stage.READY)) == 2  # the other one was never touched


def test_a_crash_loop_is_told() -> None:
    world = World()
    world.die(1, status=1)
    world.die(2, status=1)
    assert "keeps ending; the next attempt is in 0.5 s" in world.text


def test_a_worker_that_has_served_for_ten_seconds_ends_the_crash_loop() -> None:
    world = World(timeout=0)
    for serial in (1, 2):
        world.die(serial, status=1)
    world.wait(0.5)
    world.all_ready()
    world.wait(10)
    world.die(3, status=1)
    assert world.spawned
    world.die(4, status=1)
    assert world.spawned == [Spawn(5, 0, 0)]


def test_one_place_in_a_crash_loop_does_not_hold_up_another() -> None:
    world = World(2)
    for serial in (1, 3):
        world.die(serial, status=1)
    assert world.spawned == []
    world.wait(0.1)
    world.die(2, number=9)
    assert [spawn.number for spawn in world.spawned] == [1]


def test_a_failure_while_serving_is_told_with_its_traceback() -> None:
    world = World()
    world.fail(1, "the worker ended with KeyError")
    assert "Worker 0 (pid 101): the worker ended with KeyError" in world.text
    assert "Traceback of the user" in world.text
    world.die(1, status=3)
    assert world.spawned == [Spawn(2, 0, 0)]


def test_a_worker_that_does_not_end_after_its_failure_is_killed() -> None:
    world = World(2, ready=False)
    world.ready(1)
    world.fail(2)
    world.wait(5)
    assert world.sent == [(2, signal.SIGKILL)]


def test_a_crash_loop_tells_a_repeated_failure_without_its_traceback() -> None:
    world = World(2, ready=False)
    world.ready(1)
    world.fail(2)
    world.die(2, status=3)
    world.fail(3)
    assert "cannot boot, as before: no module" in world.text
    assert "Traceback" not in world.text


# Stuck loops


def test_a_stuck_worker_is_dumped_replaced_and_killed() -> None:
    world = World(timeout=5)
    world.wait(6, beating=False, request_line="GET /x", since=world.now)
    assert world.sent == [(1, signal.SIGABRT)]
    assert "Worker 0 (pid 101) has not turned its loop for 6.0 s, running GET /x since 6.0 s" in (
        world.text
    )
    assert world.spawned == [Spawn(2, 0, 0)]
    world.wait(1)
    assert world.sent == [(1, signal.SIGKILL)]
    world.die(1, number=signal.SIGKILL)
    assert "SIGKILL, sent because it had not ended 1.0 s after SIGABRT" in world.text
    assert world.spawned == []


def test_a_worker_that_beats_is_left_alone() -> None:
    world = World(timeout=5)
    for _ in range(4):
        assert world.deadline == world.now + 6
        world.wait(5.9)
        assert world.sent == []


def test_timeout_zero_never_looks() -> None:
    world = World(timeout=0)
    assert world.deadline is None
    world.wait(1000, beating=False)
    assert world.sent == []


def test_a_worker_that_drains_must_turn_its_loop() -> None:
    world = World(timeout=5, graceful_timeout=30)
    world.signal(signal.SIGTERM)
    world.wait(6, beating=False)
    assert world.sent == [(1, signal.SIGABRT)]


def test_a_late_tick_excuses_everybody() -> None:
    """After a suspension nobody can have beaten; the workers get a whole timeout again."""
    world = World(timeout=5)
    due = world.deadline
    world.now += 3600
    world.feed(Tick({}, due))
    assert world.sent == []
    assert world.deadline == world.now + 6


def test_an_aborted_worker_is_told_as_such() -> None:
    world = World(timeout=5)
    world.wait(6, beating=False)
    world.die(1, status=134)
    assert "after SIGABRT, because its loop had not turned for 6.0 s" in world.text


# Booting


def test_timeout_is_not_for_a_boot_which_has_no_limit() -> None:
    world = World(timeout=5, ready=False)
    world.wait(1000, beating=False)
    assert world.sent == []
    assert world.serials(Stage.BOOTING) == [1]


def test_a_boot_that_takes_long_is_told_every_thirty_seconds() -> None:
    world = World(2, ready=False, timeout=0)
    world.ready(1)
    for seconds in (30, 60, 90):
        assert world.deadline == world.now + 30
        world.wait(30)
        assert world.text.strip() == f"Worker 1 (pid 102) has been booting for {seconds} s"
    world.ready(2)
    world.wait(30)
    assert world.text == ""


def test_a_limit_for_boots_is_told_while_it_runs() -> None:
    world = World(ready=False, boot_timeout=90)
    world.wait(30)
    assert "has been booting for 30 s and has 90 s for it" in world.text


def test_a_first_boot_that_takes_too_long_is_dumped_and_ends_the_server() -> None:
    world = World(1, ready=False, boot_timeout=20)
    world.wait(19)
    assert world.sent == []
    world.wait(1)
    assert world.sent == [(1, signal.SIGABRT)]
    assert "Worker 0 (pid 101) was not ready within boot_timeout, 20 s" in world.text
    world.wait(1)
    assert world.sent == [(1, signal.SIGKILL)]
    world.die(1, number=signal.SIGKILL)
    assert world.finished == [3]


def test_a_later_boot_that_takes_too_long_backs_off_like_a_crash() -> None:
    world = World(1, boot_timeout=20, timeout=0)
    world.die(1, status=1)
    assert world.spawned == [Spawn(2, 0, 0)]
    world.wait(20)
    assert world.sent == [(2, signal.SIGABRT)]
    assert "the next attempt is in 0.5 s" in world.text
    assert world.spawned == []
    world.die(2, status=134)
    assert "after SIGABRT, because it was not ready within 20 s" in world.text
    world.wait(0.5)
    assert world.spawned == [Spawn(3, 0, 0)]


def test_a_boot_is_excused_for_the_time_that_the_machine_slept() -> None:
    world = World(ready=False, boot_timeout=20)
    due = world.deadline
    world.now += 3620
    world.feed(Tick({}, due))
    assert world.sent == []
    world.wait(20)
    assert world.sent == [(1, signal.SIGABRT)]


def test_who_has_been_told_to_end_while_booting_has_no_boot_timeout() -> None:
    world = World(ready=False, boot_timeout=1)
    world.signal(signal.SIGTERM)
    world.wait(1.5)
    assert world.sent == []


# The table


def test_messages_of_the_dead_are_of_no_interest() -> None:
    world = World()
    assert world.say(99, Retiring("max-requests")) == []


def test_an_illegal_step_is_an_error() -> None:
    world = World()
    (worker,) = world.workers()
    worker.become(Stage.KILLED)
    with pytest.raises(RuntimeError, match="cannot become ready"):
        worker.become(Stage.READY)


def test_log_lines_are_sentences_with_a_level() -> None:
    world = World()
    world.wait(2)
    world.die(1, number=9)
    (line,) = only(Log, world.commands)
    assert line.level == logging.ERROR
    assert line.text[0] == "W"


def test_a_failure_that_comes_while_stopping_says_nothing() -> None:
    world = World(ready=False)
    world.signal(signal.SIGTERM)
    world.say(1, Failed("late", "", 3))
    world.die(1, status=3)
    assert world.finished == [0]
