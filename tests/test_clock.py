"""The Date header."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from greenuni import clock
from greenuni.clock import Clock

DAY = 86_400


@pytest.mark.parametrize("second", [0, 784_111_777, 951_782_400, 4_102_444_799, 253_402_300_799])
def test_date_is_what_the_standard_library_writes(second: int) -> None:
    assert clock.imf_fixdate(second) == formatdate(second, usegmt=True).encode()


def test_every_day_and_month_of_a_year_is_named() -> None:
    for second in range(0, 366 * DAY, DAY + 3_661):
        assert clock.imf_fixdate(second) == formatdate(second, usegmt=True).encode()


def test_clock_says_the_current_second() -> None:
    running = Clock()
    before = int(time.time())
    date = running.date()
    possible = {formatdate(second, usegmt=True).encode() for second in range(before, before + 3)}
    assert date in possible
    assert repr(running).startswith("<Clock '")
