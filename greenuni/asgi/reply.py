"""What an application has sent in answer to one request, and the bytes that its messages come to.

A pure state machine: messages in, bytes out, errors for what cannot come now. `Cycle` waits and
writes. Framing is `greenuni.http.Responder`'s.

    AWAITED -> STARTED -> STREAMING -> (TRAILING) -> ENDED
                       -> FILE ->

The head is held back until the first body message, so that an error before it is still a clean 500
and a short response is one write.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from greenuni.asgi.interfaces import Message
from greenuni.asgi.scope import accepts_trailers
from greenuni.asgi.service import Service
from greenuni.http import Connection as Wire
from greenuni.http import Request, Responder


class UnexpectedMessage(RuntimeError):
    """The application sent a message that cannot come at this point, or is none."""


class Stage(enum.Enum):
    """How far the response has come, and by ``steps`` what may be sent from there."""

    steps: dict[str, Step]

    AWAITED = "awaited"
    STARTED = "started"  # the head is known and held back
    STREAMING = "streaming"  # the head has left
    FILE = "sending a file"  # the head has left, and the file's bytes follow
    TRAILING = "trailing"  # the body is complete, trailers are promised
    ENDED = "complete"


# A member looked up on its class costs several times what a global does, for every message.
AWAITED, STARTED, STREAMING, FILE, TRAILING, ENDED = Stage


class Reply:
    """One response. ``take`` raises UnexpectedMessage, or LocalProtocolError for what is not HTTP."""

    __slots__ = ("_request", "_service", "_trailers", "responder", "stage")

    def __init__(self, service: Service, wire: Wire, request: Request) -> None:
        self._service = service
        self._request = request
        self._trailers: list[tuple[bytes, bytes]] | None = None  # when promised and wanted
        self.responder = Responder(wire, request)
        self.stage = AWAITED

    def __repr__(self) -> str:
        return f"<Reply {self.stage.value} {self.responder!r}>"

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is made of events, and can end after any of them."""
        return any(
            name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
            for name, value in self.responder.headers
        )

    def take(self, message: Message) -> bytes:
        """The bytes to write now for the application's next message; often none."""
        step = self.stage.steps.get(message["type"])
        if step is None:
            raise self._unexpected(message)
        return step(self, message)

    def end(self) -> bytes:
        """End a body that has begun."""
        self.stage = ENDED
        return b"".join(self.responder.end())

    def start_file(self, size: int) -> bytes:
        """The head of a response whose ``size`` bytes of body the caller writes: stage FILE."""
        head = b"".join(self.responder.passthrough(size))
        self.stage = FILE
        return head

    def end_file(self) -> None:
        self.stage = ENDED

    def _unexpected(self, message: Message) -> UnexpectedMessage:
        expected = " or ".join(self.stage.steps) or "nothing more"
        return UnexpectedMessage(
            f"{message['type']!r} cannot come while the response is {self.stage.value};"
            f" expected {expected}"
        )

    def _start(self, message: Message) -> bytes:
        if "status" not in message:
            raise UnexpectedMessage("'http.response.start' needs a 'status'")
        promised = message.get("trailers", False)
        accepted = promised and accepts_trailers(self._request)
        service = self._service
        self.responder.start(
            message["status"],
            message.get("headers", ()),
            date=service.clock.date(),
            close=service.closes,
            trailers=accepted,
        )
        self._trailers = [] if accepted else None
        self.stage = STARTED
        return b""

    def _hint(self, message: Message) -> bytes:
        """103 with Link fields (RFC 8297); dropped when the final head has left."""
        if self.responder.head_sent:
            return b""
        links = [(b"link", bytes(link)) for link in message.get("links", ())]
        return self.responder.informational(103, links)

    def _body(self, message: Message) -> bytes:
        chunk = message.get("body", b"")
        if type(chunk) is not bytes:
            chunk = _as_bytes(chunk)
        if message.get("more_body", False):
            parts, stage = self.responder.send(chunk, True), STREAMING
        elif self._trailers is not None:
            parts, stage = self.responder.send(chunk, True), TRAILING
        else:
            parts, stage = self.responder.send(chunk, False), ENDED
        self.stage = stage
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _trailer(self, message: Message) -> bytes:
        assert self._trailers is not None
        self._trailers.extend((name, value) for name, value in message.get("headers", ()))
        if message.get("more_trailers", False):
            return b""
        self.stage = ENDED
        return b"".join(self.responder.end(self._trailers))

    def _nothing(self, message: Message) -> bytes:
        """Trailers that the client did not ask for: the response was complete without them."""
        return b""


Step = Callable[[Reply, Message], bytes]

# The table of what may come when. It hangs on the stages themselves, because to look a member up in
# a dictionary is to hash it in Python. Pathsend is not here: the file is read first (`Cycle`).
AWAITED.steps = {
    "http.response.start": Reply._start,
    "http.response.early_hint": Reply._hint,
}
STARTED.steps = {
    "http.response.body": Reply._body,
    "http.response.early_hint": Reply._hint,
}
STREAMING.steps = {
    "http.response.body": Reply._body,
    "http.response.early_hint": Reply._hint,
}
FILE.steps = {}
TRAILING.steps = {"http.response.trailers": Reply._trailer}
ENDED.steps = {"http.response.trailers": Reply._nothing}


def _as_bytes(chunk: object) -> bytes:
    """Starlette sends memoryviews as they are."""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    raise UnexpectedMessage(f"the 'body' of a message must be bytes, not {type(chunk).__name__}")
