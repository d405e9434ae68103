"""Where comments may stand in a stream of events, and the fields that it should have."""

from __future__ import annotations

import pytest

from greenuni.eventstream import (
    COMMENT,
    completed,
    is_between_events,
    is_event_stream,
    tail_of,
    takes_comments,
)


@pytest.mark.parametrize("end", ["\n\n", "\r\r", "\r\n\r\n", "\n\r\n"])
def test_an_empty_line_ends_an_event(end: str) -> None:
    body = f"data: x{end}".encode()
    for size in range(1, len(body) + 1):
        tail = b""
        for start in range(0, len(body), size):
            assert not is_between_events(tail) or start == 0
            tail = tail_of(tail, body[start : start + size])
        assert is_between_events(tail)


@pytest.mark.parametrize("body", [b"data: x", b"data: x\n", b"data: x\r\n", b"\n", b"x\n\r"])
def test_within_an_event(body: bytes) -> None:
    assert not is_between_events(tail_of(b"", body))


def test_before_the_first_event() -> None:
    assert is_between_events(b"")
    assert is_between_events(tail_of(b"data: x\n\n", COMMENT))


def test_missing_fields_are_added() -> None:
    fields = [("Content-Type", "text/event-stream; charset=utf-8")]
    assert completed(fields) == [
        *fields,
        ("X-Accel-Buffering", "no"),
        ("Cache-Control", "no-cache"),
    ]
    raw = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    assert completed(raw) == [*raw, (b"X-Accel-Buffering", b"no")]


def test_other_responses_are_left_alone() -> None:
    fields = [(b"content-type", b"text/html")]
    assert completed(fields) == fields
    assert completed([]) == []
    assert not is_event_stream(fields)


def test_nothing_is_put_into_a_compressed_stream() -> None:
    assert not takes_comments([(b"Content-Encoding", b"gzip")])
    assert takes_comments([(b"Content-Type", b"text/event-stream")])
