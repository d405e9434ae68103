"""The two halves of a cycle by themselves: what goes in (`Inbox`) and what comes out (`Reply`)."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from greenuni.asgi.aio import AsyncioRuntime
from greenuni.asgi.channel import Channel
from greenuni.asgi.inbox import Inbox
from greenuni.asgi.reply import EXPECTED, STAGE_NAMES, Reply, Stage, UnexpectedMessage
from greenuni.asgi.service import Service
from greenuni.http import Connection as Wire
from greenuni.http import Limits, Request
from greenuni.shell import Interface
from greenuni.testing import fake_seat

from .support import Message, hello

START = {"type": "http.response.start", "status": 200}
DISCONNECT = {"type": "http.disconnect"}


class Asked(Channel):
    """The one method of a channel that an inbox uses."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def ask_for_body(self) -> None:
        self.times += 1


def with_inbox(test: Any) -> Any:
    def run() -> None:
        async def main() -> None:
            channel = Asked()
            await test(Inbox(channel, AsyncioRuntime()), channel)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


def request_message(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def ready(inbox: Inbox) -> Message | None:
    """What receive() returns without waiting, or None."""
    inbox.ask()
    return inbox.next()


@with_inbox
async def test_an_empty_body_is_one_message(inbox: Inbox, channel: Asked) -> None:
    inbox.end()
    assert ready(inbox) == request_message(b"", False)
    assert ready(inbox) is None
    assert channel.times == 0


@with_inbox
async def test_what_has_come_is_one_message(inbox: Inbox, channel: Asked) -> None:
    assert ready(inbox) is None
    inbox.feed(b"one ")
    inbox.feed(b"two")
    assert inbox.size == 7
    assert ready(inbox) == request_message(b"one two", True)
    inbox.feed(b"three")
    inbox.end()
    assert ready(inbox) == request_message(b"three", False)
    assert inbox.size == 0
    assert channel.times == 2  # each time, while the body was arriving


@with_inbox
async def test_a_complete_body_comes_before_the_disconnect(inbox: Inbox, channel: Asked) -> None:
    inbox.feed(b"body")
    inbox.end()
    inbox.disconnect()
    assert not inbox.has_told
    assert ready(inbox) == request_message(b"body", False)
    assert [ready(inbox) for _ in range(3)] == [DISCONNECT] * 3
    assert inbox.has_told


@with_inbox
async def test_after_close_nothing_comes_but_the_disconnect(inbox: Inbox, channel: Asked) -> None:
    inbox.feed(b"body")
    inbox.close()
    inbox.feed(b"more")
    inbox.end()
    assert [ready(inbox) for _ in range(3)] == [DISCONNECT] * 3


@with_inbox
async def test_two_that_wait_share_what_comes(inbox: Inbox, channel: Asked) -> None:
    first, second = (asyncio.ensure_future(inbox.waiting().wait()) for _ in range(2))
    await asyncio.sleep(0)
    inbox.feed(b"body")
    await first
    await second
    assert ready(inbox) == request_message(b"body", True)
    assert ready(inbox) is None
    third = asyncio.ensure_future(inbox.waiting().wait())
    inbox.end()
    await third
    assert ready(inbox) == request_message(b"", False)


@with_inbox
async def test_a_body_that_came_with_the_head_is_one_message(inbox: Inbox, channel: Asked) -> None:
    inbox = Inbox(channel, AsyncioRuntime(), b"whole")
    assert not inbox.is_full
    assert ready(inbox) == request_message(b"whole", False)
    assert ready(inbox) is None
    inbox.disconnect()
    assert ready(inbox) == DISCONNECT
    assert channel.times == 0


def make_reply(*headers: str, version: str = "1.1", method: str = "GET") -> Reply:
    async def main() -> Service:
        seat = fake_seat(hello, Interface.ASGI3, [])
        return Service(seat, hello, AsyncioRuntime(), contextvars.copy_context(), {})

    wire = Wire(Limits())
    lines = "".join(f"{line}\r\n" for line in ("Host: a", *headers))
    wire.receive_data(f"{method} / HTTP/{version}\r\n{lines}\r\n".encode())
    request = wire.next_event()
    assert isinstance(request, Request)
    wire.next_event()
    return Reply(asyncio.run(main()), wire, request)


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_the_head_waits_for_the_body() -> None:
    reply = make_reply()
    assert reply.take(START) == []
    assert reply.stage == Stage.STARTED
    (data,) = reply.take(body(b"all"))
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"Content-Length: 3\r\n\r\nall")
    assert reply.stage == Stage.ENDED


def test_an_empty_first_chunk_sends_the_head() -> None:
    reply = make_reply()
    reply.take(START)
    assert reply.take(body(b"", more=True))[0].endswith(b"Transfer-Encoding: chunked\r\n\r\n")
    assert reply.take(body(b"x", more=True)) == [b"1\r\nx\r\n"]
    assert reply.take(body(b"", more=True)) == []
    assert reply.take(body(b"")) == [b"0\r\n\r\n"]


def test_a_stream_for_head_is_a_head() -> None:
    reply = make_reply(method="HEAD")
    reply.take(START)
    assert b"HTTP/1.1 200 OK" in reply.take(body(b"x", more=True))[0]
    assert reply.take(body(b"x", more=True)) == []
    assert reply.take(body(b"x")) == []
    assert reply.stage == Stage.ENDED


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_says_what_it_expects(stage: Stage) -> None:
    reply = make_reply()
    reply.stage = stage
    with pytest.raises(UnexpectedMessage) as caught:
        reply.take({"type": "http.nonsense"})
    for expected in EXPECTED[stage]:
        assert expected in str(caught.value)
    assert STAGE_NAMES[stage] in str(caught.value)


def test_a_failed_start_can_be_followed_by_another() -> None:
    reply = make_reply()
    with pytest.raises(Exception, match="x-evil"):
        reply.take({**START, "headers": [(b"x-evil", b"1\n2")]})
    assert reply.stage == Stage.AWAITED
    reply.take({**START, "status": 500})
    assert reply.take(body(b""))[0].startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(b"text/event-stream; charset=utf-8", True), (b"TEXT/Event-Stream", True), (b"x", False)],
)
def test_event_streams_are_known_by_their_type(content_type: bytes, expected: bool) -> None:
    reply = make_reply()
    reply.take({**START, "headers": [(b"Content-Type", content_type)]})
    assert reply.is_event_stream is expected


def test_only_an_event_stream_has_an_end_of_its_own() -> None:
    reply = make_reply()
    reply.take(START)
    reply.take(body(b"data", more=True))
    assert reply.end() == [b"0\r\n\r\n"]
    assert reply.stage == Stage.ENDED


def test_representations_show_the_state() -> None:
    reply = make_reply()
    assert repr(reply).startswith("<Reply awaited ")
