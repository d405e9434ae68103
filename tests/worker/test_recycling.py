"""When a worker asks for a successor, looked at by a clock of the test's own."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from greenuni.config import Config
from greenuni.worker.recycling import CHECK_INTERVAL, MEBIBYTE, Recycling, resident_bytes


class Looked:
    """A worker that became ready at 1000 s, and is looked at each time that it may be."""

    def __init__(self, *resident: int | None, **settings: Any) -> None:
        self.reasons: list[str] = []
        self.now = 1000.0
        readings = iter(resident)
        config = Config(**settings)
        log = logging.getLogger("greenuni.error")
        self.recycling = Recycling(config, log, self.reasons.append, lambda: next(readings))
        self.recycling.begin(self.now)

    def look(self) -> list[str]:
        self.now += CHECK_INTERVAL
        self.recycling.check(self.now)
        return self.reasons


def test_who_has_grown_too_much_asks_once_and_says_by_how_much() -> None:
    worker = Looked(30 * MEBIBYTE, 60 * MEBIBYTE, 99 * MEBIBYTE, max_worker_rss=99 * MEBIBYTE)
    assert worker.look() == []
    reason = "max-worker-rss, it has 99 MiB in memory, and had 30 MiB when it was ready"
    assert worker.look() == [reason]
    assert worker.look() == [reason]


def test_memory_is_looked_at_every_few_seconds() -> None:
    worker = Looked(1, max_worker_rss=2)  # a second reading would raise StopIteration
    worker.recycling.check(worker.now + CHECK_INTERVAL / 2)


def test_a_limit_that_no_worker_can_keep_is_told_and_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Looked(600 * MEBIBYTE, max_worker_rss=500 * MEBIBYTE)
    assert "600 MiB are more than a worker may have" in caplog.text
    assert worker.look() == []


def test_where_memory_cannot_be_read_the_limit_is_told_to_be_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Looked(None, max_worker_rss=500 * MEBIBYTE)
    assert "this system has no /proc/self/statm" in caplog.text
    assert worker.look() == []


def test_who_has_served_for_long_asks() -> None:
    worker = Looked(max_worker_age=100.0)
    while worker.now < 1095:
        assert worker.look() == []
    while worker.now < 1110:
        worker.look()
    (reason,) = worker.reasons
    assert reason.startswith("max-worker-age, it has served for 1")


def test_workers_of_one_age_do_not_ask_in_lockstep() -> None:
    ages = {Looked(max_worker_age=1000.0).recycling._longest_age for _ in range(100)}
    assert 1000 <= min(ages) < 1030 < 1070 < max(ages) <= 1100


def test_without_limits_nothing_is_looked_at() -> None:
    worker = Looked()
    assert worker.look() == []


def test_the_memory_of_this_process_is_known() -> None:
    resident = resident_bytes()
    assert resident is not None
    assert 5 * MEBIBYTE < resident < 100_000 * MEBIBYTE
