"""What an application has sent in answer to one request, and the bytes that its messages come to.

A pure state machine: messages in, bytes out, errors for what cannot come now. `Call` writes. Framing
is `greenuni.http.Responder`'s.

    AWAITED -> STARTED -> STREAMING -> (TRAILING) -> ENDED
                       -> FILE ->

The head is held back until the first body message, so that an error before it is still a clean 500
and a short response is one write.
"""

from __future__ import annotations

import enum
from typing import Any

from greenuni.asgi.scope import accepts_trailers
from greenuni.asgi.service import Service
from greenuni.eventstream import (
    COMMENT,
    completed,
    is_between_events,
    is_event_stream,
    tail_of,
    takes_comments,
)
from greenuni.http.connection import Connection as Wire
from greenuni.http.request import Request
from greenuni.http.responder import Responder


class UnexpectedMessage(RuntimeError):
    """The application sent a message that cannot come at this point, or is none."""


class Stage(enum.IntEnum):
    """How far the response has come."""

    AWAITED = 0
    STARTED = 1  # the head is known and held back
    STREAMING = 2  # the head has left
    FILE = 3  # the head has left, and the file's bytes follow
    TRAILING = 4  # the body is complete, trailers are promised
    ENDED = 5


STAGE_NAMES = ("awaited", "started", "streaming", "sending a file", "trailing", "complete")

# Plain numbers, which compiled code compares without a call.
_AWAITED, _STARTED, _STREAMING, _FILE, _TRAILING, _ENDED = map(int, Stage)

# What is done with a message.
_START, _HINT, _BODY, _TRAILER, _NOTHING = range(1, 6)

# The table of what may come when, by stage. Pathsend is not in it: the file is read first
# (`Cycle.send_file`). What comes when the response is complete is trailers that nobody asked for.
EXPECTED: tuple[dict[str, int], ...] = (
    {"http.response.start": _START, "http.response.early_hint": _HINT},
    {"http.response.body": _BODY, "http.response.early_hint": _HINT},
    {"http.response.body": _BODY, "http.response.early_hint": _HINT},
    {},
    {"http.response.trailers": _TRAILER},
    {"http.response.trailers": _NOTHING},
)


_EXPECTED = EXPECTED


class Reply:
    """One response. ``take`` raises UnexpectedMessage, or LocalProtocolError for what is not HTTP."""

    __slots__ = ("_request", "_service", "_tail", "_trailers", "responder", "stage")

    def __init__(self, service: Service, wire: Wire, request: Request) -> None:
        self._service = service
        self._request = request
        self._trailers: list[tuple[bytes, bytes]] | None = None  # when promised and wanted
        self.responder = Responder(wire, request)
        self.stage = _AWAITED
        self._tail = b""  # of a body that gets comments

    def __repr__(self) -> str:
        return f"<Reply {STAGE_NAMES[self.stage]} {self.responder!r}>"

    @property
    def is_unfinished(self) -> bool:
        """Whether the application has begun it and has not ended it."""
        return self.stage in (_STARTED, _STREAMING)

    @property
    def is_streaming(self) -> bool:
        """Whether something of the body has been sent, and more is to come."""
        return self.stage == _STREAMING

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is made of events, and can end after any of them."""
        return is_event_stream(self.responder.headers)

    def take(self, message: dict[str, Any]) -> list[bytes]:
        """The bytes to write now for the application's next message; often none."""
        steps = _EXPECTED[self.stage]
        step = steps.get(message["type"], 0)
        if step == _BODY:
            return self._body(message)
        if step == _START:
            return self._start(message)
        if step == _HINT:
            return self._hint(message)
        if step == _TRAILER:
            return self._trailer(message)
        if step == _NOTHING:
            return []
        raise self._unexpected(message)

    def end(self) -> list[bytes]:
        """End a body that has begun."""
        self.stage = _ENDED
        return self.responder.end()

    def comment(self) -> list[bytes]:
        """A comment between two events, with the head before the first; nothing where it cannot be."""
        responder = self.responder
        if (
            self.stage not in (_STARTED, _STREAMING)
            or not is_between_events(self._tail)
            or responder.remaining is not None
            or not responder.wants_body
            or not self.is_event_stream
            or not takes_comments(responder.headers)
        ):
            return []
        self.stage = _STREAMING
        return responder.send(COMMENT, True)

    def start_file(self, size: int) -> list[bytes]:
        """The head of a response whose ``size`` bytes of body the caller writes: stage FILE."""
        head = self.responder.passthrough(size)
        self.stage = _FILE
        return head

    def end_file(self) -> None:
        self.stage = _ENDED

    def _unexpected(self, message: dict[str, Any]) -> UnexpectedMessage:
        expected = " or ".join(EXPECTED[self.stage]) or "nothing more"
        return UnexpectedMessage(
            f"{message['type']!r} cannot come while the response is {STAGE_NAMES[self.stage]};"
            f" expected {expected}"
        )

    def _start(self, message: dict[str, Any]) -> list[bytes]:
        status = message.get("status")
        if status is None:
            raise UnexpectedMessage("'http.response.start' needs a 'status'")
        trailers = bool(message.get("trailers")) and accepts_trailers(self._request)
        service = self._service
        headers = message.get("headers", ())
        if service.keeps_streams:
            headers = completed(list(headers))
        self.responder.start(
            status,
            headers,
            b"",
            service.clock.date(),
            service.closes,
            trailers,
        )
        self._trailers = [] if trailers else None
        self.stage = _STARTED
        return []

    def _hint(self, message: dict[str, Any]) -> list[bytes]:
        """103 with Link fields (RFC 8297); dropped when the final head has left."""
        if self.responder.head_sent:
            return []
        links = [(b"link", bytes(link)) for link in message.get("links", ())]
        hint = self.responder.informational(103, links)
        return [hint] if hint else []

    def _body(self, message: dict[str, Any]) -> list[bytes]:
        chunk: Any = message.get("body", b"")
        if type(chunk) is not bytes:
            chunk = _as_bytes(chunk)
        if message.get("more_body"):
            parts = self.responder.send(chunk, True)
            self.stage = _STREAMING
            if self._service.keeps_streams:
                self._tail = tail_of(self._tail, chunk)
        elif self._trailers is not None:
            parts = self.responder.send(chunk, True)
            self.stage = _TRAILING
        else:
            parts = self.responder.send(chunk, False)
            self.stage = _ENDED
        return parts

    def _trailer(self, message: dict[str, Any]) -> list[bytes]:
        assert self._trailers is not None
        self._trailers.extend((name, value) for name, value in message.get("headers", ()))
        if message.get("more_trailers", False):
            return []
        self.stage = _ENDED
        return self.responder.end(self._trailers)


def _as_bytes(chunk: object) -> bytes:
    """Starlette sends memoryviews as they are."""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    raise UnexpectedMessage(f"the 'body' of a message must be bytes, not {type(chunk).__name__}")
