"""Decisions about several pools under one arbiter: what is common to them, and what is one's own."""

from __future__ import annotations

import signal

import pytest

from greenuni.arbiter.events import (
    CloseListeners,
    Configured,
    Forget,
    ForkFailed,
    ForkNobody,
    KeepPlaces,
    Log,
    ReloadConfig,
    ReopenLogs,
    Send,
    Settle,
    ShowPool,
    Spawn,
)
from greenuni.arbiter.messages import Booted, Changed, Retiring
from greenuni.arbiter.table import Plan, Stage
from tests.arbiter.world import World, only

TWO = ("site", "api")
ONE = Plan(workers=1)


def shown(world: World) -> list[ShowPool]:
    return only(ShowPool, world.commands)


# Start


def test_each_pool_has_its_places_and_no_serial_is_given_twice() -> None:
    world = World(2, ready=False, pools=TWO)
    assert world.spawned == [
        Spawn(1, 0, 0, "site"),
        Spawn(2, 1, 0, "site"),
        Spawn(3, 0, 0, "api"),
        Spawn(4, 1, 0, "api"),
    ]


def test_lines_of_the_log_begin_with_the_name_of_the_pool() -> None:
    world = World(ready=False, pools=TWO)
    world.say(2, Booted())
    assert world.text.startswith("[api] Booting worker with pid: 102")
    world.ready(2)
    assert "[api] Serving app:app" in world.text
    world.die(2, number=signal.SIGKILL)
    assert "[api] Worker 0 (pid 102) " in world.text


def test_every_pool_has_its_own_first_success() -> None:
    world = World(ready=False, pools=TWO)
    world.ready(1)
    assert only(Settle, world.commands) == [Settle(0, "site")]
    world.ready(2)
    assert only(Settle, world.commands) == [Settle(0, "api")]


def test_a_pool_that_cannot_boot_at_the_start_ends_the_server_with_its_status() -> None:
    world = World(2, ready=False, pools=TWO)
    world.ready(1)
    world.fail(3, "no module named api", status=3)
    assert "[api] no module named api" in world.text
    assert world.text.count("Stopping: the first generation of pool api cannot boot") == 1
    assert only(CloseListeners, world.commands)
    assert (1, signal.SIGQUIT) in world.sent
    assert world.spawned == []
    world.die(1)
    assert {log.level for log in only(Log, world.commands)} == {10}  # all has been said
    for serial in (2, 3):
        world.die(serial)
    assert world.finished == []
    world.die(4)
    assert world.finished == [3]


def test_the_second_pool_that_cannot_boot_changes_nothing() -> None:
    world = World(ready=False, pools=TWO)
    world.fail(1, "first", status=2)
    world.fail(2, "second", status=3)
    world.die(1, 2)
    world.die(2, 3)
    assert world.finished == [2]


def test_a_pool_that_cannot_be_forked_at_the_start_ends_the_server() -> None:
    world = World(ready=False, pools=TWO)
    world.feed(ForkFailed(2, "no memory"))
    assert "[api] Worker 0 cannot be forked: no memory" in world.text
    world.die(1)
    assert world.finished == [1]


# Signals


def test_term_drains_all_pools_and_is_told_once() -> None:
    world = World(2, pools=TWO)
    world.signal(signal.SIGTERM)
    assert [serial for serial, _ in world.sent] == [1, 2, 3, 4]
    assert {number for _, number in world.sent} == {signal.SIGTERM}
    assert len(only(CloseListeners, world.commands)) == 1
    assert world.text.count("Handling signal: SIGTERM") == 1
    for serial in (1, 2, 3):
        world.die(serial)
        assert world.finished == []
    world.die(4)
    assert world.finished == [0]


def test_a_second_int_kills_in_all_pools() -> None:
    world = World(pools=TWO)
    world.signal(signal.SIGINT)
    assert world.sent == [(1, signal.SIGQUIT), (2, signal.SIGQUIT)]
    world.wait(1)
    world.signal(signal.SIGINT)
    assert world.sent == [(1, signal.SIGKILL), (2, signal.SIGKILL)]


