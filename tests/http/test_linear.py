"""Octet by octet costs what it costs at once: the guards look at new octets only.

Counted, not timed: the buffer counts the octets that it is searched in and that are cut from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from greenuni.errors import RemoteProtocolError
from greenuni.http import Limits
from greenuni.http.chunked import SIZE_LINE_MAXIMUM, ChunkedGuard
from greenuni.http.section import SectionGuard

# Octets looked at for each octet received. A guard that starts over at each octet has thousands.
FACTOR = 12

UNLIMITED = Limits(request_line=0, fields=0, field_size=0, body=0)


class CountingBuffer(bytearray):
    """Counts the octets that it shows."""

    shown = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        end = len(self) if end is None else min(end, len(self))
        found = super().find(sub, start, end)
        self.shown += max(0, (end if found < 0 else found) - start)
        return found

    def __getitem__(self, key: Any) -> Any:
        shown = super().__getitem__(key)
        if isinstance(key, slice):
            self.shown += len(shown)
        return shown


def feed(take: Callable[[bytearray], bytes], data: bytes) -> CountingBuffer:
    """Octet by octet through ``take``, until what was fed is refused or all of it is cut off."""
    buffer = CountingBuffer()
    for octet in data:
        buffer.append(octet)
        while take(buffer):
            pass
    return buffer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 50_000,
        b"GET / HTTP/1.1\r\nX-A: " + b"a" * 50_000,
        b"GET / HTTP/1.1\r\nX-A: " + b" " * 50_000,
        b"GET / HTTP/1.1\r\n" + b"X-A: 1\r\n" * 6_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 6_000 + b"\r\n",
    ],
    ids=["request line", "value", "white space", "fields", "whole"],
)
def test_head(head: bytes) -> None:
    guard = SectionGuard(UNLIMITED, has_request_line=True)
    assert feed(guard.take, head).shown < FACTOR * len(head)


def test_trailers() -> None:
    trailers = b"X-A: 1\r\n" * 6_000
    guard = SectionGuard(UNLIMITED, has_request_line=False)
    assert feed(guard.take, trailers).shown < FACTOR * len(trailers)


def test_pipelined_heads() -> None:
    heads = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000
    guard = SectionGuard(UNLIMITED, has_request_line=True)
    assert feed(guard.take, heads).shown < FACTOR * len(heads)


def test_chunked() -> None:
    body = b"a000\r\n" + b"x" * 0xA000 + b"\r\n" + b"1\r\nx\r\n" * 5_000
    assert feed(ChunkedGuard(UNLIMITED).take, body).shown < FACTOR * len(body)


def test_a_size_line_is_short_enough_to_start_over() -> None:
    line = b"1;" + b"a" * (SIZE_LINE_MAXIMUM - 2)
    assert feed(ChunkedGuard(UNLIMITED).take, line).shown < 3 * SIZE_LINE_MAXIMUM * len(line)


@pytest.mark.parametrize(
    "section",
    [
        b"GET / HTTP/1.1\r\nX-A: %s\x01\r\n\r\n" % (b" \t" * 100_000),
        b"GET / HTTP/1.1\r\n%sX A: 1\r\n\r\n" % (b"X-A: 1\r\n" * 25_000),
        b"GET / HTTP/1.1\r\n%s: 1\r\n\r\n" % (b"a" * 200_000 + b"\x01"),
        b"GET %s HTTP/1.1 \r\n\r\n" % (b"a" * 200_000),
    ],
    ids=["white space", "fields", "name", "target"],
)
def test_no_pattern_goes_back_over_hostile_input(section: bytes) -> None:
    # 200 kB that fail at their very end: linear matching takes milliseconds, quadratic minutes.
    guard = SectionGuard(UNLIMITED, has_request_line=True)
    start = time.process_time()
    with pytest.raises(RemoteProtocolError):
        guard.take(bytearray(section))
    assert time.process_time() - start < 5
