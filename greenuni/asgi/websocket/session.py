"""One WebSocket as the application lives it: the call, and the task that it runs in."""

from __future__ import annotations

from greenuni import failure
from greenuni.asgi.interfaces import Cancellable, Message, Scope
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import Service
from greenuni.asgi.websocket.connection import DECIDING, DENYING, OPEN, WebSocket
from greenuni.asgi.websocket.outbox import Disconnected, Outbox
from greenuni.asgi.websocket.record import Record
from greenuni.asgi.websocket.scope import build_websocket_scope
from greenuni.ws import CloseCode, Handshake


class Session:
    """See the module. ``start`` runs the application; it is a `service.Running`."""

    __slots__ = (
        "_handshake",
        "_has_returned",
        "_is_cancelled",
        "_outbox",
        "_peer",
        "_service",
        "_socket",
        "_started_at",
        "_task",
    )

    def __init__(
        self,
        service: Service,
        socket: WebSocket,
        handshake: Handshake,
        peer: Peer,
        started_at: float,
    ) -> None:
        self._service = service
        self._socket = socket
        self._handshake = handshake
        self._outbox = Outbox(service, socket, handshake)
        self._peer = peer
        self._started_at = started_at  # monotonic seconds, first byte of the handshake
        self._task: Cancellable | None = None
        self._is_cancelled = False
        self._has_returned = False

    def __repr__(self) -> str:
        return f"<Session {self._title()} {self._socket!r}>"

    # Called by `begin` and the service

    def start(self) -> None:
        """Run the application in a task of its own, up to its first wait where tasks are eager."""
        service, request = self._service, self._socket.request
        scope = build_websocket_scope(request, self._handshake, self._peer, service)
        client = scope["client"][0] if scope["client"] is not None else ""
        self._socket.record = Record(service, request, self._started_at, client)
        self._socket.on_client_left = self._client_left
        service.request_started(self, request.method, request.raw_path, self._started_at)
        self._task = service.runtime.spawn(service.context, self._run(scope))

    def describe(self, now: float) -> str:
        """See `service.Running`."""
        return f"{self._title()} (WebSocket), {now - self._started_at:.1f} s"

    @property
    def is_event_stream(self) -> bool:
        """See `service.Running`."""
        return False

    def dismiss(self) -> None:
        """See `service.Running`."""
        self._socket.start_drain()

    def cancel(self) -> None:
        """See `service.Running`."""
        # Once: on asyncio a second time would interrupt what it does to clean up.
        if self._task is not None and not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    def cancel_if_deserted(self) -> None:
        """See `service.Running`: the time that ``on-disconnect`` gives it is over."""
        self._service.seat.log.debug("Cancelled, as its client has gone: %s", self._title())
        self.cancel()

    def _client_left(self) -> None:
        if not self._has_returned:
            self._service.client_left(self, self._socket.request.path)

    def _title(self) -> str:
        request = self._socket.request
        return failure.title(request.method, request.raw_path)

    # The application's task

    async def _run(self, scope: Scope) -> None:
        try:
            await self._service.app(scope, self.receive, self._outbox.send)
        except GeneratorExit:
            raise
        except BaseException as error:
            # SystemExit too: one client must not end the others.
            if self._failed(error):
                raise
        else:
            self._returned()
        finally:
            self._has_returned = True
            self._service.request_finished(self)

    def _failed(self, error: BaseException) -> bool:
        """The application has raised; returns whether the task is to end by that."""
        is_cancellation = isinstance(error, self._service.runtime.cancelled)
        if is_cancellation and self._is_cancelled:
            self._socket.leave()
        elif self._socket.inbox.has_told or isinstance(error, Disconnected):
            # It was told that the WebSocket has ended, and this is how it stopped.
            self._service.seat.log.debug(
                "%s: the application raised %r after the WebSocket had ended", self._title(), error
            )
        else:
            request = self._socket.request
            identifier = failure.request_id(request.headers)
            failure.log_exception(self._service.seat.log, self._title(), identifier, error)
            self._outbox.give_up(failure.page_detail(identifier))
        return is_cancellation

    def _returned(self) -> None:
        socket = self._socket
        if socket.phase is OPEN:
            socket.close(CloseCode.NORMAL, "")
        elif socket.phase is DECIDING or socket.phase is DENYING:
            identifier = failure.request_id(socket.request.headers)
            complaint = "the application returned and had not accepted or denied the WebSocket"
            failure.log_complaint(self._service.seat.log, self._title(), identifier, complaint)
            self._outbox.give_up(failure.page_detail(identifier))

    # What it receives

    async def receive(self) -> Message:
        """ASGI's ``receive``. Several tasks may wait in it; each gets a message of its own."""
        inbox = self._socket.inbox
        while (message := inbox.next()) is None:
            await inbox.waiting().wait()
        return message