def test_usr1_reaches_every_worker() -> None:
    world = World(pools=TWO)
    world.signal(signal.SIGUSR1)
    assert len(only(ReopenLogs, world.commands)) == 1
    assert world.sent == [(1, signal.SIGUSR1), (2, signal.SIGUSR1)]


def test_ttin_and_ttou_change_every_pool() -> None:
    world = World(2, pools=TWO)
    world.signal(signal.SIGTTIN)
    assert "Handling signal: SIGTTIN; wanted now: 3 workers in site, 3 workers in api" in world.text
    assert [(spawn.number, spawn.pool) for spawn in world.spawned] == [(2, "site"), (2, "api")]
    world.all_ready()
    world.signal(signal.SIGTTOU)
    assert world.sent == [(5, signal.SIGTERM), (6, signal.SIGTERM)]
    assert only(KeepPlaces, world.commands) == [KeepPlaces(2), KeepPlaces(2)]


def test_they_change_the_one_that_is_named() -> None:
    world = World(pools=TWO, signal_pool="api")
    world.signal(signal.SIGTTIN)
    assert "wanted now: 2 workers in api\n" in world.text
    assert [spawn.pool for spawn in world.spawned] == ["api"]
    world.signal(signal.SIGTTOU)
    world.signal(signal.SIGTTOU)
    assert "wanted now: 1 worker in api\n" in world.text


def test_a_named_pool_that_does_not_run_is_told_of() -> None:
    world = World(pools=TWO)
    world.signal(signal.SIGHUP)
    world.feed(Configured(1, {"site": ONE, "new": ONE}, "new"))
    world.fail(world.of("new")[0])
    world.signal(signal.SIGTTIN)
    assert "wanted now: nothing, for pool new does not run" in world.text


# HUP


def test_hup_reads_once_and_rolls_every_pool_by_itself() -> None:
    world = World(2, pools=TWO)
    world.signal(signal.SIGHUP)
    assert only(ReloadConfig, world.commands) == [ReloadConfig(1)]
    world.feed(Configured(1, dict.fromkeys(TWO, world.plan)))
    assert world.spawned == [Spawn(5, 0, 1, "site"), Spawn(6, 0, 1, "api")]
    world.ready(6)
    assert world.sent == [(3, signal.SIGTERM)]
    assert world.spawned == [Spawn(7, 1, 1, "api")]
    world.ready(7)
    assert only(Settle, world.commands) == [Settle(1, "api")]
    assert "[api] Reloaded: the new generation serves in 2 workers" in world.text


def test_a_pool_that_cannot_boot_the_new_code_stays_as_it_was_alone() -> None:
    world = World(pools=TWO)
    world.reload(site=ONE, api=ONE)
    world.fail(4, "syntax error")
    assert "[api] The reload is given up; what was loaded before goes on in 1 worker" in world.text
    assert only(Settle, world.commands) == [Settle(0, "api")]
    world.die(4, 3)
    world.ready(3)
    assert only(Settle, world.commands) == [Settle(1, "site")]
    assert world.sent == [(1, signal.SIGTERM)]
    assert world.of("api") == [2]


def test_hup_changes_the_counts_of_each_pool() -> None:
    world = World(pools=TWO)
    world.reload(site=Plan(workers=3), api=ONE)
    world.all_ready()
    world.all_ready()
    assert len(world.of("site", Stage.READY, Stage.BOOTING)) == 3
    assert len(world.of("api", Stage.READY)) == 1


def test_a_new_pool_starts_beside_the_others() -> None:
    world = World(pools=("site",))
    world.reload(site=ONE, api=Plan(workers=2))
    assert world.spawned == [Spawn(2, 0, 1, "site"), Spawn(3, 0, 1, "api"), Spawn(4, 1, 1, "api")]
    world.all_ready()
    assert world.pools == ["site", "api"]
    assert only(Settle, world.commands) == [Settle(1, "api")]
    assert "Reloaded" not in world.text


