"""One request, from its head to the return of the application: the task, and whom it answers.

Nothing here knows a socket or a loop. The connection feeds the `Inbox` and says when the client is
gone; messages become bytes in `Reply`, and bytes go to the `Channel`.

    Client    whom we answer                  PRESENT -> FINISHED | DISMISSED -> LOST

After the client is LOST, ``send`` does nothing (spec_version 2.3). It passes a checkpoint only to
wait for a slow client, or after so many messages or bytes that an application which never waits for
anything else would keep the loop from everybody.
"""

from __future__ import annotations

import enum
import time

from greenuni import failure
from greenuni.asgi.inbox import Inbox
from greenuni.asgi.interfaces import Cancellable, Channel, Message
from greenuni.asgi.reply import ENDED, STARTED, STREAMING, Reply
from greenuni.asgi.scope import Peer, build_scope
from greenuni.asgi.sendfile import FileToSend
from greenuni.asgi.service import Service
from greenuni.http import Connection as Wire
from greenuni.http import Request, error_content
from greenuni.observe import Exchange

# What a response may send before other tasks get their turn: 64 KiB, or 16 small messages.
CREDIT = 65536
MESSAGE_COST = 4096

# Not a status of HTTP: nginx's word in access logs for a client that left before it was answered.
CLIENT_CLOSED_REQUEST = 499

SHUTTING_DOWN = "The server is shutting down."


class Client(enum.Enum):
    """Whether anybody waits for the response."""

    PRESENT = "present"
    FINISHED = "finished"  # its EOF came: it has gone, or closed one half and still reads
    DISMISSED = "dismissed"  # the worker is leaving and wants the application to end
    LOST = "lost"  # nothing can be sent any more


# A member looked up on its class costs several times what a global does, for every message.
PRESENT, FINISHED, DISMISSED, LOST = Client


class Cycle:
    """One request. The connection makes it when the head is complete; ``start`` runs it."""

    __slots__ = (
        "_channel",
        "_client",
        "_client_name",
        "_credit",
        "_is_cancelled",
        "_peer",
        "_refusal_bytes",
        "_reply",
        "_request",
        "_service",
        "_started_at",
        "_status",
        "_task",
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
        self._peer = peer
        self._started_at = started_at  # monotonic seconds, first byte of the request
        self._reply = Reply(service, wire, request)
        self._client = PRESENT
        self._client_name = ""
        self._status = CLIENT_CLOSED_REQUEST  # for the access log, if the application gives none
        self._refusal_bytes = 0  # content of the error response that the connection made, if it did
        self._credit = CREDIT
        self._task: Cancellable | None = None
        self._is_cancelled = False
        self.inbox = Inbox(channel, service.runtime)

    def __repr__(self) -> str:
        return f"<Cycle {self._title()} client={self._client.value} {self._reply!r} {self.inbox!r}>"

    # Called by the connection and the service

    def start(self) -> None:
        """Run the application in a task of its own."""
        request, service = self._request, self._service
        service.request_started(self, request.method, request.raw_path, self._started_at)
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
        if self._reply.responder.head_sent:
            self._break_off(status)
        else:
            self._channel.refuse(status, detail)
            if self._request.method != b"HEAD":
                self._refusal_bytes = len(error_content(status, detail))
            self.peer_lost(status)

    def _break_off(self, status: int) -> None:
        self._channel.break_off(must_reset=self._request.http_version == b"1.0")
        self.peer_lost(status)

    def _title(self) -> str:
        return failure.title(self._request.method, self._request.raw_path)

    def _has_ended(self) -> bool:
        return self._reply.stage is ENDED

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
            if not self._has_ended():
                self._returned_early()
        finally:
            if not self._has_ended():
                self._record()
            service.request_finished(self)
            self._channel.cycle_finished()

    def _raised(self, error: BaseException) -> None:
        log = self._service.seat.log
        if self.inbox.has_told and not self._has_ended():
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
        if not self._has_ended():
            self.fail(500, failure.page_detail(identifier))

    def _cancelled(self, error: BaseException) -> None:
        if not self._is_cancelled:
            self._raised(error)
        elif not self._has_ended():
            self._leave()

    def _returned_early(self) -> None:
        if self.inbox.has_told or self._client is LOST:
            self._leave()
            return
        identifier = failure.request_id(self._request.headers)
        complaint = f"the application returned while its response was {self._reply.stage.value}"
        failure.log_complaint(self._service.seat.log, self._title(), identifier, complaint)
        self.fail(500, failure.page_detail(identifier))

    def _leave(self) -> None:
        """End a response that the application gave up because it was told to, or was cancelled.

        A stream of events has no length that could be wrong: it is ended as it should be. Any other
        body would be taken for complete when it is not, so there the connection breaks.
        """
        if self._client is LOST:
            return
        if self._reply.stage is STREAMING and self._reply.is_event_stream:
            self._channel.write(self._reply.end())
            self._end()
        elif self._client is FINISHED:
            self._break_off(CLIENT_CLOSED_REQUEST)
        else:
            self.fail(503, SHUTTING_DOWN)

    def _record(self) -> None:
        """Write the line of the access log."""
        access = self._service.seat.access
        if access is None:
            return
        request, responder = self._request, self._reply.responder
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
                seconds=time.monotonic() - self._started_at,
            )
        )

    # What the application sends

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises what `Reply.take` raises."""
        if self._channel.write_paused:
            await self._channel.wait_writable()
        if self._client is LOST:
            # An application that streams without end learns it from receive(), or never.
            await self._service.runtime.checkpoint()
            return
        reply = self._reply
        before = reply.stage
        if before is STARTED and message["type"] == "http.response.pathsend":
            await self._send_file(message["path"])
            return
        data = reply.take(message)
        if data:
            self._channel.write(data)
        if reply.stage is STREAMING:
            self._credit -= len(data) + MESSAGE_COST
            if self._credit < 0:
                self._credit = CREDIT
                await self._service.runtime.checkpoint()
        elif reply.stage is ENDED and before is not ENDED:
            self._end()

    async def _send_file(self, path: str) -> None:
        async with FileToSend(path, self._service.file_readers) as file:
            wants_body = self._reply.responder.wants_body
            block = await file.read() if wants_body else b""
            data = self._reply.start_file(file.size) + block
            while data:
                if self._channel.write_paused:
                    await self._channel.wait_writable()
                if self._client is LOST:
                    return
                self._channel.write(data)
                data = await file.read() if wants_body else b""
            self._reply.end_file()
        self._end()

    def _end(self) -> None:
        """The last byte has been given to the connection."""
        self.inbox.close()
        self._record()
        self._channel.response_ended()
