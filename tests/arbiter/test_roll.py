"""Decisions about generations: HUP, --reload, retirement."""

from __future__ import annotations

import signal

import pytest

from greenuni.arbiter.events import ConfigRefused, ReloadConfig, ReopenLogs, Settle, Spawn
from greenuni.arbiter.messages import Changed, Retiring
from greenuni.arbiter.table import Stage
from tests.arbiter.world import World, only

# HUP


def test_hup_reads_the_configuration_and_reopens_the_logs() -> None:
    world = World()
    world.signal(signal.SIGHUP)
    assert only(ReopenLogs, world.commands)
    assert only(ReloadConfig, world.commands) == [ReloadConfig(1)]
    assert world.spawned == []


def test_a_configuration_that_is_refused_changes_nothing() -> None:
    world = World(2)
    world.signal(signal.SIGHUP)
    world.feed(ConfigRefused("The configuration cannot be used: typo"))
    assert "typo" in world.text
    assert world.spawned == world.sent == []


@pytest.mark.parametrize("reason", ["A typo.", "A typo", "A typo: did you mean 'a type'?"])
def test_the_reason_keeps_its_own_full_stop(reason: str) -> None:
    world = World(1)
    world.signal(signal.SIGHUP)
    world.feed(ConfigRefused(reason))
    end = "" if reason[-1] in ".?" else "."
    assert f"{reason}{end} The old configuration" in world.text


def test_a_roll_replaces_one_worker_at_a_time_each_after_its_successor_is_ready() -> None:
    world = World(3)
    world.hup()
    for old, new in ((1, 4), (2, 5), (3, 6)):
        assert world.spawned == [Spawn(new, old - 1, 1)]
        assert len(world.workers(Stage.READY)) == 3
        world.ready(new)
        assert (old, signal.SIGTERM) in world.sent
    assert only(Settle, world.commands) == [Settle(1)]
    assert "Reloaded: the new generation serves in 3 workers" in world.text


def test_the_first_success_of_a_generation_is_announced() -> None:
    world = World(2)
    world.hup()
    world.ready(3)
    assert "Serving app:app" in world.text
    world.ready(4)
    assert "Serving" not in world.text


def test_a_new_generation_that_cannot_boot_is_given_up() -> None:
    world = World(2)
    world.hup()
    world.fail(3, "syntax error")
    assert "syntax error" in world.text
    assert world.text.count("Traceback of the user") == 1
    assert "given up; what was loaded before goes on in 2 workers" in world.text
    assert world.sent == world.spawned == []
    assert only(Settle, world.commands) == [Settle(0)]
    world.die(3, status=3)
    assert world.spawned == []
    assert world.serials(Stage.READY) == [1, 2]


def test_a_new_generation_that_dies_while_it_boots_is_given_up() -> None:
    world = World(1)
    world.hup()
    world.die(2, number=signal.SIGSEGV)
    assert "given up" in world.text
    assert world.spawned == []


def test_after_a_reload_is_given_up_the_dead_are_replaced_by_the_old_generation() -> None:
    world = World(2)
    world.hup()
    world.fail(3)
    world.die(3, status=3)
    world.wait(2)
    world.die(1, number=9)
    assert world.spawned == [Spawn(4, 0, 0)]


def test_a_second_hup_works_after_one_was_given_up() -> None:
    world = World(1)
    world.hup()
    world.fail(2)
    world.die(2, status=3)
    world.hup()
    assert world.spawned == [Spawn(3, 0, 2)]
    world.ready(3)
    assert world.sent == [(1, signal.SIGTERM)]


def test_surge_is_how_many_successors_boot_at_a_time() -> None:
    world = World(4, surge=2)
    world.hup()
    assert world.spawned == [Spawn(5, 0, 1), Spawn(6, 1, 1)]
    world.ready(6)
    assert world.sent == [(2, signal.SIGTERM)]
    assert world.spawned == [Spawn(7, 2, 1)]
    world.ready(5)
    assert world.spawned == [Spawn(8, 3, 1)]
    world.ready(7)
    world.ready(8)
    assert only(Settle, world.commands) == [Settle(1)]


