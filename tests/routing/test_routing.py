"""Mounts: how they are written, and which of them has a request."""

from __future__ import annotations

import pytest

from greenuni.routing import (
    NOBODY,
    Mount,
    Mounted,
    Router,
    check_distinct,
    host_name,
    mount_at,
    parse_mount,
    parse_mounted,
)


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
        ("api.example.com./", Mount("api.example.com"), "api.example.com/"),
        ("localhost/api", Mount("localhost", "/api"), "localhost/api"),
        ("a_b.internal/", Mount("a_b.internal"), "a_b.internal/"),
        ("127.0.0.1/", Mount("127.0.0.1"), "127.0.0.1/"),
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
        ("api", "write a path with its slash in front, such as /api, or a host name before"),
        ("", "write a path with its slash in front, such as /,"),
        ("api/v1", "such as /api/v1,"),
        ("example.com", "such as example.com/,"),
        ("example.com:8000/", "the host 'example.com:8000' has a port, which plays no part"),
        ("[::1]:80/", "has a port"),
        ("http://example.com/", "'http:' is not a host name"),
        ("*.example.com/", "is a pattern: mount each name by itself"),
        ("b\xfccher.example/", "is not ASCII"),
        ("exa mple.com/", "is not a host name"),
        ("-a.example/", "is not a host name"),
        ("/a//b", "a segment of its path is empty, . or .."),
        ("//", "a segment of its path is empty, . or .."),
        ("/a/../b", "a segment of its path is empty, . or .."),
        ("/./a", "a segment of its path is empty, . or .."),
        ("/a?b", "its path is plain text, without a query"),
        ("/a#b", "without a fragment"),
        ("/a%20b", "without percent-encoding"),
        ("/a/*", "without a pattern"),
        ("/a\nb", "control characters"),
        ("/a\udce9", "control characters"),
    ],
)
def test_what_is_no_mount_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="is not a mount: ") as refused:
        parse_mount(text)
    assert reason in str(refused.value)
    assert repr(text) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "mount", "target"),
    [
        ("/api=main:app", "/api", "main:app"),
        ("/api/=main:app", "/api", "main:app"),
        ("/=site.wsgi:application", "/", "site.wsgi:application"),
        (" /a/b = main:app ", "/a/b", "main:app"),
        ('/x=main:create("a=b", c=1)', "/x", 'main:create("a=b", c=1)'),
        ("API.Example.com/v2=main:app", "api.example.com/v2", "main:app"),
    ],
)
def test_an_application_is_mounted(text: str, mount: str, target: str) -> None:
    mounted = parse_mounted(text)
    assert mounted == Mounted(parse_mount(mount), target)
    assert str(mounted) == f"{mount}={target}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/api", "'/api' has no application: write it as /prefix=module:attribute"),
        ("/api=", "'/api=' has nothing behind its '='"),
        ("=main:app", "'' is not a mount"),
        ("api=main:app", "such as /api,"),
        ("api.example.com=main:app", "such as api.example.com/,"),
    ],
)
def test_what_mounts_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        parse_mounted(text)
    assert message in str(refused.value)


def test_a_host_that_is_named_apart_needs_no_dot() -> None:
    assert mount_at("/a", "Backend") == Mount("backend", "/a")
    assert mount_at("") == mount_at("/") == Mount()
    with pytest.raises(ValueError, match="'api' does not begin with a slash"):
        mount_at("api")


@pytest.mark.parametrize(
    ("mounts", "where"),
    [(("/api", "/api/"), "/api"), (("Example.com/a", "example.com./a"), "example.com/a")],
)
def test_two_applications_at_one_place(mounts: tuple[str, str], where: str) -> None:
    with pytest.raises(ValueError, match="two applications") as refused:
        check_distinct(map(Mounted, map(parse_mount, mounts), ("main:app", "other:app")))
    assert str(refused.value) == (
        f"two applications are mounted at {where}: main:app and other:app; "
        "give each a prefix or host of its own"
    )


def test_one_below_the_other_or_for_another_host_is_no_overlap() -> None:
    mounts = ("/", "/a", "/a/b", "x.example/a")
    check_distinct(Mounted(parse_mount(mount), "app") for mount in mounts)


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
