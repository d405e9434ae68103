"""permessage-deflate: what is agreed upon, what is inflated, and what is not."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest

from greenuni.ws import Close, Conversation, Deflate, Fault, negotiate
from greenuni.ws.deflate import SMALLEST, Parameters

from ..asgi.websocket.support import BINARY, CONTINUATION, PING, TEXT, close_frame, frame

COMPRESSED = 4  # the reserved bit that says so
LIMIT = 1 << 20


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=12"),
        (
            b"permessage-deflate; client_max_window_bits",
            b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            b"permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
            b"permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
        (
            b'Permessage-Deflate;server_max_window_bits="15"',
            b"permessage-deflate; server_max_window_bits=12",
        ),
        (
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            b"permessage-deflate; server_max_window_bits=12;"
            b" server_no_context_takeover; client_no_context_takeover",
        ),
        (
            b"permessage-deflate; client_max_window_bits=8",
            b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=8",
        ),
    ],
)
def test_an_offer_and_its_answer(offer: bytes, answer: bytes) -> None:
    parameters = negotiate([b"x-webkit-deflate-frame", offer])
    assert parameters is not None
    assert parameters.render() == answer


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-bzip2",
        b"permessage-deflate; unknown",
        b"permessage-deflate; server_max_window_bits",
        b"permessage-deflate; server_max_window_bits=8",  # zlib cannot
        b"permessage-deflate; server_max_window_bits=16",
        b"permessage-deflate; server_max_window_bits=010",
        b"permessage-deflate; client_max_window_bits=7",
        b"permessage-deflate; server_no_context_takeover=true",
        b"permessage-deflate; client_max_window_bits; client_max_window_bits",
    ],
)
def test_an_offer_that_is_declined(offer: bytes) -> None:
    assert negotiate([offer]) is None
    assert negotiate([offer, b"permessage-deflate"]) == Parameters()


def conversation(limit: int = LIMIT, **agreed: object) -> Conversation:
    return Conversation(limit, Deflate(limit, Parameters(**agreed)))  # type: ignore[arg-type]


class Compressor:
    """A client's: one stream for all messages."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(wbits=-15)

    def __call__(self, data: bytes) -> bytes:
        return (self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def read(talk: Conversation, *frames: bytes) -> list[object]:
    talk.receive_data(b"".join(frames))
    return list(talk.events())


def test_messages_share_a_context() -> None:
    talk, compress = conversation(), Compressor()
    for _ in range(3):
        small = compress(b"the same words, again")
        assert read(talk, frame(TEXT, small, rsv=COMPRESSED)) == ["the same words, again"]
    assert len(small) < 10


def test_fragments_with_a_ping_between_and_messages_that_are_not_compressed() -> None:
    talk, compress = conversation(), Compressor()
    whole = compress(b"some text of no great length")
    events = read(
        talk,
        frame(BINARY, whole[:5], fin=False, rsv=COMPRESSED),
        frame(PING, b"?"),
        frame(CONTINUATION, whole[5:9], fin=False),
        frame(CONTINUATION, whole[9:]),
        frame(TEXT, b"plain"),
        frame(TEXT, compress(b""), rsv=COMPRESSED),
    )
    assert [e for e in events if isinstance(e, (str, bytes))] == [
        b"some text of no great length",
        "plain",
        "",
    ]


def test_no_context_takeover_of_the_client() -> None:
    talk = conversation(client_no_context_takeover=True)
    for text in (b"one", b"one"):
        assert read(talk, frame(BINARY, Compressor()(text), rsv=COMPRESSED)) == [text]


def test_a_final_block_ends_a_stream_and_not_the_message() -> None:
    """RFC 7692 7.2.3.4"""
    talk = conversation()
    stream = zlib.compressobj(wbits=-15)
    final = stream.compress(b"Hello") + stream.flush(zlib.Z_FINISH) + b"\x00"
    assert read(talk, frame(TEXT, final, rsv=COMPRESSED)) == ["Hello"]
    assert read(talk, frame(TEXT, Compressor()(b"again"), rsv=COMPRESSED)) == ["again"]


@pytest.mark.parametrize("chunk", [1 << 16, 100])
def test_a_bomb_is_not_inflated(chunk: int) -> None:
    """A thousandfold: 64 MiB in 64 KiB. What is made of it is what the message may have."""
    stream = zlib.compressobj(9, wbits=-15)
    bomb = stream.compress(bytes(64 << 20)) + stream.flush(zlib.Z_SYNC_FLUSH)
    raw = frame(BINARY, bomb[:-4], rsv=COMPRESSED)
    talk = conversation()
    tracemalloc.start()
    try:
        for start in range(0, len(raw), chunk):
            events = read(talk, raw[start : start + chunk])
            if events:
                break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events == [Fault(1009, "The message is too large.")]
    assert peak < 8 * LIMIT


def test_a_bomb_in_fragments_is_counted_together() -> None:
    stream = zlib.compressobj(9, wbits=-15)
    talk = conversation()
    part = stream.compress(bytes(LIMIT * 2 // 3)) + stream.flush(zlib.Z_SYNC_FLUSH)
    assert read(talk, frame(BINARY, part, fin=False, rsv=COMPRESSED)) == []
    part = stream.compress(bytes(LIMIT * 2 // 3)) + stream.flush(zlib.Z_SYNC_FLUSH)
    (event,) = read(talk, frame(CONTINUATION, part, fin=False))
    assert isinstance(event, Fault)
    assert event.code == 1009


def test_the_largest_message_still_fits() -> None:
    talk, compress = conversation(), Compressor()
    assert read(talk, frame(BINARY, compress(bytes(LIMIT)), rsv=COMPRESSED)) == [bytes(LIMIT)]
    (event,) = read(talk, frame(BINARY, compress(bytes(LIMIT + 1)), rsv=COMPRESSED))
    assert isinstance(event, Fault)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(TEXT, b"\xff\xff\xff\xff", rsv=COMPRESSED)], 1007),
        ([frame(PING, b"", rsv=COMPRESSED)], 1002),
        ([frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", rsv=COMPRESSED)], 1002),
        ([frame(TEXT, b"", rsv=2)], 1002),
        ([frame(TEXT, Compressor()(b"\xff"), rsv=COMPRESSED)], 1007),
    ],
    ids=["not deflated", "ping", "continuation", "another bit", "not UTF-8"],
)
def test_what_breaks_the_rules(frames: list[bytes], code: int) -> None:
    talk = conversation()
    (event,) = read(talk, *frames)
    assert isinstance(event, Fault)
    assert event.code == code
    assert read(talk, close_frame(1000)) == []


def inflated(frames: bytes, stream: zlib._Decompress) -> bytes:
    """The content of one short compressed frame of a server."""
    assert frames[0] & 0x40, "it is compressed"
    return stream.decompress(frames[2:] + b"\x00\x00\xff\xff")


def test_what_is_sent_is_compressed_where_it_pays() -> None:
    talk, stream = conversation(), zlib.decompressobj(-12)
    text = "so say we all, " * 10
    first, second = talk.message(text), talk.message(text)
    assert inflated(first, stream) == inflated(second, stream) == text.encode()
    assert len(second) < len(first) < len(text)
    short = talk.message("x" * (SMALLEST - 1))
    assert short[0] & 0x40 == 0
    assert talk.close(1000, "")[0] & 0x40 == 0


def test_no_context_takeover_of_the_server() -> None:
    talk = conversation(server_no_context_takeover=True)
    assert talk.message(b"a" * 100) == talk.message(b"a" * 100)


def test_parts_are_compressed_as_one_message() -> None:
    talk = conversation()
    first, last = talk.message("a" * 100, is_last=False), talk.message("b" * 100)
    assert (first[0], last[0]) == (0x41, 0x80)
    content = first[2:] + last[2:] + b"\x00\x00\xff\xff"
    assert zlib.decompressobj(-12).decompress(content) == b"a" * 100 + b"b" * 100


def test_the_windows_are_those_agreed_upon() -> None:
    """A back reference over more than 512 bytes must not come when 9 bits were asked for."""
    talk = conversation(server_max_window_bits=9)
    noise = zlib.compress(bytes(range(256)) * 3)[:300] + bytes(range(256)) * 2
    first, second = talk.message(noise), talk.message(noise)
    stream = zlib.decompressobj(-9)
    for sent in (first, second):
        size = int.from_bytes(sent[2:4], "big")
        assert stream.decompress(sent[4 : 4 + size] + b"\x00\x00\xff\xff") == noise


def test_the_close_of_the_client_is_read() -> None:
    assert read(conversation(), close_frame(1000, "bye")) == [Close(1000, "bye")]
