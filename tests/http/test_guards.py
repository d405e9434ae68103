"""The guards and the engine on their own: what the corpus cannot reach through a connection."""

from __future__ import annotations

import re

import pytest

from greenuni.errors import RemoteProtocolError
from greenuni.http import Limits
from greenuni.http.chunked import ChunkedGuard
from greenuni.http.fields import judge_fields
from greenuni.http.message import Message
from greenuni.http.section import SectionGuard
from greenuni.http.states import REQUEST, Sides
from tests.http.conversation import Conversation

pytestmark = pytest.mark.usefixtures("every_engine")

CHUNKED = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_section_guard_cuts_one_section_after_the_other() -> None:
    guard = SectionGuard(Limits(), has_request_line=True)
    head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    buffer = bytearray(b"\r\n" + head + b"\r\n" + head + head[:20])
    assert guard.take(buffer) == head
    assert guard.take(buffer) == head
    assert guard.take(buffer) == b""
    assert repr(guard) == "<SectionGuard of head lines=1 scanned=20>"
    assert buffer == head[:20]


def test_the_pattern_over_all_of_a_section_has_the_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = SectionGuard(Limits(), has_request_line=True)
    monkeypatch.setattr(guard, "_pattern", re.compile(b"nothing"))
    with pytest.raises(RemoteProtocolError, match="The request is malformed"):
        guard.take(bytearray(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))


def test_h11_wants_a_whole_head() -> None:
    with pytest.raises(RemoteProtocolError, match="The request is malformed"):
        Message().read_head(b"GET / HTTP/1.1\r\nHost: a\r\n")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "content-type",
        "Cookie",
        "Expect",
        "Forwarded",
        "Host",
        "If-Match",
        "Keep-Alive",
        "Max-Forwards",
        "Pragma",
        "Proxy-Authorization",
        "Range",
        "Set-Cookie",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "X-Forwarded-For",
    ],
)
@pytest.mark.parametrize("before", [b"", b"X-A: 1\r\n"], ids=["first", "second"])
def test_forbidden_trailers(name: str, before: bytes) -> None:
    trailers = before + name.encode() + b": 1\r\n\r\n"
    conversation = Conversation().feed([CHUNKED + b"0\r\n" + trailers])
    assert conversation.statuses == [400]


@pytest.mark.parametrize(
    "name", ["X-Host", "Hosts", "X-Content-Length", "Server-Timing", "Digest", "Tea"]
)
def test_other_trailers(name: str) -> None:
    conversation = Conversation().feed([CHUNKED + b"0\r\n" + name.encode() + b": host: 1\r\n\r\n"])
    assert conversation.statuses == [200]
    assert conversation.exchanges[0].trailers == [(name.lower().encode(), b"host: 1")]


def test_what_stands_before_a_fault_is_delivered() -> None:
    guard = ChunkedGuard(Limits())
    buffer = bytearray(b"3\r\nabc\r\nnonsense\r\n")
    assert guard.take(buffer) == b"3\r\nabc\r\n"
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="size line"):
            guard.take(buffer)


def test_long_lived_objects_show_their_state() -> None:
    guard = ChunkedGuard(Limits())
    guard.take(bytearray(b"5\r\nab"))
    assert repr(guard) == "<ChunkedGuard at payload payload=5>"
    assert repr(SectionGuard(Limits(), has_request_line=False)).startswith(
        "<SectionGuard of trailers"
    )
    fields = judge_fields([(b"X-A", b"1"), (b"Content-Length", b"5")])
    assert repr(fields) == "<ResponseFields [(b'X-A', b'1')] content_length=5>"
    sides = Sides()
    sides.advance(REQUEST)
    assert repr(REQUEST) == "<Step a request head came>"
    assert repr(sides) == "<Sides our_state=SEND_RESPONSE their_state=SEND_BODY>"