def test_a_new_pool_that_cannot_boot_is_given_up_and_the_others_go_on() -> None:
    world = World(pools=("site",))
    world.reload(site=ONE, api=ONE)
    world.fail(3, "no module")
    assert "[api] no module" in world.text
    assert "[api] Given up until the next HUP: no worker of this pool could boot" in world.text
    assert only(Forget, world.commands) == [Forget("api")]
    assert shown(world) == [ShowPool("api", False)]
    assert not world.fleet.is_ending
    world.ready(2)
    world.die(3, 3)
    assert world.pools == ["site"]
    assert world.finished == []
    assert world.spawned == []
    world.reload(site=ONE, api=ONE)
    assert shown(world) == [ShowPool("api", True)]
    assert [spawn.pool for spawn in world.spawned] == ["site", "api"]


def test_a_pool_that_is_gone_leaves_when_the_others_have_rolled() -> None:
    world = World(2, pools=TWO)
    world.reload(site=Plan(workers=2))
    assert only(Forget, world.commands) == []
    world.ready(5)
    assert (3, signal.SIGTERM) not in world.sent
    world.ready(6)
    assert only(Forget, world.commands) == [Forget("api")]
    assert world.sent[-2:] == [(3, signal.SIGTERM), (4, signal.SIGTERM)]
    # Or its workers would leave their clients to a queue that nobody reads.
    assert world.commands.index(ShowPool("api", False)) < world.commands.index(
        Send(3, signal.SIGTERM)
    )
    world.die(3)
    assert "SIGTERM, because its pool is not configured any more" in world.text
    assert world.spawned == []
    world.die(4)
    assert world.pools == ["site"]
    assert world.finished == []


def test_a_pool_that_is_gone_stays_while_another_could_not_roll() -> None:
    world = World(pools=TWO)
    world.reload(site=ONE)
    world.fail(3, "syntax error")
    world.die(3, 3)
    assert world.of("api", Stage.READY) == [2]
    world.die(2)
    assert [spawn.pool for spawn in world.spawned] == ["api"]
    world.all_ready()
    world.reload(site=ONE)
    world.all_ready()
    assert only(Forget, world.commands) == [Forget("api")]


def test_a_pool_that_comes_back_after_it_has_left_is_up_again() -> None:
    world = World(pools=TWO)
    world.reload(site=ONE)
    world.all_ready()
    world.reload(site=ONE, api=ONE)
    assert shown(world) == [ShowPool("api", True)]


def test_a_pool_that_comes_back_before_it_has_left_is_the_same() -> None:
    world = World(pools=TWO)
    world.reload(site=ONE)
    world.reload(site=ONE, api=ONE)
    world.all_ready()
    assert world.pools == ["site", "api"]
    assert world.of("api", Stage.READY) != [2]


def test_a_pool_that_comes_back_while_it_drains_begins_anew() -> None:
    world = World(pools=TWO)
    world.reload(site=ONE)
    world.all_ready()
    assert world.of("api", Stage.STOPPING) == [2]
    world.reload(site=ONE, api=ONE)
    assert world.pools == ["site", "api", "api"]
    assert [spawn.pool for spawn in world.spawned] == ["site", "api"]
    world.die(2)
    assert world.pools == ["site", "api"]


def test_a_renamed_pool_takes_over_without_a_gap() -> None:
    world = World(pools=("old",))
    world.reload(new=ONE)
    assert world.sent == []
    world.ready(2)
    assert world.sent == [(1, signal.SIGTERM)]


def test_a_renamed_pool_that_cannot_boot_leaves_the_old_one_in_place() -> None:
    world = World(pools=("old",))
    world.reload(new=ONE)
    world.fail(2)
    world.die(2, 3)
    assert world.pools == ["old"]
    assert world.sent == []


def test_a_single_application_becomes_pools() -> None:
    world = World(pools=("",))
    world.reload(site=ONE, api=ONE)
    assert world.sent == []
    world.ready(2)
    world.ready(3)
    assert world.sent == [(1, signal.SIGTERM)]
    assert only(Forget, world.commands) == [Forget("")]


def test_a_broken_founder_that_leaves_does_not_end_the_server() -> None:
    world = World(ready=False, pools=TWO)
    world.ready(1)
    world.reload(site=ONE)
    world.fail(2)
    assert not world.fleet.is_ending
    assert "[api] Given up" in world.text


