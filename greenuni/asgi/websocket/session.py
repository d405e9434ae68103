"""One WebSocket as the application lives it: the call, what it receives and what it sends.

Phase      what it may send
DECIDING   websocket.accept, websocket.close (a 403), websocket.http.response.start
DENYING    websocket.http.response.body
OPEN       websocket.send, websocket.close
others     nothing: `Disconnected`, an OSError, as the specification has it since 2.4
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from greenuni import failure
from greenuni.asgi.call import CREDIT, MESSAGE_COST
from greenuni.asgi.interfaces import Cancellable, Message, Scope
from greenuni.asgi.reply import UnexpectedMessage
from greenuni.asgi.scope import Peer
from greenuni.asgi.service import Service
from greenuni.asgi.websocket.connection import DECIDING, DENYING, OPEN, Phase, WebSocket
from greenuni.asgi.websocket.denial import Denial
from greenuni.asgi.websocket.record import Record
from greenuni.asgi.websocket.scope import build_websocket_scope
from greenuni.errors import LocalProtocolError
from greenuni.http.framing import SERVER_LINE, date_line
from greenuni.ws import CloseCode, Conversation, Handshake, accept_head, is_sendable, negotiate
from greenuni.ws.deflate import Deflate
from greenuni.ws.limit import SizeLimit

# What a message is at most that leaves in one frame. Between the frames of a larger one the client's
# pace is kept, and pings and pongs have their turn.
FRAGMENT = 256 * 1024

EXPECTED: dict[Phase, tuple[str, ...]] = {
    DECIDING: ("websocket.accept", "websocket.close", "websocket.http.response.start"),
    DENYING: ("websocket.http.response.body",),
    OPEN: ("websocket.send", "websocket.close"),
}


class Disconnected(OSError):
    """The application sent something when the WebSocket had ended."""


class Session:
    """See the module. ``start`` runs the application; it is a `service.Running`."""

    __slots__ = (
        "_credit",
        "_denial",
        "_handshake",
        "_has_returned",
        "_is_cancelled",
        "_peer",
        "_service",
        "_socket",
        "_started_at",
        "_task",
        "_turn",
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
        self._peer = peer
        self._started_at = started_at  # monotonic seconds, first byte of the handshake
        self._denial: Denial | None = None
        self._credit = CREDIT
        self._turn: Any = None  # what others wait for while a message is sent in parts
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
            await self._service.app(scope, self.receive, self.send)
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
            self._give_up(identifier)
        return is_cancellation

    def _returned(self) -> None:
        socket = self._socket
        if socket.phase is OPEN:
            socket.close(CloseCode.NORMAL, "")
        elif socket.phase is DECIDING or socket.phase is DENYING:
            identifier = failure.request_id(socket.request.headers)
            complaint = "the application returned and had not accepted or denied the WebSocket"
            failure.log_complaint(self._service.seat.log, self._title(), identifier, complaint)
            self._give_up(identifier)

    def _give_up(self, identifier: str) -> None:
        """Tell the client that the application has failed, as far as there is a way."""
        socket = self._socket
        if socket.phase is OPEN:
            socket.close(CloseCode.INTERNAL_ERROR, failure.page_detail(identifier))
        elif self._denial is not None and self._denial.responder.head_sent:
            socket.abort()
        elif socket.phase is DECIDING or socket.phase is DENYING:
            socket.refuse(500, failure.page_detail(identifier))

    # What it receives

    async def receive(self) -> Message:
        """ASGI's ``receive``. Several tasks may wait in it; each gets a message of its own."""
        inbox = self._socket.inbox
        while (message := inbox.next()) is None:
            await inbox.waiting().wait()
        return message

    # What it sends

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises `UnexpectedMessage`, `Disconnected`, or LocalProtocolError."""
        kind = message["type"]
        socket = self._socket
        if kind not in EXPECTED.get(socket.phase, ()):
            raise self._unexpected(kind)
        if kind == "websocket.send":
            await self._send_data(_data_of(message))
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._close(message)
        elif kind == "websocket.http.response.start":
            self._denial = Denial(socket.wire, socket.request)
            self._denial.start(message, self._service.clock.date())
            socket.phase = DENYING
        else:
            await self._deny(message)

    def _unexpected(self, kind: str) -> Exception:
        phase = self._socket.phase
        if phase in EXPECTED:
            expected = " or ".join(EXPECTED[phase])
            return UnexpectedMessage(
                f"{kind!r} cannot come while the WebSocket is {phase.value}; expected {expected}"
            )
        return Disconnected(f"the WebSocket has ended, with code {self._socket.inbox.close_code}")

    def _accept(self, message: Message) -> None:
        service, socket, handshake = self._service, self._socket, self._handshake
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in handshake.subprotocols:
            raise UnexpectedMessage(f"the client has not offered the subprotocol {subprotocol!r}")
        fields = socket.wire.engine.write_fields(message.get("headers") or [], False)
        headers = fields.pairs()
        if any(name.lower().startswith(b"sec-websocket-") for name, _ in headers):
            raise LocalProtocolError("the fields Sec-WebSocket-* are the server's")
        config = service.seat.config
        parameters = negotiate(handshake.extensions) if config.ws_per_message_deflate else None
        limit = config.ws_max_size
        extension = SizeLimit(limit) if parameters is None else Deflate(limit, parameters)
        head = accept_head(handshake, subprotocol, parameters.render() if parameters else b"")
        date = b"" if fields.has_date else date_line(service.clock.date())
        server = b"" if fields.has_server else SERVER_LINE
        if socket.record is not None:
            socket.record.status, socket.record.headers = 101, headers
        socket.accept(
            b"".join((head, fields.lines, date, server, b"\r\n")), Conversation(extension)
        )

    def _close(self, message: Message) -> None:
        socket = self._socket
        code = message.get("code") or CloseCode.NORMAL
        if socket.phase is DECIDING:
            # "the server must close the connection with a HTTP 403 error code" (ASGI)
            socket.refuse(403, "")
        elif is_sendable(code):
            socket.close(code, message.get("reason") or "")
        else:
            raise UnexpectedMessage(f"{code!r} is not a code that a close frame may have")

    async def _deny(self, message: Message) -> None:
        socket, denial = self._socket, self._denial
        assert denial is not None, "denying has been begun"
        await self._wait_writable()
        parts = denial.body(message)
        responder = denial.responder
        if socket.record is not None:
            socket.record.status, socket.record.headers = responder.status, responder.headers
            socket.record.body_bytes = responder.body_bytes
        if socket.phase is DENYING:
            socket.deny(parts)
            if responder.ended:
                socket.inbox.close(CloseCode.ABNORMAL, "")
                socket.linger()

    async def _send_data(self, data: str | bytes) -> None:
        """Send one message, when those before it have left."""
        while self._turn is not None:
            await self._turn.wait()
        if len(data) > FRAGMENT:
            await self._send_in_parts(data)
            return
        await self._wait_writable()
        self._send_part(data, is_last=True)
        self._credit -= MESSAGE_COST + len(data)
        if self._credit < 0:
            self._credit = CREDIT
            await self._service.runtime.checkpoint()

    async def _send_in_parts(self, data: str | bytes) -> None:
        turn = self._turn = self._service.runtime.new_waiting()
        is_whole = False
        try:
            for start, end in _parts(len(data)):
                await self._wait_writable()
                self._send_part(data[start:end], is_last=end == len(data))
            is_whole = True
        finally:
            self._turn = None
            turn.set()
            if not is_whole:
                self._socket.close(CloseCode.INTERNAL_ERROR, "A message was not completed.")

    def _send_part(self, data: str | bytes, *, is_last: bool) -> None:
        socket = self._socket
        if socket.phase is not OPEN:
            raise self._unexpected("websocket.send")
        socket.send(data, is_last)
        if socket.record is not None:
            socket.record.body_bytes += len(data)

    async def _wait_writable(self) -> None:
        socket = self._socket
        while socket.write_paused:
            await socket.writable().wait()


def _data_of(message: Message) -> str | bytes:
    """What a ``websocket.send`` says: its text if there is one, else its bytes."""
    text = message.get("text")
    if text is not None:
        if not isinstance(text, str):
            raise UnexpectedMessage(
                f"the 'text' of a message must be str, not {type(text).__name__}"
            )
        return text
    octets = message.get("bytes")
    if not isinstance(octets, (bytes, bytearray, memoryview)):
        raise UnexpectedMessage("'websocket.send' needs a 'text' or 'bytes'")
    return bytes(octets)


def _parts(size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each part."""
    for start in range(0, size, FRAGMENT):
        yield start, min(start + FRAGMENT, size)
