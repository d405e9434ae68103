"""Mounts: how they are written, and which of them has a request."""

from __future__ import annotations

import pytest

from greenuni.routing import NOBODY, Mount, Router, host_name, parse_mount


def router(*mounts: str) -> Router:
    return Router([parse_mount(mount) for mount in mounts])


@pytest.mark.parametrize(
    ("text", "mount", "shown"),
    [
        ("/", Mount(), "/"),
        ("/api", Mount(prefix="/api"), "/api"),
        ("/api/", Mount(prefix="/api"), "/api"),
        ("/api/v1", Mount(prefix="/api/v1"), "/api/v1"),
        ("api.example.com/", Mount("api.example.com"), "api.example.com/"),
        ("API.Example.com/V1/", Mount("api.example.com", "/V1"), "api.example.com/V1"),
        ("localhost/api", Mount("localhost", "/api"), "localhost/api"),
        ("[::1]/", Mount("[::1]"), "[::1]/"),
        (" /über uns ", Mount(prefix="/über uns"), "/über uns"),
    ],
)
def test_a_mount_is_read_and_shown(text: str, mount: Mount, shown: str) -> None:
    assert parse_mount(text) == mount
    assert str(mount) == shown
    assert parse_mount(shown) == mount


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("api", "'api' is not a mount: write a path with its slash in front, such as /api"),
        ("", "is not a mount"),
        ("api/v1", "or a host name before that slash"),
        ("example.com", "write a path with its slash in front"),
        ("example.com:8000/", "or a host name before that slash"),
        ("http://example.com/", "or a host name before that slash"),
        ("/a//b", "a segment of its path is empty, . or .."),
        ("/a/../b", "a segment of its path is empty, . or .."),
        ("/a?b", "plain text without"),
        ("/a%20b", "plain text without"),
        ("/a/*", "plain text without"),
    ],
)
def test_what_is_no_mount_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="is not a mount") as refused:
        parse_mount(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", 0),
        (b"/about", 0),
        (b"/api", 1),
        (b"/api/", 1),
        (b"/api/users", 1),
        (b"/apiary", 0),
        (b"/API", 0),
        (b"/api/v2", 2),
        (b"/api/v2/users", 2),
        (b"/api/v22", 1),
        (b"//api", 0),
        ("/über/uns".encode(), 3),
        (b"*", 0),
        (b"", 0),
    ],
)
def test_the_longest_prefix_wins_on_a_segments_boundary(path: bytes, found: int) -> None:
    assert router("/", "/api", "/api/v2", "/über").find(b"example.com", path) == found


@pytest.mark.parametrize("path", [b"/", b"/apiary", b"/API", b"*", b""])
def test_without_a_root_there_may_be_nobody(path: bytes) -> None:
    assert router("/api").find(b"", path) == NOBODY


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        (b"example.com", b"/", 0),
        (b"example.com", b"/api/v1", 1),
        (b"api.example.com", b"/", 2),
        (b"api.example.com", b"/api/v1", 2),
        (b"API.Example.COM:8000", b"/", 2),
        (b"api.example.com.", b"/", 2),
        (b"static.example.com", b"/files/a", 3),
        (b"static.example.com", b"/api/a", 1),
        (b"static.example.com", b"/", 0),
        (b"[::1]:8000", b"/", 4),
        (b"", b"/", 0),
    ],
)
def test_mounts_of_the_host_come_first(host: bytes, path: bytes, found: int) -> None:
    mounts = router("/", "/api", "api.example.com/", "static.example.com/files", "[::1]/")
    assert mounts.find(host, path) == found


def test_the_order_in_which_mounts_are_given_does_not_matter() -> None:
    assert router("/api/v2", "/", "/api").find(b"", b"/api/v2/users") == 0
    assert router("/", "/api", "/api/v2").find(b"", b"/api/v2/users") == 2


@pytest.mark.parametrize(
    ("host", "name"),
    [(b"A.b:80", b"a.b"), (b"[2001:DB8::1]:80", b"[2001:db8::1]"), (b"[::1", b"[::1"), (b"", b"")],
)
def test_a_host_is_compared_by_name(host: bytes, name: bytes) -> None:
    assert host_name(host) == name
