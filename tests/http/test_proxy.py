"""Who is believed about the client."""

from __future__ import annotations

import pytest

from greenuni.http import TrustedProxies
from greenuni.http.proxy import HOPS_MAXIMUM

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("allowed", "peer", "trusted"),
    [
        ("127.0.0.1,::1", "127.0.0.1", True),
        ("127.0.0.1,::1", "::1", True),
        ("127.0.0.1,::1", "127.0.0.2", False),
        ("127.0.0.1,::1", None, False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.0/8, 192.168.1.0/24", "10.255.0.1", True),
        ("10.0.0.0/8, 192.168.1.0/24", "192.168.1.77", True),
        ("10.0.0.0/8, 192.168.1.0/24", "192.168.2.77", False),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("unix", None, True),
        ("unix", "127.0.0.1", False),
        ("*", None, True),
        ("*", "203.0.113.9", True),
        ("", "127.0.0.1", False),
        ("127.0.0.1", "not an address", False),
    ],
)
def test_trusts(allowed: str, peer: str | None, trusted: bool) -> None:
    assert TrustedProxies(allowed).trusts(peer) is trusted


@pytest.mark.parametrize("allowed", ["localhost", "10.0.0.0/33", "10.0.0.1-9", "*.example"])
def test_what_is_no_network(allowed: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        TrustedProxies(allowed)


@pytest.mark.parametrize(
    ("allowed", "forwarded_for", "client"),
    [
        # The last address that somebody trusted wrote and that is not one of ours.
        ("10.0.0.0/8", [b"203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", [b"6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", [b"6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.0/8", [b"6.6.6.6", b"203.0.113.9,10.0.0.2", b"10.0.0.3"], "203.0.113.9"),
        ("10.0.0.0/8", [b"10.0.0.3,10.0.0.2"], "10.0.0.3"),
        # Everybody is trusted, so the walk would end at what the client itself wrote.
        ("*", [b"6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ("*", [b"6.6.6.6", b"203.0.113.9"], "203.0.113.9"),
        ("*,10.0.0.0/8", [b"6.6.6.6, 10.0.0.2"], "10.0.0.2"),
        # Ports and brackets.
        ("10.0.0.0/8", [b"203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.0/8", [b"[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.0/8", [b"[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.0/8", [b"2001:db8::7"], "2001:db8::7"),
        ("10.0.0.0/8", [b"::ffff:203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
        # What is no address ends the walk.
        ("10.0.0.0/8", [b"203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.0/8", [b"203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.0/8", [b"203.0.113.9, _hidden, 203.0.113.8"], "203.0.113.8"),
        ("10.0.0.0/8", [b""], "10.0.0.1"),
        ("10.0.0.0/8", [b"203.0.113.9,"], "10.0.0.1"),
        ("10.0.0.0/8", [b"\xff\xfe"], "10.0.0.1"),
        ("*", [b"203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.0/8", [], "10.0.0.1"),
    ],
)
def test_client(allowed: str, forwarded_for: list[bytes], client: str) -> None:
    headers = [(b"host", b"a")] + [(b"x-forwarded-for", value) for value in forwarded_for]
    assert TrustedProxies(allowed).resolve("10.0.0.1", "http", headers) == (client, "http")


def test_client_behind_a_unix_socket() -> None:
    proxies = TrustedProxies("unix")
    assert proxies.resolve(None, "http", [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.9")]) == (
        "203.0.113.9",
        "http",
    )
    assert proxies.resolve(None, "http", []) == (None, "http")


def test_the_walk_ends() -> None:
    hops = b", ".join([b"203.0.113.9"] + [b"10.0.0.2"] * HOPS_MAXIMUM)
    client, _ = TrustedProxies("10.0.0.0/8").resolve(
        "10.0.0.1", "http", [(b"x-forwarded-for", hops)]
    )
    assert client == "10.0.0.2"


@pytest.mark.parametrize(
    ("forwarded_proto", "scheme"),
    [
        ([b"https"], "https"),
        ([b"HTTPS"], "https"),
        ([b"http"], "http"),
        ([b"http, https"], "https"),
        ([b"https,http "], "http"),
        ([b"http", b"https"], "https"),
        ([b"https", b"nonsense"], "http"),
        ([b"javascript"], "http"),
        ([b""], "http"),
        ([], "http"),
    ],
)
def test_scheme(forwarded_proto: list[bytes], scheme: str) -> None:
    headers = [(b"x-forwarded-proto", value) for value in forwarded_proto]
    assert TrustedProxies("*").resolve("10.0.0.1", "http", headers)[1] == scheme


def test_what_is_trusted_is_shown() -> None:
    assert repr(TrustedProxies("unix, 10.0.0.1")) == "<TrustedProxies unix,10.0.0.1/32>"
    assert repr(TrustedProxies("*")) == "<TrustedProxies *>"
