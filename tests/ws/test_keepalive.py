"""Pings and pongs, by a clock that the test turns."""

from __future__ import annotations

from greenuni.ws import Keepalive, Life
from greenuni.ws.keepalive import HELD_UP


class Clock:
    """Looks once a second."""

    def __init__(self, interval: float = 20, timeout: float = 20) -> None:
        self.now = 1000.0
        self.keepalive = Keepalive(interval, timeout, 500, self.now)

    def tick(self, seconds: int = 1, *, is_listening: bool = True) -> list[tuple[int, Life]]:
        """What is to be done, and after how many seconds."""
        found = []
        for second in range(1, seconds + 1):
            self.now += 1
            life = self.keepalive.check(self.now, is_listening)
            if life is not Life.NOTHING:
                found.append((second, life))
        return found


def test_a_ping_every_interval_as_long_as_pongs_come() -> None:
    clock = Clock()
    for _ in range(3):
        assert clock.tick(20) == [(20, Life.PING)]
        assert clock.tick(5) == []
        clock.keepalive.pong()


def test_no_pong_in_time() -> None:
    clock = Clock(timeout=7)
    assert clock.tick(27) == [(20, Life.PING), (27, Life.LOST)]


def test_switched_off() -> None:
    assert Clock(interval=0).tick(1000) == []
    assert Clock(timeout=0).tick(1000) == [(20, Life.PING)]


def test_a_pong_that_nobody_asked_for_changes_nothing() -> None:
    clock = Clock()
    clock.tick(19)
    clock.keepalive.pong()
    assert clock.tick() == [(1, Life.PING)]


def test_time_in_which_nobody_listens_does_not_count() -> None:
    clock = Clock()
    assert clock.tick(20) == [(20, Life.PING)]
    assert clock.tick(100, is_listening=False) == []
    assert clock.tick(20) == [(20, Life.LOST)]


def test_time_in_which_the_loop_was_held_up_does_not_count() -> None:
    clock = Clock()
    assert clock.tick(20) == [(20, Life.PING)]
    assert clock.tick(19) == []
    clock.now += HELD_UP
    assert clock.tick() == [], "the pong may lie in the socket, unread"
    clock.keepalive.pong()
    assert clock.tick(19) == []


def test_bytes_buy_time_at_the_rate_of_a_body() -> None:
    clock = Clock()
    assert clock.tick(20) == [(20, Life.PING)]
    for _ in range(100):
        clock.keepalive.received(500)
        assert clock.tick() == []
    found = []
    for second in range(30):
        clock.keepalive.received(1)
        found += [(second, life) for _, life in clock.tick()]
    assert found[0] == (19, Life.LOST)
