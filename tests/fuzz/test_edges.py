"""Sizes and types at the edge of what a C type holds, where the twins could part."""

from __future__ import annotations

import pytest

from greenuni.http.limits import LENGTH_MAXIMUM, SECTION_MAXIMUM
from tests.fuzz.reading import Arrival, compare_reading
from tests.fuzz.twins import SUBJECTS, Twin

NO_LIMITS = {"request_line": 0, "fields": 0, "field_size": 0, "body": 0}
LENGTHS = [
    10**18 - 1,
    10**18,
    LENGTH_MAXIMUM,
    LENGTH_MAXIMUM + 1,
    2**64,
    10**19 - 1,
    10**19,
    10**400,
]

each_twin = pytest.mark.parametrize("twin", SUBJECTS, ids=lambda twin: twin.engine)


@pytest.mark.parametrize("length", LENGTHS)
def test_announced_lengths(length: int) -> None:
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nabc" % length
    for sizes in (NO_LIMITS, {"body": length}, {"body": length - 1}, {}):
        compare_reading(Arrival((raw, b"d", b""), sizes))


@pytest.mark.parametrize("size", ["7fffffff", "ffffffff", "7fffffffffffffff", "ffffffffffffffff"])
def test_chunk_sizes(size: str) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b"1\r\na\r\n" + size.encode() + b"\r\nabc"
    for sizes in (NO_LIMITS, {}):
        compare_reading(Arrival((raw, b"d", b""), sizes))


@pytest.mark.parametrize("off", range(-3, 4))
def test_places_that_16_bits_just_hold(off: int) -> None:
    for filling in (65_500, 65_535):
        raw = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (filling + off) + b"\r\nY: z\r\n\r\n"
        compare_reading(Arrival((raw,), NO_LIMITS))
        raw = b"GET /" + b"x" * (filling + off) + b" HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
        compare_reading(Arrival((raw,), NO_LIMITS))


@pytest.mark.parametrize("length", [63, 64, 65, 255, 256, 257])
def test_long_names(length: int) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x" * length + b": y\r\n\r\n"
    compare_reading(Arrival((raw,)))


@pytest.mark.parametrize("count", [99, 100, 101, 126, 127, 128, 129, 255, 256, 257])
def test_many_fields(count: int) -> None:
    raw = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (count - 1) + b"Host: a\r\n\r\n"
    for fields in (0, count - 1, count, count + 1):
        compare_reading(Arrival((raw,), {"fields": fields}))


@pytest.mark.parametrize("off", [-1, 0, 1, 2, 3])
def test_the_largest_head(off: int) -> None:
    line = b"GET /%s HTTP/1.0" % (b"x" * (SECTION_MAXIMUM + off - 18))
    compare_reading(Arrival((line + b"\r\n\r\n",), NO_LIMITS))


@each_twin
@pytest.mark.parametrize("data", [None, "", 5, ["a"], memoryview(b"GET")[::-1]])
def test_what_is_no_bytes(twin: Twin, data: object) -> None:
    for name in ("take", "receive_data"):
        connection = twin.connection({})
        try:
            getattr(connection, name)(data)
        except (TypeError, AttributeError, ValueError, BufferError):
            continue
        assert connection.trailing_data in ((b"", True), (b"TEG", False), (b"a", False))
