"""IP addresses and networks as numbers: the little of ipaddress that trust in proxies takes.

ipaddress is a third of a megabyte, which every worker would keep. An address is its 128 bits, and that of
IPv4 those of ``::ffff:a.b.c.d`` (RFC 4291 2.5.5.2), which is how a dual-stack listener shows it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"  # no leading zero: some read it as octal
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
_IPV4_BITS = 32
_IPV4_ABOVE = 0xFFFF  # the upper 96 bits of an IPv4 address
_IPV6_BITS = 128
_IPV6_GROUPS = 8
_IPV6_GROUP = re.compile("[0-9A-Fa-f]{1,4}")
_ZEROS = re.compile(r"\b0(?::0)+\b")
_PREFIX = re.compile("[0-9]{1,3}")


def maybe_address(text: str) -> int | None:
    """The address that ``text`` spells, if it is one."""
    return _ipv4(text) | _IPV4_ABOVE << _IPV4_BITS if _IPV4.fullmatch(text) else _maybe_ipv6(text)


def spelled(address: int) -> str:
    """The text of an address, of IPv6 as RFC 5952 has it."""
    if address >> _IPV4_BITS == _IPV4_ABOVE:
        return f"{address >> 24 & 255}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
    text = ":".join(f"{address >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
    zeros = max(_ZEROS.finditer(text), key=lambda run: len(run[0]), default=None)
    if zeros is None:
        return text
    return f"{text[: zeros.start()].rstrip(':')}::{text[zeros.end() :].lstrip(':')}"


class Network(NamedTuple):
    """All addresses that begin with ``number``, which is followed by ``host_bits``."""

    number: int
    host_bits: int

    def has(self, address: int) -> bool:
        """Whether ``address`` is one of them. A network of IPv6 that is larger has none of IPv4."""
        if address >> self.host_bits != self.number:
            return False
        return self.host_bits <= _IPV4_BITS or address >> _IPV4_BITS != _IPV4_ABOVE

    def __str__(self) -> str:
        first = self.number << self.host_bits
        bits = _IPV4_BITS if first >> _IPV4_BITS == _IPV4_ABOVE else _IPV6_BITS
        return f"{spelled(first)}/{bits - self.host_bits}"


def parse_network(text: str) -> Network:
    """``10.0.0.0/8``; bits below the prefix do not matter, and without one it is a single address.

    Raises ``ValueError``.
    """
    first, slash, prefix = text.partition("/")
    address = maybe_address(first)
    bits = _IPV6_BITS if ":" in first else _IPV4_BITS
    if slash and not (_PREFIX.fullmatch(prefix) and int(prefix) <= bits):
        address = None
    if address is None:
        raise ValueError(f"{text!r} does not appear to be an IPv4 or IPv6 network")
    host_bits = bits - int(prefix) if slash else 0
    return Network(address >> host_bits, host_bits)


def _ipv4(text: str) -> int:
    first, second, third, last = text.split(".")
    return int(first) << 24 | int(second) << 16 | int(third) << 8 | int(last)


def _maybe_ipv6(text: str) -> int | None:
    """RFC 4291 2.2: eight groups, of which "::" stands for one or more that are 0."""
    before, gap, after = text.partition("::")
    upper, lower = _ipv6_groups(before), _ipv6_groups(after)
    if upper is None or lower is None or (gap and "." in before):
        return None
    missing = _IPV6_GROUPS - len(upper) - len(lower)
    if missing < 1 if gap else missing != 0:
        return None
    address = 0
    for group in (*upper, *[0] * missing, *lower):
        address = address << 16 | group
    return address


def _ipv6_groups(text: str) -> list[int] | None:
    """The groups on one side of "::"; the last two may be spelled as an IPv4 address."""
    groups = text.split(":") if text else []
    numbers: list[int] = []
    if groups and _IPV4.fullmatch(groups[-1]):
        both = _ipv4(groups.pop())
        numbers = [both >> 16, both & 0xFFFF]
    if not all(map(_IPV6_GROUP.fullmatch, groups)):
        return None
    return [*(int(group, 16) for group in groups), *numbers]
