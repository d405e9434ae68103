"""One request and its response: the application's task, and the messages that it sends.

Nothing here knows a socket or a loop. The connection feeds the `Inbox` and says when the client is
gone; what goes out is framed by `greenuni.http.Responder` and given to the `Channel`. Two things
move independently:

    Reply     what the application has sent   AWAITED -> STARTED -> STREAMING -> (TRAILING) -> ENDED
    Client    whom we answer                  PRESENT -> FINISHED | DISMISSED -> LOST

The head is held back until the first body message, so that an error before it is still a clean 500
and a short response is one write. After the client is LOST, ``send`` does nothing (spec_version 2.3).

``send`` passes a checkpoint only to wait for a slow client, or after so many messages or bytes that
an application which never waits for anything else would keep the loop from everybody.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable

from greenuni import failure
from greenuni.asgi.inbox import Inbox
from greenuni.asgi.interfaces import Cancellable, Channel, Message
from greenuni.asgi.scope import Peer, accepts_trailers, build_scope
from greenuni.asgi.sendfile import FileToSend
from greenuni.asgi.service import Service
from greenuni.http import Connection as Wire
from greenuni.http import Request, Responder
from greenuni.observe import Exchange

# What a response may send before other tasks get their turn: 64 KiB, or 16 small messages.
CREDIT = 65536
MESSAGE_COST = 4096

# Not a status of HTTP: nginx's word in access logs for a client that left before it was answered.
CLIENT_CLOSED_REQUEST = 499


class UnexpectedMessage(RuntimeError):
    """The application sent a message that cannot come at this point, or is none."""


class Client(enum.Enum):
    """Whether anybody waits for the response."""

    PRESENT = "present"
    FINISHED = "finished"  # its EOF came: it has gone, or closed one half and still reads
    DISMISSED = "dismissed"  # the worker is leaving and wants the application to end
    LOST = "lost"  # nothing can be sent any more


class Reply(enum.Enum):
    """How far the application has come with its response, and what it may send from there."""

    steps: dict[str, Step]

    AWAITED = "awaited"
    STARTED = "started"  # the head is known and held back
    STREAMING = "streaming"  # the head has left
    FILE = "sending a file"
    TRAILING = "trailing"  # the body is complete, trailers are promised
    ENDED = "complete"


# A member looked up on its class costs several times what a global does, for every message.
PRESENT, FINISHED, DISMISSED, LOST = Client
AWAITED, STARTED, STREAMING, FILE, TRAILING, ENDED = Reply


class Cycle:
    """One request. The connection makes it when the head is complete; ``start`` runs it."""

    __slots__ = (
        "_channel",
        "_client",
        "_client_name",
        "_credit",
        "_is_cancelled",
        "_peer",
        "_reply",
        "_request",
        "_responder",
        "_service",
        "_started_at",
        "_status",
        "_task",
        "_trailers",
        "inbox",
    )

    def __init__(
        self,
        service: Service,
        channel: Channel,
        wire: Wire,
        request: Request,
        peer: Peer,
        started_at: float,
    ) -> None:
        self._service = service
        self._channel = channel
        self._request = request
        self._responder = Responder(wire, request)
        self._peer = peer
        self._started_at = started_at  # monotonic seconds, first byte of the request
        self._client = PRESENT
        self._client_name = ""
        self._reply = AWAITED
        self._status = CLIENT_CLOSED_REQUEST  # for the access log, if the application gives none
        self._credit = CREDIT
        self._trailers: list[tuple[bytes, bytes]] | None = None  # when promised
        self._task: Cancellable | None = None
        self._is_cancelled = False
        self.inbox = Inbox(channel, service.runtime)

    def __repr__(self) -> str:
        return (
            f"<Cycle {self._title()} reply={self._reply.value}"
            f" client={self._client.value} {self.inbox!r}>"
        )

    # Called by the connection and the service

    def start(self) -> None:
        """Run the application in a task of its own."""
        request, service = self._request, self._service
        service.request_started(self, request.method + b" " + request.raw_path)
        self._task = service.runtime.spawn(service.context, self._run)

    def peer_finished(self) -> None:
        """The client's EOF has come, behind a complete request."""
        if self._client is PRESENT:
            self._client = FINISHED
            self.inbox.disconnect()

    def peer_lost(self, status: int = CLIENT_CLOSED_REQUEST) -> None:
        """Nothing can be sent any more; ``status`` is what the connection answered, if it did."""
        self._client = LOST
        self._status = status
        self.inbox.close()

    def dismiss(self) -> None:
        """See `service.Running`. What the application still sends is still delivered."""
        if self._client is PRESENT:
            self._client = DISMISSED
            self.inbox.disconnect()

    def cancel(self) -> None:
        """See `service.Running`."""
        # Once: on asyncio a second time would interrupt what it does to clean up.
        if self._task is not None and not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    def describe(self, now: float) -> str:
        """See `service.Running`."""
        return f"{self._title()}, {now - self._started_at:.1f} s"

    def fail(self, status: int, detail: str) -> None:
        """Answer with the server's own error if nothing has left yet, else break the response off."""
        if self._client is LOST:
            return
        if self._responder.head_sent:
            self._break_off(status)
        else:
            self._channel.refuse(status, detail)
            self.peer_lost(status)

    def _break_off(self, status: int) -> None:
        self._channel.break_off(must_reset=self._request.http_version == b"1.0")
        self.peer_lost(status)

    def _title(self) -> str:
        return failure.title(self._request.method, self._request.raw_path)

    def _is_lost(self) -> bool:
        return self._client is LOST

    # The application's task

    async def _run(self) -> None:
        service = self._service
        try:
            scope = build_scope(self._request, self._peer, service)
            if scope["client"] is not None:
                self._client_name = scope["client"][0]
            await service.app(scope, self.inbox.receive, self.send)
        except service.runtime.cancelled as error:
            self._cancelled(error)
            raise
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: one request must not end the others
            self._raised(error)
        else:
            if self._reply is not ENDED:
                self._returned_early()
        finally:
            if self._reply is not ENDED:
                self._record()
            service.request_finished(self)
            self._channel.cycle_finished()

    def _raised(self, error: BaseException) -> None:
        log = self._service.seat.log
        if self.inbox.has_told and self._reply is not ENDED:
            # It was told that nobody listens, and this is how it stopped.
            log.debug(
                "%s: the application raised %r after http.disconnect",
                self._title(),
                error,
            )
            self._leave()
            return
        identifier = failure.request_id(self._request.headers)
        failure.log_exception(log, self._title(), identifier, error)
        if self._reply is not ENDED:
            self.fail(500, failure.page_detail(identifier))

    def _cancelled(self, error: BaseException) -> None:
        if not self._is_cancelled:
            self._raised(error)
        elif self._reply is not ENDED:
            self._leave()

    def _returned_early(self) -> None:
        if self.inbox.has_told or self._client is LOST:
            self._leave()
            return
        identifier = failure.request_id(self._request.headers)
        complaint = f"the application returned while its response was {self._reply.value}"
        failure.log_complaint(self._service.seat.log, self._title(), identifier, complaint)
        self.fail(500, failure.page_detail(identifier))

    def _leave(self) -> None:
        """End a response that the application gave up because it was told to, or was cancelled.

        A stream of events has no length that could be wrong: it is ended as it should be. Any other
        body would be taken for complete when it is not, so there the connection breaks.
        """
        if self._client is LOST:
            return
        if self._reply is STREAMING and self._is_event_stream():
            self._write(self._responder.end())
            self._end()
        elif self._client is FINISHED:
            self._break_off(CLIENT_CLOSED_REQUEST)
        else:
            self.fail(503, "The server is shutting down.")

    def _is_event_stream(self) -> bool:
        return any(
            name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
            for name, value in self._responder.headers
        )

    def _record(self) -> None:
        """Write the line of the access log."""
        access = self._service.seat.access
        if access is None:
            return
        request, responder = self._request, self._responder
        access.write(
            Exchange(
                client=self._client_name,
                method=request.method,
                target=request.target,
                http_version=request.http_version,
                headers=request.headers,
                status=responder.status if responder.head_sent else self._status,
                response_headers=responder.headers,
                body_bytes=responder.body_bytes,
                seconds=time.monotonic() - self._started_at,
            )
        )

    # What the application sends

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises UnexpectedMessage, or LocalProtocolError for what is not HTTP."""
        if self._channel.write_paused:
            await self._channel.wait_writable()
        if self._client is LOST:
            # An application that streams without end learns it from receive(), or never.
            await self._service.runtime.checkpoint()
            return
        step = self._reply.steps.get(message["type"])
        if step is None:
            raise _unexpected(self._reply, message)
        pending = step(self, message)
        if pending is not None:
            await pending

    def _on_start(self, message: Message) -> None:
        if "status" not in message:
            raise UnexpectedMessage("'http.response.start' needs a 'status'")
        promised = message.get("trailers", False)
        accepted = promised and accepts_trailers(self._request)
        service = self._service
        self._responder.start(
            message["status"],
            message.get("headers", ()),
            date=service.clock.date(),
            close=service.closes,
            trailers=accepted,
        )
        self._trailers = [] if accepted else None
        self._reply = STARTED

    def _on_early_hint(self, message: Message) -> None:
        """103 with Link fields (RFC 8297); dropped when the final head has left."""
        if not self._responder.head_sent:
            links = [(b"link", bytes(link)) for link in message.get("links", ())]
            self._channel.write(self._responder.informational(103, links))

    def _on_body(self, message: Message) -> Awaitable[None] | None:
        chunk = message.get("body", b"")
        if type(chunk) is not bytes:
            chunk = _as_bytes(chunk)
        if message.get("more_body", False):
            self._write(self._responder.send(chunk, True))
            self._reply = STREAMING
            return self._yield_if_due(len(chunk))
        if self._trailers is not None:
            self._write(self._responder.send(chunk, True))
            self._reply = TRAILING
            return None
        self._write(self._responder.send(chunk, False))
        self._end()
        return None

    def _on_trailers(self, message: Message) -> None:
        assert self._trailers is not None
        self._trailers.extend((name, value) for name, value in message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._write(self._responder.end(self._trailers))
            self._end()

    def _on_path(self, message: Message) -> Awaitable[None]:
        return self._send_file(message["path"])

    def _ignore(self, message: Message) -> None:
        """Trailers that the client did not ask for; the response was complete without them."""

    async def _send_file(self, path: str) -> None:
        async with FileToSend(path, self._service.file_readers) as file:
            if self._is_lost():
                return
            parts = self._responder.passthrough(file.size)
            self._reply = FILE
            if self._responder.wants_body:
                async for block in file.blocks():
                    parts.append(block)
                    self._write(parts)
                    parts = []
                    if self._channel.write_paused:
                        await self._channel.wait_writable()
                    if self._is_lost():
                        return
                if file.remaining:
                    raise EOFError(f"{path!r} has become shorter while it was sent")
            self._write(parts)
        self._end()

    def _write(self, parts: list[bytes]) -> None:
        if parts:
            self._channel.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def _yield_if_due(self, sent: int) -> Awaitable[None] | None:
        self._credit -= sent + MESSAGE_COST
        if self._credit > 0:
            return None
        self._credit = CREDIT
        return self._service.runtime.checkpoint()

    def _end(self) -> None:
        self._reply = ENDED
        self.inbox.close()
        self._record()
        self._channel.response_ended()


Step = Callable[[Cycle, Message], Awaitable[None] | None]

# The table of what may come when. It hangs on the states themselves, because looking a member up in
# a dictionary hashes it in Python.
Reply.AWAITED.steps = {
    "http.response.start": Cycle._on_start,
    "http.response.early_hint": Cycle._on_early_hint,
}
Reply.STARTED.steps = {
    "http.response.body": Cycle._on_body,
    "http.response.pathsend": Cycle._on_path,
    "http.response.early_hint": Cycle._on_early_hint,
}
Reply.STREAMING.steps = {
    "http.response.body": Cycle._on_body,
    "http.response.early_hint": Cycle._on_early_hint,
}
Reply.FILE.steps = {}
Reply.TRAILING.steps = {"http.response.trailers": Cycle._on_trailers}
Reply.ENDED.steps = {"http.response.trailers": Cycle._ignore}


def _unexpected(reply: Reply, message: Message) -> UnexpectedMessage:
    expected = " or ".join(reply.steps) or "nothing more"
    return UnexpectedMessage(
        f"{message['type']!r} cannot come while the response is {reply.value}; expected {expected}"
    )


def _as_bytes(chunk: object) -> bytes:
    """Starlette sends memoryviews as they are."""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    raise UnexpectedMessage(f"the 'body' of a message must be bytes, not {type(chunk).__name__}")