def test_nothing_is_started_once_the_server_ends() -> None:
    world = World(pools=TWO)
    world.signal(signal.SIGTERM)
    world.feed(Configured(1, {"site": ONE, "new": ONE}))
    assert world.spawned == []
    assert world.pools == ["site", "api"]


# One pool's trouble


def crash(world: World, pool: str) -> None:
    """The pool's only worker becomes ready and dies at once."""
    (serial,) = world.of(pool)
    world.ready(serial)
    world.die(serial, 1)


def test_a_crash_loop_is_its_pools_alone_and_the_others_are_told() -> None:
    world = World(pools=TWO)
    world.die(2, 1)
    assert shown(world) == []  # made good at once
    crash(world, "api")
    assert "[api] Worker 0 keeps ending; the next attempt is in 0.5 s" in world.text
    assert shown(world) == [ShowPool("api", False)]
    assert world.deadline == world.now + 0.5
    assert world.of("site", Stage.READY) == [1]
    world.wait(0.5)
    assert [spawn.pool for spawn in world.spawned] == ["api"]
    assert shown(world) == []  # not before it is ready
    world.ready(world.of("api")[0])
    assert shown(world) == [ShowPool("api", True)]


def test_a_pool_of_which_one_worker_serves_is_up() -> None:
    world = World(2, pools=TWO)
    for _ in range(3):
        serial = world.of("api")[-1]
        world.die(serial, 1)
        world.wait(30)
        world.all_ready()
    assert shown(world) == []


def test_a_pool_that_waits_for_a_save_is_down() -> None:
    world = World(pools=TWO, ready=False, reload=True)
    world.ready(1)
    world.fail(2)
    assert shown(world) == [ShowPool("api", False)]


def test_a_single_pool_is_shown_to_its_own_workers() -> None:
    world = World()
    for _ in range(2):
        world.die(world.serials()[0], 1)
        world.all_ready()
    assert shown(world) == [ShowPool("", False)]


def test_retirement_is_its_pools_alone() -> None:
    world = World(pools=TWO)
    world.say(2, Retiring("100 requests"))
    assert world.spawned == [Spawn(3, 0, 0, "api")]
    world.ready(3)
    assert world.sent == [(2, signal.SIGTERM)]


def test_each_pool_has_its_own_timeout() -> None:
    world = World(pools=TWO, timeout=0)
    world.reload(site=Plan(timeout=0), api=Plan(timeout=5))
    world.all_ready()
    world.wait(30, beating=False)
    assert world.sent == [(4, signal.SIGABRT)]


@pytest.mark.parametrize("second", [1, 2])
def test_a_save_that_workers_of_two_pools_see_is_one_reload(second: int) -> None:
    world = World(pools=TWO, reload=True)
    world.say(1, Changed("common.py"))
    assert only(ReloadConfig, world.commands) == [ReloadConfig(1)]
    world.feed(Configured(1, dict.fromkeys(TWO, world.plan)))
    world.say(second, Changed("common.py"))
    assert only(ReloadConfig, world.commands) == []


def test_it_shows_what_it_knows() -> None:
    world = World(pools=TWO)
    assert "Fleet running" in repr(world.fleet)
    assert "<Table of api staying target=0 [<Worker 0 pid=102" in repr(world.fleet)


# drain-delay


def test_listeners_stay_open_for_the_longest_drain_delay() -> None:
    world = World(pools=("site", "api"), drain_delay=5, timeout=0)
    world.signal(signal.SIGTERM)
    assert only(ForkNobody, world.commands)
    assert only(CloseListeners, world.commands) == []
    assert world.deadline == world.now + 5
    world.wait(5)
    assert only(CloseListeners, world.commands) == [CloseListeners()]
    world.wait(1)
    assert only(CloseListeners, world.commands) == []


def test_a_quick_stop_does_not_wait_for_the_drain_delay() -> None:
    world = World(drain_delay=5)
    world.signal(signal.SIGTERM)
    world.signal(signal.SIGINT)
    assert only(CloseListeners, world.commands) == [CloseListeners()]


def test_without_workers_that_serve_nothing_is_delayed() -> None:
    world = World(ready=False, drain_delay=5)
    world.signal(signal.SIGTERM)
    assert only(CloseListeners, world.commands) == [CloseListeners()]
