"""Frames to messages, whole and byte by byte, and what is no conversation."""

from __future__ import annotations

import struct

import pytest

from greenuni.ws import Close, Conversation, Fault, Ping, Pong

from ..asgi.websocket.support import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
)

LIMIT = 1000


def conversation(limit: int = LIMIT) -> Conversation:
    return Conversation(limit)


def read(raw: bytes, size: int, limit: int = LIMIT) -> list[object]:
    """The events of ``raw``, given in pieces of ``size`` bytes."""
    talk = conversation(limit)
    events: list[object] = []
    for start in range(0, len(raw), size):
        talk.receive_data(raw[start : start + size])
        events.extend(talk.events())
        if events and isinstance(events[-1], Close):
            break
    return events


@pytest.mark.parametrize("size", [1, 1 << 20], ids=["bytewise", "whole"])
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (frame(TEXT, "aé☃😀".encode()), ["aé☃😀"]),
        (frame(BINARY, b"\xff"), [b"\xff"]),
        (frame(TEXT) + frame(BINARY), ["", b""]),
        (frame(BINARY, bytes(126)) + frame(BINARY, bytes(300)), [bytes(126), bytes(300)]),
        (
            frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"b"),
            [Ping(b"p"), "ab"],
        ),
        (frame(PONG, b"unasked") + frame(PING), [Pong(), Ping(b"")]),
        (frame(CLOSE), [Close(1005, "")]),
        (close_frame(4999, "é") + frame(TEXT, b"not read"), [Close(4999, "é")]),
        (frame(BINARY, bytes(LIMIT)), [bytes(LIMIT)]),
        (frame(BINARY, bytes(600), fin=False) + frame(CONTINUATION, bytes(400)), [bytes(1000)]),
    ],
)
def test_what_is_read(raw: bytes, expected: list[object], size: int) -> None:
    assert read(raw, size) == expected


def odd_close(payload: bytes) -> bytes:
    return frame(CLOSE, payload)


@pytest.mark.parametrize("size", [1, 1 << 20], ids=["bytewise", "whole"])
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(3), 1002),
        (frame(11), 1002),
        (frame(TEXT, rsv=4), 1002),
        (frame(TEXT, rsv=2), 1002),
        (frame(TEXT, rsv=1), 1002),
        (frame(PING, fin=False), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(CONTINUATION, b"of nothing"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (b"\x82\xfe\x00\x01" + bytes(5), 1002),  # a length in more bytes than it needs
        (b"\x82\xff" + struct.pack("!Q", 100) + bytes(104), 1002),
        (b"\x82\xff" + struct.pack("!Q", 1 << 63) + bytes(4), 1002),
        (odd_close(b"\x03"), 1002),
        (close_frame(999), 1002),
        (close_frame(1005), 1002),
        (close_frame(1006), 1002),
        (close_frame(1016), 1002),
        (close_frame(2999), 1002),
        (close_frame(5000), 1002),
        (odd_close(b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xe2\x98"), 1007),
        (frame(TEXT, b"a\xc0\xaf", fin=False), 1007),  # refused before the message is whole
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(BINARY, bytes(LIMIT + 1)), 1009),
        (frame(BINARY, bytes(LIMIT + 1), announced=1 << 62), 1009),  # refused before all of it came
        (frame(TEXT, "é".encode() * (LIMIT // 2) + b"a"), 1009),
        (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, bytes(LIMIT)), 1009),
    ],
)
def test_what_is_refused(raw: bytes, code: int, size: int) -> None:
    events = read(raw, size)
    assert isinstance(events[-1], Fault), events
    assert events[-1].code == code
    assert len(events) == 1


def test_no_limit() -> None:
    assert read(frame(BINARY, bytes(1 << 20)), 1 << 21, limit=0) == [bytes(1 << 20)]


def test_whoever_stops_in_the_middle_finds_the_rest_later() -> None:
    talk = conversation()
    talk.receive_data(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3", fin=False))
    assert next(talk.events()) == "1"
    assert list(talk.events()) == ["2"]
    talk.receive_data(frame(CONTINUATION, b"4"))
    assert list(talk.events()) == ["34"]


def test_what_is_written() -> None:
    talk = conversation()
    assert talk.message("é") == b"\x81\x02\xc3\xa9"
    assert talk.message(b"\xff") == b"\x82\x01\xff"
    assert talk.message("a", is_last=False) == b"\x01\x01a"
    assert talk.message("b") == b"\x80\x01b"
    assert talk.ping() == b"\x89\x00"
    assert talk.pong(Ping(b"x")) == b"\x8a\x01x"
    assert talk.close(1000, "bye") == b"\x88\x05\x03\xe8bye"
    assert talk.close(1005, "") == b"\x88\x00"
    assert len(talk.close(1000, "é" * 100)) == 2 + 2 + 122
    assert repr(talk) == "<Conversation>"
