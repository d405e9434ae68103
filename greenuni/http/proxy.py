"""Whose word about the client is taken: X-Forwarded-For and X-Forwarded-Proto from trusted peers."""

from __future__ import annotations

from collections.abc import Sequence

from greenuni.http.addresses import maybe_address, parse_network, spelled

# More proxies than anybody has in a row. A client can send trusted addresses by the thousand, and
# each costs a look at the list.
HOPS_MAXIMUM = 32

_FORWARDED_FOR = b"x-forwarded-for"
_FORWARDED_PROTO = b"x-forwarded-proto"
_SCHEMES = {b"http": "http", b"https": "https"}


def is_forwarded(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a proxy, or whoever it is, tells anything that `TrustedProxies.resolve` reads."""
    for name, _ in headers:  # noqa: SIM110 - a generator would cost more than most requests' fields
        if name in (_FORWARDED_FOR, _FORWARDED_PROTO):
            return True
    return False


class TrustedProxies:
    """The peers whose forwarding headers are believed.

    ``forwarded_allow_ips`` is a comma-separated list of addresses, networks (``10.0.0.0/8``),
    ``unix`` for peers on a unix socket, or ``*`` for everybody. Raises ValueError for anything
    else.

    X-Forwarded-For is walked from the right over the addresses that are trusted themselves: what
    stands left of the first that is not was written by somebody we have no reason to believe.
    With ``*`` that first one is the right-most, which is the only one that our peer wrote.
    """

    __slots__ = ("_everybody", "_networks", "_unix")

    def __init__(self, forwarded_allow_ips: str) -> None:
        entries = [entry.strip() for entry in forwarded_allow_ips.split(",") if entry.strip()]
        self._everybody = "*" in entries
        self._unix = "unix" in entries
        self._networks = [parse_network(entry) for entry in entries if entry not in ("*", "unix")]

    def __repr__(self) -> str:
        entries = ["*"] * self._everybody + ["unix"] * self._unix + list(map(str, self._networks))
        return f"<TrustedProxies {','.join(entries)}>"

    def trusts(self, peer: str | None) -> bool:
        """Whether the peer at this address (None: a unix socket) is a proxy of ours."""
        if self._everybody:
            return True
        if peer is None:
            return self._unix
        address = maybe_address(peer)
        return address is not None and self._is_listed(address)

    def resolve(
        self, peer: str | None, scheme: str, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[str | None, str]:
        """The client's address and scheme, as a trusted peer's ``headers`` tell it.

        Call only when ``trusts(peer)``. Without a usable header the answer is what was given.
        """
        forwarded_for: list[bytes] = []
        forwarded_proto = b""
        for name, value in headers:
            if name == _FORWARDED_FOR:
                forwarded_for.append(value)
            elif name == _FORWARDED_PROTO:
                forwarded_proto = value
        if forwarded_for:
            peer = self._walk(peer, b",".join(forwarded_for))
        last_proto = forwarded_proto.rpartition(b",")[2].strip(b" \t").lower()
        return peer, _SCHEMES.get(last_proto, scheme)

    def _walk(self, peer: str | None, forwarded_for: bytes) -> str | None:
        client = peer
        for hop in reversed(forwarded_for.rsplit(b",", HOPS_MAXIMUM)[-HOPS_MAXIMUM:]):
            address = maybe_address(_without_port(hop.decode("latin-1").strip(" \t")))
            if address is None:
                break
            client = spelled(address)
            if self._everybody or not self._is_listed(address):
                break
        return client

    def _is_listed(self, address: int) -> bool:
        for network in self._networks:  # noqa: SIM110 - a generator costs more than the answer
            if network.has(address):
                return True
        return False


def _without_port(hop: str) -> str:
    """``[v6]:port``, ``[v6]`` and ``v4:port`` without brackets and port; anything else as it is."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    if hop.count(":") == 1:
        return hop.partition(":")[0]
    return hop
