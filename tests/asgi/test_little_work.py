"""What a plain request does not make, and does not wait for: timers, events, turns of the loop, records."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, NoReturn

import pytest

import greenuni.asgi.call
from greenuni.asgi.aio import AsyncioRuntime
from greenuni.asgi.connection import Connection
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import Service
from greenuni.shell import Interface
from greenuni.testing import MemoryTransport, fake_seat

from .support import GET, Receive, Send, hello, respond

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
PEER = Peer(("192.0.2.1", 1234), ("192.0.2.2", 80), is_trusted=False)


async def listening(scope: Any, receive: Receive, send: Send) -> None:
    """Reads the body, answers, and waits until the client goes."""
    await receive()
    await respond(send, b"heard")
    while (await receive())["type"] != "http.disconnect":
        pass


def answered_at_once(app: Any, data: bytes, *forbidden: tuple[Any, str]) -> bytes:
    """What has been written when ``data_received``, called by the loop, returns.

    Who asks for an attribute that is ``forbidden`` meanwhile, and calls it, fails.
    """

    async def main() -> bytes:
        seat = fake_seat(app, Interface.ASGI3, [])
        service = Service(seat, app, AsyncioRuntime(), contextvars.copy_context(), {})
        connection, transport = Connection(service, PEER), MemoryTransport()
        transport.connect(connection)
        written: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            with pytest.MonkeyPatch.context() as patch:
                for owner, name in forbidden:
                    patch.setattr(owner, name, refuse)
                connection.data_received(data)
            written.set_result(transport.take())

        asyncio.get_running_loop().call_soon(arrive)
        return await written

    return asyncio.run(main())


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("made what nobody needs")


@pytest.mark.parametrize(("app", "data"), [(hello, GET), (listening, GET), (listening, POST)])
def test_it_is_answered_before_the_loop_turns(app: Any, data: bytes) -> None:
    """Whether tasks start eagerly by themselves (Python 3.12) or by `eager.EagerStarts`."""
    assert answered_at_once(app, data).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", ["Event", "Lock", "Condition", "Semaphore"])
def test_nothing_is_made_to_wait_with(name: str) -> None:
    assert answered_at_once(listening, POST, (asyncio, name)).endswith(b"heard")


def test_no_timer_is_armed() -> None:
    timers = [(asyncio.BaseEventLoop, name) for name in ("call_later", "call_at")]
    assert answered_at_once(listening, POST, *timers).endswith(b"heard")


def test_no_record_is_made_while_the_access_log_is_off() -> None:
    record = (greenuni.asgi.call, "Exchange")
    assert answered_at_once(hello, GET, record).endswith(b"Hello, world!")


async def waiting(scope: Any, receive: Receive, send: Send) -> None:
    """Asks for more than has come."""
    await receive()
    await receive()


def test_who_waits_has_an_event_and_what_is_forbidden_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert b" 500 " in answered_at_once(waiting, GET, (asyncio, "Event"))
    assert "made what nobody needs" in caplog.text
