"""What a shell is given to find its way between pools."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from greenuni.handoff import HOPS_LIMIT, receive, send
from greenuni.routing import NOBODY
from greenuni.shell import NO_POOL, POOL_IS_DOWN, Pools
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


def test_only_where_there_is_more_than_the_root_anything_is_routed(pools: list[Pools]) -> None:
    assert all(pool.is_shared for pool in pools)
    (single,) = fake_pools("/")
    assert not single.is_shared
    single.close()
    (single,) = fake_pools("/api")  # the rest of the port is nobody's
    assert single.is_shared
    single.close()


def test_a_connection_travels_with_what_was_read(pools: list[Pools]) -> None:
    here, there = socket.socketpair()
    with here:
        with there:
            assert send(pools[0].queues[1], there.fileno(), b"GET /api", hops=1)
        arrived = receive(pools[1].arrivals)
        assert arrived is not None
        descriptor, unread, hops = arrived
        with socket.socket(fileno=descriptor) as sock:
            sock.sendall(b"hello")
        assert (unread, hops, here.recv(5)) == (b"GET /api", 1, b"hello")


def test_a_request_is_refused_with_a_reason(pools: list[Pools]) -> None:
    own = pools[0]
    assert own.why_not(1, 0) is None
    assert own.why_not(NOBODY, 0) == NO_POOL
    assert own.why_not(1, HOPS_LIMIT) == POOL_IS_DOWN
    own.down[1][0] = 1
    assert own.why_not(1, 0) == POOL_IS_DOWN


def test_a_pool_that_is_down_keeps_no_clients(pools: list[Pools]) -> None:
    assert pools[1].keeps_clients()
    pools[0].down[1][0] = 1  # as the arbiter does
    assert not pools[1].keeps_clients()
    assert pools[0].keeps_clients()
    pools[0].forsake()
    assert not any(pool.keeps_clients() for pool in pools)


def test_who_is_down_is_seen_by_all(pools: list[Pools]) -> None:
    assert all(pool.is_up(1) for pool in pools)
    pools[0].down[1][0] = 1  # as the arbiter does
    assert not any(pool.is_up(1) for pool in pools)
    assert all(pool.is_up(2) for pool in pools)