def test_surge_is_that_of_the_new_configuration() -> None:
    world = World(3)
    world.hup(surge=8)
    assert [spawn.number for spawn in world.spawned] == [0, 1, 2]


def test_surge_is_not_for_those_who_retire() -> None:
    world = World(3, surge=3)
    for serial in (1, 2, 3):
        world.say(serial, Retiring("max-requests"))
    assert world.serials(Stage.BOOTING) == [4]


def test_a_boot_failure_of_a_new_generation_is_tried_again_as_often_as_it_may() -> None:
    world = World(1, boot_retries=2)
    world.hup()
    for serial, delay in ((2, 0), (3, 0.5)):
        world.fail(serial, "no database")
        assert "given up" not in world.text
        world.die(serial, status=3)
        if delay:
            assert world.spawned == []
            assert world.deadline == world.now + delay
            world.wait(delay)
        assert world.spawned == [Spawn(serial + 1, 0, 1)]
    world.fail(4, "no database")
    assert (
        "The reload is given up; what was loaded before goes on in 1 worker. "
        "The reason after 3 attempts: no database"
    ) in world.text
    assert world.spawned == []
    world.die(4, status=3)
    assert world.text.startswith("Worker 0 (pid 104) ended with exit status 3")
    assert "keeps ending" not in world.text  # the place is held by the old one
    world.wait(60)
    assert world.spawned == []


def test_one_success_ends_the_counting_of_boot_failures() -> None:
    world = World(2, boot_retries=1)
    world.hup()
    world.fail(3)
    world.die(3, status=3)
    world.ready(4)
    for serial in (5, 6):
        world.wait(30)
        world.fail(serial)
        world.die(serial, status=3)
        assert "given up" not in world.text


def test_each_hup_has_its_own_retries() -> None:
    world = World(1, boot_retries=1)
    for first in (2, 4):
        world.hup()
        world.fail(first)
        assert "given up" not in world.text
        world.die(first, status=3)
        world.fail(first + 1)
        assert "The reason after 2 attempts" in world.text
        world.die(first + 1, status=3)


def test_a_new_generation_that_does_not_boot_in_time_is_given_up() -> None:
    world = World(1, boot_timeout=20, timeout=0)
    world.hup()
    world.wait(20)
    assert world.sent == [(2, signal.SIGABRT)]
    assert "The reload is given up" in world.text
    assert "The reason: Worker 0 (pid 102) was not ready within boot_timeout, 20 s" in world.text
    world.die(2, status=134)
    assert world.spawned == []
    assert world.serials() == [1]


def test_hup_during_a_roll_starts_it_again_with_a_newer_generation() -> None:
    world = World(2)
    world.hup()
    world.ready(3)
    assert world.spawned == [Spawn(4, 1, 1)]
    world.hup()
    assert world.sent == [(4, signal.SIGTERM)]
    assert world.spawned == [Spawn(5, 0, 2)]
    world.ready(5)
    assert world.sent == [(3, signal.SIGTERM)]
    assert world.spawned == [Spawn(6, 1, 2)]
    world.ready(6)
    assert world.sent == [(2, signal.SIGTERM)]
    assert only(Settle, world.commands) == [Settle(2)]


def test_a_late_ready_of_a_worker_that_was_told_to_end_counts_for_nothing() -> None:
    world = World(1)
    world.hup()
    world.hup()
    assert world.ready(2) == []
    assert world.serials(Stage.READY) == [1]


def test_hup_while_the_first_generation_boots_starts_over() -> None:
    world = World(2, ready=False)
    world.hup()
    assert world.sent == [(1, signal.SIGTERM), (2, signal.SIGTERM)]
    assert world.spawned == [Spawn(3, 0, 1), Spawn(4, 1, 1)]
    world.die(1, number=signal.SIGTERM)
    assert world.finished == []
    world.fail(3)
    world.die(2, number=signal.SIGTERM)
    world.die(3, status=3)
    world.die(4, number=signal.SIGTERM)
    assert world.finished == [3]


