"""What a shell is given to find its way between pools."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from greenuni.routing import NOBODY
from greenuni.shell import Pools
from greenuni.testing import fake_pools


@pytest.fixture
def pools() -> Iterator[list[Pools]]:
    made = fake_pools("/site", "/api", "api.example.com/")
    yield made
    for pool in made:
        pool.close()


def test_a_request_is_routed_by_the_mounts(pools: list[Pools]) -> None:
    for pool in pools:
        assert pool.route(b"example.com", b"/site/a") == 0
        assert pool.route(b"example.com", b"/api") == 1
        assert pool.route(b"api.example.com:80", b"/api") == 2
        assert pool.route(b"example.com", b"/") == NOBODY


def test_every_pool_knows_itself(pools: list[Pools]) -> None:
    assert [pool.own for pool in pools] == [0, 1, 2]
    assert [pool.prefix for pool in pools] == [b"/site", b"/api", b""]


def test_a_connection_travels_with_what_was_read(pools: list[Pools]) -> None:
    here, there = socket.socketpair()
    with here, there:
        socket.send_fds(pools[0].queues[1], [b"GET /api"], [there.fileno()])
        data, (descriptor,), _, _ = socket.recv_fds(pools[1].arrivals, 65536, 1)
        with socket.socket(fileno=descriptor) as arrived:
            arrived.sendall(b"hello")
        assert (data, here.recv(5)) == (b"GET /api", b"hello")


def test_nothing_there_is_no_waiting(pools: list[Pools]) -> None:
    with pytest.raises(BlockingIOError):
        pools[0].arrivals.recv(1)


def test_who_is_down_is_seen_by_all(pools: list[Pools]) -> None:
    assert all(pool.is_up(1) for pool in pools)
    pools[0].down[1][0] = 1  # type: ignore[index]  # as the arbiter does
    assert not any(pool.is_up(1) for pool in pools)
    assert all(pool.is_up(2) for pool in pools)
