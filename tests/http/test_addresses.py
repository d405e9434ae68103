"""Addresses and networks, beside those of the standard library."""

from __future__ import annotations

import ipaddress
import random

import pytest

from greenuni.http.addresses import maybe_address, parse_network, spelled

# Whole, shortened, and with an IPv4 address at the end.
ADDRESSES = [
    *("0.0.0.0", "255.255.255.255", "10.0.0.1", "192.168.1.77", "1.20.255.9"),
    *("::", "::1", "1::", "1::8", "::8:7", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8"),
    *("1:0:0:4:0:0:0:8", "1:0:0:4:5:0:0:8", "0:0:0:0:0:0:0:0", "1:2:0:4:5:6:7:8", "2001:DB8::A"),
    *("10:0:0:20::1", "fe80::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    *("::ffff:10.0.0.1", "::FFFF:255.1.2.3", "::1.2.3.4", "64:ff9b::192.0.2.33"),
    *("1:2:3:4:5:6:1.2.3.4", "::ffff:a00:1", "::fffe:1.2.3.4"),
]
NONE = [
    *("", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1.2.3.", ".1.2.3"),
    *("1..2.3", "1.2.3.4:80", "+1.2.3.4", "1.2.3.-4", "0x1.2.3.4", "1.2.3.1_0", "\u0661.2.3.4"),
    *("1.2.3.4 ", "1.2.3.4\n", "1.2.3.4\0", " ::1", "::1\n", "[::1]", "::1]", "localhost"),
    *(":", ":::", "1::2::3", "1:", ":1", "12345::", "g::", "1_0::", "\u0661::", "1::/64"),
    *("1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8"),
    *("1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "1.2.3.4::1", "::1.2.3.4:5", "::1.2.3"),
    *("::01.2.3.4", "::1.2.3.256"),
]


def oracle(text: str) -> str:
    """How the standard library spells an address."""
    address = ipaddress.ip_address(text)
    return str(getattr(address, "ipv4_mapped", None) or address)


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_read_and_spelled_as_everywhere(text: str) -> None:
    address = maybe_address(text)
    assert address is not None
    assert spelled(address) == oracle(text)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        ipaddress.ip_address(text)
    assert maybe_address(text) is None


def test_damaged_addresses_are_judged_as_everywhere() -> None:
    generator = random.Random(1)
    for _ in range(20_000):
        text = list(generator.choice(ADDRESSES))
        for _ in range(generator.randrange(4)):
            text[generator.randrange(len(text))] = generator.choice(
                ["", ":", "::", ".", "0", "00", "f"]
            )
        damaged = "".join(text)
        try:
            expected: str | None = oracle(damaged)
        except ValueError:
            expected = None
        found = maybe_address(damaged)
        assert (None if found is None else spelled(found)) == expected, damaged


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/8",
        "10.1.2.3/8",
        "0.0.0.0/0",
        "1.2.3.4",
        "1.2.3.4/32",
        "2001:db8::1/33",
        "::/0",
        "::1",
    ],
)
def test_a_network_has_what_begins_like_it(text: str) -> None:
    network, expected = parse_network(text), ipaddress.ip_network(text, strict=False)
    assert str(network) == str(expected)
    generator = random.Random(2)
    for base in (expected.network_address, expected.broadcast_address):
        for _ in range(100):
            number = int(base) ^ generator.choice(
                [0, 1 << generator.randrange(expected.max_prefixlen)]
            )
            other = type(base)(number)
            address = maybe_address(str(other))
            assert address is not None
            assert network.has(address) == (other in expected), other


def test_a_network_has_nothing_of_the_other_family() -> None:
    ipv4, ipv6 = maybe_address("0.0.0.1"), maybe_address("::1")
    assert ipv4 is not None
    assert ipv6 is not None
    for larger in ("::/0", "::/32", "::/95"):
        assert not parse_network(larger).has(ipv4)
        assert parse_network(larger).has(ipv6)
    assert not parse_network("0.0.0.0/0").has(ipv6)


def test_a_network_of_mapped_addresses_is_one_of_ipv4() -> None:
    assert str(parse_network("::ffff:10.1.2.3/104")) == "10.0.0.0/8"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "a/8",
    ]
    + ["10.0.0.0/255.0.0.0", "10.0.0.0/\u0668", "10.0.0.0/8 ", "10.0.0.0/ 8"],
)
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 network"):
        parse_network(text)
