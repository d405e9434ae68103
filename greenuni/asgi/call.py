"""One call of the application: one request, from its head to the return of the application.

Nothing here knows a socket or a loop. The dialogue feeds the `Inbox` and says when the client is
gone; messages become bytes in `Reply`, and bytes go to the `Channel`.

    Client    whom we answer                  PRESENT -> FINISHED | DISMISSED -> LOST

After the client is LOST, ``send`` does nothing (spec_version 2.3). It passes a checkpoint only to
wait for a slow client, or after so many messages or bytes that an application which never waits for
anything else would keep the loop from everybody.

All that need not wait is in this module, which is compiled. What the application awaits are
coroutines of Python's own, because some applications look for those; they are in ``cycle``.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

from greenuni import failure
from greenuni.asgi.channel import Channel
from greenuni.asgi.control import RequestControl
from greenuni.asgi.inbox import Inbox
from greenuni.asgi.interfaces import Cancellable, Message
from greenuni.asgi.reply import STAGE_NAMES, Reply, Stage
from greenuni.asgi.scope import Peer, build_scope
from greenuni.asgi.service import Service
from greenuni.deadlines import TOO_LATE
from greenuni.http import error_content
from greenuni.http.connection import Connection as Wire
from greenuni.http.request import Request
from greenuni.observe import Exchange

# What a response may send before other tasks get their turn: 64 KiB, or 16 small messages.
CREDIT = 65536
MESSAGE_COST = 4096

# Not a status of HTTP: nginx's word in access logs for a client that left before it was answered.
CLIENT_CLOSED_REQUEST = 499

SHUTTING_DOWN = "The server is shutting down."


class Client(enum.IntEnum):
    """Whether anybody waits for the response."""

    PRESENT = 0
    FINISHED = 1  # its EOF came: it has gone, or closed one half and still reads
    DISMISSED = 2  # the worker is leaving and wants the application to end
    LOST = 3  # nothing can be sent any more


# Plain numbers, which compiled code compares without a call.
_PRESENT, _FINISHED, _DISMISSED, _LOST = map(int, Client)
_STARTED, _STREAMING, _ENDED = int(Stage.STARTED), int(Stage.STREAMING), int(Stage.ENDED)


class Call:
    """See the module. The dialogue makes it when the head is complete; ``start`` runs it."""

    __slots__ = (
        "_client",
        "_client_name",
        "_credit",
        "_extended_until",
        "_is_cancelled",
        "_peer",
        "_refusal_bytes",
        "_request",
        "_status",
        "channel",
        "inbox",
        "reply",
        "service",
        "started_at",
        "task",
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
        self.service = service
        self._request = request
        self.channel = channel
        self.reply = Reply(service, wire, request)
        self.inbox = Inbox(channel, self.service.runtime, self._request.body)
        self._peer = peer
        self.started_at = started_at  # monotonic seconds, first byte of the request
        self._client = _PRESENT
        self._client_name = ""
        self._status = CLIENT_CLOSED_REQUEST  # for the access log, if the application gives none
        self._refusal_bytes = 0  # content of the error response that the dialogue made, if it did
        self._credit = CREDIT
        self.task: Cancellable | None = None  # what runs it
        self._is_cancelled = False
        self._extended_until = 0.0  # monotonic seconds; what the application has asked for

    def __repr__(self) -> str:
        client = Client(self._client).name.lower()
        return f"<Cycle {self.title()} client={client} {self.reply!r} {self.inbox!r}>"

    # The coroutines of `Cycle`

    def run(self) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def receive(self) -> Coroutine[Any, Any, Message]:
        raise NotImplementedError

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def send_when_writable(self, message: Message) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def send_file(self, path: str) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    # Called by the dialogue and the service

    def start(self) -> None:
        """Run the application in a task of its own, up to its first wait where tasks are eager."""
        request, service = self._request, self.service
        service.request_started(self, request.method, request.raw_path, self.started_at)
        self.task = service.runtime.spawn(service.context, self.run())

    def peer_finished(self) -> None:
        """The client's EOF has come, behind a complete request."""
        if self._client == _PRESENT:
            self._client = _FINISHED
            self.inbox.disconnect()
            self.service.client_left(self, self._request.path)

    def peer_lost(self, status: int = CLIENT_CLOSED_REQUEST) -> None:
        """Nothing can be sent any more; ``status`` is what the dialogue answered, if it did."""
        if status == CLIENT_CLOSED_REQUEST and self._client in (_PRESENT, _DISMISSED):
            self.service.client_left(self, self._request.path)
        self._client = _LOST
        self._status = status
        self.inbox.close()

    def dismiss(self) -> None:
        """See `service.Running`. What the application still sends is still delivered."""
        if self._client == _PRESENT:
            self._client = _DISMISSED
            self.inbox.disconnect()

    def cancel(self) -> None:
        """See `service.Running`."""
        # Once: on asyncio a second time would interrupt what it does to clean up.
        if self.task is not None and not self._is_cancelled:
            self._is_cancelled = True
            self.task.cancel()

    def cancel_if_deserted(self) -> None:
        """The time that a call has after its client has gone is over."""
        if not self.is_over:
            now = time.monotonic()
            self.service.seat.log.debug("Cancelled, as its client has gone: %s", self.describe(now))
            self.cancel()

    def expire(self) -> None:
        """The request has taken too long."""
        self.fail(504, TOO_LATE)
        self.cancel()

    # Asked by the overseer and the application

    def title(self) -> str:
        """``GET /path``."""
        return failure.title(self._request.method, self._request.raw_path)

    @property
    def is_over(self) -> bool:
        """Whether the response is complete, or the call has been cancelled."""
        return self.reply.stage == _ENDED or self._is_cancelled

    @property
    def is_event_stream(self) -> bool:
        """See `service.Running`."""
        return self.reply.is_streaming and self.reply.is_event_stream

    @property
    def is_deserted(self) -> bool:
        """Whether nobody waits for what is still to be sent."""
        return self.reply.stage == _ENDED or self._client in (_FINISHED, _LOST)

    def deadline(self, timeout: float) -> float:
        """When a request that may take ``timeout`` seconds must be over, in monotonic seconds."""
        return max(self.started_at + timeout, self._extended_until)

    def extend_deadline(self, seconds: float) -> None:
        """See `RequestControl`."""
        self._extended_until = max(self._extended_until, time.monotonic() + seconds)

    def describe(self, now: float) -> str:
        """See `service.Running`."""
        return f"{self.title()}, {now - self.started_at:.1f} s"

    def fail(self, status: int, detail: str) -> None:
        """Answer with the server's own error if nothing has left yet, else break the response off."""
        if self._client == _LOST:
            return
        if self.reply.responder.head_sent:
            self._break_off(status)
        else:
            self.channel.refuse(status, detail)
            if self._request.method != b"HEAD":
                self._refusal_bytes = len(error_content(status, detail))
            self.peer_lost(status)

    def _break_off(self, status: int) -> None:
        self.channel.break_off(self._request.http_version == b"1.0")
        self.peer_lost(status)

    # The application's task

    def begin(self) -> Awaitable[None]:
        """Call the application."""
        scope = build_scope(self._request, self._peer, self.service)
        scope["extensions"]["greenuni"] = RequestControl(self)
        if self.service.access is not None and scope["client"] is not None:
            self._client_name = scope["client"][0]
        return self.service.app(scope, self.receive, self.send)

    def failed(self, error: BaseException) -> bool:
        """The application has raised; returns whether the task is to end by that."""
        is_cancellation = isinstance(error, self.service.runtime.cancelled)
        if not (is_cancellation and self._is_cancelled):
            self._raised(error)
        elif self.reply.stage != _ENDED:
            self._leave()
        return is_cancellation

    def returned(self) -> None:
        """The application has returned, mostly with its response complete."""
        if self.reply.stage == _ENDED:
            return
        if self.inbox.has_told or self._client == _LOST:
            self._leave()
            return
        identifier = failure.request_id(self._request.headers)
        stage = STAGE_NAMES[self.reply.stage]
        complaint = f"the application returned while its response was {stage}"
        failure.log_complaint(self.service.seat.log, self.title(), identifier, complaint)
        self.fail(500, failure.page_detail(identifier))

    def finished(self) -> None:
        """The application's last act, whatever it was."""
        if self.reply.stage != _ENDED:
            self._record()
        self.service.request_finished(self)
        self.channel.call_finished()

    def _raised(self, error: BaseException) -> None:
        log = self.service.seat.log
        has_ended = self.reply.stage == _ENDED
        if self.inbox.has_told and not has_ended:
            # It was told that nobody listens, and this is how it stopped.
            log.debug(
                "%s: the application raised %r after http.disconnect",
                self.title(),
                error,
            )
            self._leave()
            return
        identifier = failure.request_id(self._request.headers)
        failure.log_exception(log, self.title(), identifier, error)
        if not has_ended:
            self.fail(500, failure.page_detail(identifier))

    def _leave(self) -> None:
        """End a response that the application gave up because it was told to, or was cancelled.

        A stream of events has no length that could be wrong: it is ended as it should be. Any other
        body would be taken for complete when it is not, so there the connection breaks.
        """
        if self._client == _LOST:
            return
        if self.is_event_stream:
            self.channel.output.write(self.reply.end())
            self.end()
        elif self._client == _FINISHED:
            self._break_off(CLIENT_CLOSED_REQUEST)
        else:
            self.fail(503, SHUTTING_DOWN)

    def _record(self) -> None:
        """Write the line of the access log."""
        access = self.service.access
        if access is None:
            return
        request, responder = self._request, self.reply.responder
        access.write(
            Exchange(
                client=self._client_name,
                method=request.method,
                target=request.target,
                http_version=request.http_version,
                headers=request.headers,
                status=responder.status if responder.head_sent else self._status,
                response_headers=responder.headers,
                body_bytes=responder.body_bytes + self._refusal_bytes,
                seconds=time.monotonic() - self.started_at,
            )
        )

    # What the application sends

    @property
    def has_lost_client(self) -> bool:
        return self._client == _LOST

    def deliver(self, message: Message) -> Awaitable[None] | None:
        """Do what ``message`` says; what is left to wait for, if anything is.

        Raises what `Reply.take` raises.
        """
        if self.channel.output.is_paused:
            return self.send_when_writable(message)
        if self._client == _LOST:
            # An application that streams without end learns it from receive(), or never.
            return self.service.runtime.checkpoint()
        fields: dict[str, Any] = message if type(message) is dict else dict(message)
        reply = self.reply
        before = reply.stage
        if before == _STARTED and fields["type"] == "http.response.pathsend":
            return self.send_file(fields["path"])
        parts = reply.take(fields)
        if parts:
            self.channel.output.write(parts)
        if reply.stage == _STREAMING:
            return self._spend(parts)
        if reply.stage == _ENDED and before != _ENDED:
            self.end()
        return None

    def _spend(self, parts: list[bytes]) -> Awaitable[None] | None:
        self._credit -= MESSAGE_COST
        for part in parts:
            self._credit -= len(part)
        if self._credit >= 0:
            return None
        self._credit = CREDIT
        return self.service.runtime.checkpoint()

    def end(self) -> None:
        """The last byte has been given to the channel."""
        self.inbox.close()
        self._record()
        self.channel.response_ended()
