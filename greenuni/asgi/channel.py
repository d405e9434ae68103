"""What others ask of a connection: the transport below it, and the application's calls above.

Classes and no protocols, so that compiled code calls their methods directly. A compiled class has one
base, so the second is built on the first.
"""

from __future__ import annotations

from typing import Any

from greenuni.asgi.interfaces import Waiting


class TransportUser:
    """What a transport calls; asyncio.Protocol has the full meaning of each."""

    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError

    def eof_received(self) -> bool:
        """True keeps the writing side open; otherwise the transport closes itself."""
        raise NotImplementedError

    def connection_lost(self, error: Exception | None) -> None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        raise NotImplementedError

    def resume_writing(self) -> None:
        raise NotImplementedError

    def flushed(self) -> None:
        """What had to be buffered has all been sent."""


class Channel(TransportUser):
    """What a call of the application asks of the connection that its request came on."""

    __slots__ = ("write_paused",)

    def __init__(self) -> None:
        self.write_paused = False  # the transport's buffer is above its high-water mark

    def write(self, parts: list[bytes]) -> None:
        """Send what the parts come to; the caller does not touch the list again."""
        raise NotImplementedError

    def writable(self) -> Waiting:
        """Something to wait for until ``write_paused`` may be over or the connection is lost."""
        raise NotImplementedError

    def ask_for_body(self) -> None:
        """The application wants (more of) the body: 100 Continue if the client waits for it."""
        raise NotImplementedError

    def response_ended(self) -> None:
        """The last byte of the response has been written: on to the next request, or close."""
        raise NotImplementedError

    def refuse(self, status: int, detail: str) -> None:
        """Answer with an error response of the server's own; only while no head has left."""
        raise NotImplementedError

    def break_off(self, must_reset: bool) -> None:
        """The response that has begun cannot be completed, and the client must notice.

        ``must_reset`` when the end of the connection is the end of the body: then an orderly close
        would make it look complete.
        """
        raise NotImplementedError

    def call_finished(self) -> None:
        """The application has returned, which may be long after ``response_ended``."""
        raise NotImplementedError
