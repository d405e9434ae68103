"""How workers give way to each other before they accept."""

from __future__ import annotations

import os

from greenuni.siblings import AHEAD, MOMENT, MOMENTS, Census, Siblings


class Sleeper(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def family(*held: int) -> tuple[Siblings, Sleeper]:
    """The first worker of several that hold so many connections, and how long it has slept."""
    sleeper = Sleeper()
    counts = memoryview(bytearray(4 * len(held))).cast("i")
    for index, number in enumerate(held):
        Siblings(counts, index).note(number)
    return Siblings(counts, 0, sleeper), sleeper


def test_a_worker_that_is_ahead_gives_way() -> None:
    own, slept = family(0, 3, 3)
    own.come_first(3 + AHEAD)
    assert slept == []
    own.come_first(3 + AHEAD + 1)
    assert slept == [MOMENT]


def test_only_those_that_accept_count() -> None:
    census = Census(4)
    own, draining, dead = (census.siblings(index) for index in range(3))
    own.note(50)
    draining.note(0)
    draining.leave()
    dead.note(0)
    census.leave(2)
    assert repr(own) == "<Siblings [50]>"
    assert repr(census) == "<Census of 1>"


def test_in_vain_it_gives_way_so_often_and_no_more_until_the_next_tick() -> None:
    own, slept = family(0, 0)
    for held in range(10, 10 + 2 * MOMENTS):
        own.come_first(held)
    assert len(slept) == MOMENTS
    own.note(500)
    own.come_first(500)
    assert len(slept) == MOMENTS + 1


def test_counts_are_shared_with_a_child() -> None:
    census = Census(2)
    own, child = census.siblings(0), census.siblings(1)
    own.note(1)
    pid = os.fork()
    if pid == 0:
        child.note(7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert repr(own) == "<Siblings [1, 7]>"


def test_of_many_workers_one_sees_its_neighbours() -> None:
    census = Census(200)
    for index in range(200):
        census.siblings(index).note(0 if index == 0 else 9)
    assert repr(census.siblings(1)).startswith("<Siblings [0, 9")
    assert repr(census.siblings(150)).startswith("<Siblings [9, 9")