def test_hup_lets_a_place_be_filled_by_what_is_known_to_work() -> None:
    world = World(2, ready=False)
    world.ready(1)
    world.hup()
    assert world.sent == []
    assert world.spawned == [Spawn(3, 0, 1)]
    world.fail(3)
    world.die(3, status=3)
    world.ready(2)
    assert world.serials(Stage.READY) == [1, 2]


def test_hup_ends_a_successor_that_boots_for_a_retiring_worker() -> None:
    world = World(1)
    world.say(1, Retiring("max-requests"))
    world.hup()
    assert world.sent == [(2, signal.SIGTERM)]
    assert world.spawned == [Spawn(3, 0, 1)]


def test_an_old_worker_that_dies_during_a_roll_is_replaced_by_the_new_generation() -> None:
    world = World(2)
    world.wait(20)
    world.hup()
    world.die(2, number=9)
    assert world.spawned == [Spawn(4, 1, 1)]


def test_a_boot_failure_in_a_proven_generation_is_tried_again() -> None:
    world = World(2)
    world.hup()
    world.ready(3)
    world.fail(4)
    assert "given up" not in world.text
    world.die(4, status=3)
    assert world.spawned == [Spawn(5, 1, 1)]
    world.fail(5)
    world.die(5, status=3)
    assert world.spawned == []
    world.wait(0.5)
    assert world.spawned == [Spawn(6, 1, 1)]


def test_hup_with_more_workers_adds_places_once_the_generation_is_proven() -> None:
    world = World(1)
    world.hup(workers=3)
    assert world.spawned == [Spawn(2, 0, 1)]
    world.ready(2)
    assert [spawn.number for spawn in world.spawned] == [1, 2]
    world.all_ready()
    assert only(Settle, world.commands) == [Settle(1)]


def test_hup_with_fewer_workers_ends_the_highest_places() -> None:
    world = World(3)
    world.hup(workers=1)
    world.ready(4)
    assert sorted(world.sent) == [(s, signal.SIGTERM) for s in (1, 2, 3)]
    assert world.spawned == []


def test_the_timeouts_of_the_new_configuration_are_for_the_new_workers() -> None:
    world = World(1, timeout=5, graceful_timeout=10)
    world.hup(timeout=50, graceful_timeout=1)
    world.ready(2)
    old, new = world.workers()
    assert old.deadline == world.now + 12
    assert new.plan.timeout == 50


def test_hup_says_that_preloaded_code_stays() -> None:
    world = World(1, preload=True)
    world.hup()
    assert "the application is not loaded again" in world.text
    assert world.spawned


def test_term_during_a_roll_ends_everybody() -> None:
    world = World(2)
    world.hup()
    world.signal(signal.SIGTERM)
    assert sorted(world.sent) == [(s, signal.SIGTERM) for s in (1, 2, 3)]
    for serial in (1, 2, 3):
        world.die(serial)
    assert world.finished == [0]


# Retirement


def test_a_retiring_worker_serves_until_its_successor_is_ready() -> None:
    world = World(2)
    world.say(1, Retiring("max-requests"))
    assert "asks to be replaced: max-requests" in world.text
    assert world.spawned == [Spawn(3, 0, 0)]
    assert world.sent == []
    world.ready(3)
    assert world.sent == [(1, signal.SIGTERM)]


def test_one_worker_is_recycled_at_a_time() -> None:
    world = World(3)
    for serial in (1, 2, 3):
        world.say(serial, Retiring("max-requests"))
    assert world.serials(Stage.BOOTING) == [4]
    world.ready(4)
    assert world.spawned == [Spawn(5, 1, 0)]


