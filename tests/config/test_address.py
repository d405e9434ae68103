"""``--bind`` in all its spellings."""

from __future__ import annotations

import pytest

from greenuni.config import Address, Config, FdAddress, TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:8080", TcpAddress("::1", 8080)),
        ("[::]", TcpAddress("::", 8000)),
        ("example.org", TcpAddress("example.org", 8000)),
        (":9000", TcpAddress("0.0.0.0", 9000)),
        ("9000", TcpAddress("127.0.0.1", 9000)),
        (" 10.0.0.1:65535 ", TcpAddress("10.0.0.1", 65535)),
        ("tcp://127.0.0.1:5000", TcpAddress("127.0.0.1", 5000)),
        ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:///run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:app.sock", UnixAddress("app.sock")),
        ("unix:@abstract", UnixAddress("@abstract")),
        ("fd://3", FdAddress(3)),
    ],
)
def test_forms(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("127.0.0.1:", "not a port number"),
        ("127.0.0.1:http", "not a port number"),
        ("127.0.0.1:-1", "not a port number"),
        ("127.0.0.1:65536", "higher than 65535"),
        ("70000", "higher than 65535"),
        ("::1:8000", "brackets"),
        ("[::1:8000", "not an IPv6 address"),
        ("[]:8000", "not an IPv6 address"),
        ("[::1]8000", "not an IPv6 address"),
        ("unix:", "names no path"),
        ("unix://", "names no path"),
        ("fd://", "names no descriptor"),
        ("fd://x", "names no descriptor"),
        ("http://127.0.0.1:80", "not an address"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


def test_config_has_them_parsed() -> None:
    config = Config(bind=("unix:/x", "[::1]:80"))
    assert config.addresses == (UnixAddress("/x"), TcpAddress("::1", 80))
