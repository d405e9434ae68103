"""How mounts are written, and which one a request belongs to."""

from __future__ import annotations

import pytest

from greenuni.bridge import Entry, MountPoint, parse_mount
from greenuni.bridge.mount_points import MountTable, check_distinct, host_name, mount_point
from greenuni.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "prefix", "host", "target"),
    [
        ("/api=main:app", "/api", "", "main:app"),
        ("/api/=main:app", "/api", "", "main:app"),
        ("/=site.wsgi:application", "", "", "site.wsgi:application"),
        ("/a/b = main:app ", "/a/b", "", "main:app"),
        ('/x=main:create("a=b", c=1)', "/x", "", 'main:create("a=b", c=1)'),
        ("api.example.com/=main:app", "", "api.example.com", "main:app"),
        ("API.Example.com./v2=main:app", "/v2", "api.example.com", "main:app"),
        ("localhost/v2=main:app", "/v2", "localhost", "main:app"),
        ("[::1]/=main:app", "", "[::1]", "main:app"),
        ("127.0.0.1/=main:app", "", "127.0.0.1", "main:app"),
        ("/caf\xe9=main:app", "/caf\xe9", "", "main:app"),
    ],
)
def test_what_can_be_written(text: str, prefix: str, host: str, target: str) -> None:
    assert parse_mount(text) == Entry(MountPoint(prefix, host), target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/api", "mount '/api' has no application: write it as /prefix=module:attribute"),
        ("/api=", "has nothing behind its '='"),
        ("=main:app", "has no path: write '/=main:app'"),
        ("api=main:app", "has no path: write '/api=main:app'"),
        ("api.example.com=main:app", "has no path: write 'api.example.com/=main:app'"),
        ("/a//b=main:app", "has an empty segment"),
        ("//=main:app", "has an empty segment"),
        ("/a/../b=main:app", "a segment that clients resolve away"),
        ("/./b=main:app", "a segment that clients resolve away"),
        ("/a?b=main:app", "without a query"),
        ("/a#b=main:app", "without a fragment"),
        ("/a%20b=main:app", "without percent-encoding"),
        ("/a b=main:app", "white space"),
        ("/a\nb=main:app", "white space or control"),
        ("example.com:80/=main:app", "has a port, which plays no part: leave it out"),
        ("[::1]:80/=main:app", "has a port"),
        ("*.example.com/=main:app", "is a pattern; mount each name by itself"),
        ("b\xfccher.example/=main:app", "is not ASCII"),
        ("exa mple.com/=main:app", "is not a host name"),
        ("-a.example/=main:app", "is not a host name"),
    ],
)
def test_what_cannot_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_mount(text)
    assert message in str(raised.value)
    assert repr(text) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_prefix_begins_with_a_slash() -> None:
    with pytest.raises(ConfigError, match="must begin with '/'"):
        mount_point("api")
    assert mount_point("") == mount_point("/") == MountPoint("")


@pytest.mark.parametrize(
    ("points", "where"),
    [
        ((mount_point("/api"), mount_point("/api/")), "/api"),
        ((mount_point("/"), mount_point("")), "/"),
        ((mount_point("/a", "Example.com"), mount_point("/a", "example.com.")), "example.com/a"),
    ],
)
def test_two_at_one_point(points: tuple[MountPoint, MountPoint], where: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_distinct(zip(points, ("main:app", "other:app"), strict=True))
    assert str(raised.value) == (
        f"two applications are mounted at {where}: main:app and other:app; "
        "give each a prefix or host of its own"
    )


def test_one_below_the_other_or_for_another_host_is_no_overlap() -> None:
    points = [mount_point("/"), mount_point("/a"), mount_point("/a/b"), mount_point("/a", "x")]
    check_distinct((point, "app") for point in points)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Example.COM:8000", "example.com"),
        ("example.com.", "example.com"),
        ("example.com:", "example.com"),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ],
)
def test_hosts_are_compared_without_case_and_port(field: str, name: str) -> None:
    assert host_name(field) == name


TABLE = MountTable(
    (mount_point(prefix, host), f"{host}{prefix}")
    for prefix, host in [
        ("/", ""),
        ("/api", ""),
        ("/api/v2", ""),
        ("/api", "a.example"),
        ("/", "b.example"),
    ]
)


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("", "/", "/"),
        ("", "", "/"),
        ("", "/apis", "/"),
        ("", "/api", "/api"),
        ("", "/api/", "/api"),
        ("", "/api/v", "/api"),
        ("", "/api/v2", "/api/v2"),
        ("", "/api/v22", "/api"),
        ("", "/api/v2/x", "/api/v2"),
        ("", "//api", "/"),
        ("a.example", "/api/v2", "a.example/api"),  # the host's own come first
        ("a.example", "/", "/"),  # and where they have nothing, what is for all
        ("b.example", "/api", "b.example/"),
        ("c.example", "/api", "/api"),
    ],
)
def test_the_longest_prefix_wins_on_segment_boundaries(host: str, path: str, found: str) -> None:
    result = TABLE.find(host, path)
    assert result is not None
    assert result[1] == found


def test_nothing_is_found_where_nothing_is() -> None:
    table = MountTable([(mount_point("/api"), "api")])
    assert not table.has_hosts
    assert table.find("", "/") is None
    assert repr(table) == "<MountTable ['/api'] any host>"
