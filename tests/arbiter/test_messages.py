"""Messages on the wire: whole, byte by byte, damaged, and into a pipe that nobody reads."""

from __future__ import annotations

import os
import threading

import pytest

from greenuni.arbiter.messages import (
    LONGEST_DETAILS,
    LONGEST_MESSAGE,
    Booted,
    Changed,
    Channel,
    Decoder,
    Failed,
    Message,
    MessageError,
    Ready,
    Retiring,
    encode,
)

ALL: list[Message] = [
    Booted(),
    Ready("app:app, \u2014 with 4 workers"),
    Failed("no module", 'File "a.py", line 1\n  \udce9', 3),
    Retiring("max-requests"),
    Changed("/srv/\udcff.py"),
]


def test_messages_come_back_as_they_were() -> None:
    found = list(Decoder().feed(b"".join(map(encode, ALL))))
    assert found == ALL
    assert [type(message) for message in found] == [type(message) for message in ALL]


def test_messages_come_back_byte_by_byte() -> None:
    decoder, found = Decoder(), []
    for byte in b"".join(map(encode, ALL)):
        found += decoder.feed(bytes([byte]))
    assert found == ALL
    assert repr(decoder) == "<Decoder 0 bytes wait>"


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"\0",
            b"Unknown",
            b"booted",
            b"Booted\0",
            b"Booted\0x",
            b"Ready",
            b"Ready\0a\0b",
            b"\xff",
        ),
        *(b"Failed\0message\0details\0three", b"Failed\0message\0details", b"Message\0x"),
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        list(Decoder().feed(len(body).to_bytes(4, "big") + body))


def test_a_nul_in_a_field_is_shown() -> None:
    assert list(Decoder().feed(encode(Failed("a\0b", "\0", 3)))) == [Failed("a\\0b", "\\0", 3)]


def test_what_came_before_nonsense_is_heard() -> None:
    messages = Decoder().feed(encode(Booted()) + b"\0\0\0\2[]" + encode(Booted()))
    assert next(messages) == Booted()
    with pytest.raises(MessageError):
        next(messages)


def test_a_message_that_is_too_long_is_refused_before_it_is_kept() -> None:
    with pytest.raises(MessageError):
        list(Decoder().feed((LONGEST_MESSAGE + 1).to_bytes(4, "big")))


def test_long_details_keep_their_end() -> None:
    (failed,) = Decoder().feed(encode(Failed("deep", "x" * LONGEST_DETAILS + "the cause", 3)))
    assert isinstance(failed, Failed)
    assert len(failed.details) == LONGEST_DETAILS + 3
    assert failed.details.startswith("...x")
    assert failed.details.endswith("the cause")


def test_long_details_of_wide_characters_still_fit() -> None:
    failed = Failed("deep", "\N{SNOWMAN}" * LONGEST_DETAILS, 3)
    assert len(encode(failed)) < LONGEST_MESSAGE


def test_a_channel_writes_whole_messages_from_any_thread() -> None:
    reader, writer = os.pipe()
    channel = Channel(writer)
    message = Changed("x" * 9000)  # more than a pipe takes atomically
    threads = [
        threading.Thread(target=lambda: [channel.send(message) for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    decoder, found = Decoder(), []
    while len(found) < 80:
        found += decoder.feed(os.read(reader, 5000))
    for thread in threads:
        thread.join()
    assert set(found) == {message}
    os.close(reader)
    os.close(writer)


def test_a_channel_without_a_reader_drops_what_is_said() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Channel(writer).send(Booted())
    os.close(writer)