def test_a_retiring_worker_asks_once() -> None:
    world = World(1)
    world.say(1, Retiring("max-requests"))
    assert world.say(1, Retiring("max-requests")) == []


def test_a_successor_that_cannot_boot_is_tried_again_while_the_old_one_serves() -> None:
    world = World(1)
    world.say(1, Retiring("max-requests"))
    world.fail(2)
    assert world.spawned == []
    world.die(2, status=3)
    assert world.spawned == [Spawn(3, 0, 0)]
    world.fail(3)
    world.die(3, status=3)
    assert world.spawned == []
    assert world.serials(Stage.RETIRING) == [1]
    world.wait(0.5)
    assert world.spawned == [Spawn(4, 0, 0)]


def test_a_retiring_worker_that_dies_is_replaced_by_its_successor_alone() -> None:
    world = World(1)
    world.say(1, Retiring("max-requests"))
    world.die(1, number=9)
    assert world.spawned == []
    world.ready(2)
    assert world.serials() == [2]


# --reload


def test_a_changed_file_rolls_and_is_named() -> None:
    world = World(1, reload=True)
    world.say(1, Changed("/srv/app.py"))
    assert "/srv/app.py has changed; reloading" in world.text
    assert only(ReloadConfig, world.commands) == [ReloadConfig(1)]


def test_the_same_save_seen_by_every_worker_rolls_once() -> None:
    world = World(2, reload=True)
    world.say(1, Changed("/srv/app.py"))
    world.configured(1)
    assert world.say(2, Changed("/srv/app.py")) == []
    assert world.serials(Stage.BOOTING) == [3]


def test_a_save_while_the_new_code_boots_starts_again() -> None:
    world = World(1, reload=True)
    world.say(1, Changed("/srv/app.py"))
    world.configured(1)
    world.say(2, Changed("/srv/app.py"))
    assert only(ReloadConfig, world.commands) == [ReloadConfig(2)]


def test_a_first_generation_that_cannot_boot_waits_for_the_next_save() -> None:
    world = World(2, ready=False, reload=True)
    world.fail(1)
    assert "Traceback of the user" in world.text
    assert "Waiting for a file to change" in world.text
    world.fail(2)
    assert world.text == ""
    assert world.finished == world.sent == world.spawned == []
    world.say(1, Changed("/srv/app.py"))
    world.configured(1)
    assert world.sent == [(1, signal.SIGTERM), (2, signal.SIGTERM)]
    assert world.spawned == [Spawn(3, 0, 1), Spawn(4, 1, 1)]
    world.all_ready()
    assert world.serials(Stage.READY) == [3, 4]


def test_new_code_that_cannot_boot_leaves_the_old_serving_and_waits_for_a_save() -> None:
    world = World(1, reload=True)
    world.say(1, Changed("/srv/app.py"))
    world.configured(1)
    world.fail(2)
    assert "goes on in 1 worker" in world.text
    assert world.serials(Stage.BROKEN) == [2]
    assert world.say(1, Changed("/srv/app.py")) == []  # the broken one has seen it, too
    world.say(2, Changed("/srv/app.py"))
    world.configured(2)
    assert world.sent == [(2, signal.SIGTERM)]
    assert world.spawned == [Spawn(3, 0, 2)]
    world.ready(3)
    assert (1, signal.SIGTERM) in world.sent


def test_a_successor_that_is_broken_is_not_started_again_and_again() -> None:
    world = World(1, reload=True)
    world.say(1, Retiring("max-requests"))
    world.fail(2)
    assert world.spawned == []
    assert world.wait(100) == []


def test_a_first_boot_that_dies_is_tried_again_with_back_off() -> None:
    world = World(1, ready=False, reload=True)
    world.die(1, number=signal.SIGSEGV)
    assert world.spawned == [Spawn(2, 0, 0)]
    world.die(2, number=signal.SIGSEGV)
    assert world.spawned == world.finished == []
    world.wait(0.5)
    assert world.spawned == [Spawn(3, 0, 0)]
