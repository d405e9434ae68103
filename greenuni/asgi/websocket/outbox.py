"""What the application sends over one WebSocket, and what is made of it.

Phase      what it may send
DECIDING   websocket.accept, websocket.close (a 403), websocket.http.response.start
DENYING    websocket.http.response.body
OPEN       websocket.send, websocket.close
others     nothing: `Disconnected`, an OSError, as the specification has it since 2.4
"""

from __future__ import annotations

from collections.abc import Iterator

from greenuni.asgi.call import CREDIT, MESSAGE_COST
from greenuni.asgi.interfaces import Message, Waiting
from greenuni.asgi.reply import UnexpectedMessage
from greenuni.asgi.service import Service
from greenuni.asgi.websocket.connection import DECIDING, DENYING, OPEN, Phase, WebSocket
from greenuni.asgi.websocket.denial import Denial
from greenuni.errors import LocalProtocolError
from greenuni.http.framing import SERVER_LINE, date_line
from greenuni.ws import CloseCode, Conversation, Handshake, accept_head, is_sendable, negotiate
from greenuni.ws.deflate import Deflate

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


class Outbox:
    """The sending half of a session. Any number of tasks may send; messages are never mixed."""

    __slots__ = ("_credit", "_denial", "_handshake", "_service", "_socket", "_turn")

    def __init__(self, service: Service, socket: WebSocket, handshake: Handshake) -> None:
        self._service = service
        self._socket = socket
        self._handshake = handshake
        self._denial: Denial | None = None  # the response that is given instead of accepting
        self._credit = CREDIT  # bytes to send until other tasks get their turn
        self._turn: Waiting | None = None  # what others wait for while a message is sent in parts

    def __repr__(self) -> str:
        return f"<Outbox {self._denial or ''}{' in the middle of a message' * bool(self._turn)}>"

    def give_up(self, detail: str) -> None:
        """Tell the client that the application has failed, as far as there is a way."""
        socket = self._socket
        if socket.phase is OPEN:
            socket.close(CloseCode.INTERNAL_ERROR, detail)
        elif self._denial is not None and self._denial.responder.head_sent:
            socket.abort()
        elif socket.phase is DECIDING or socket.phase is DENYING:
            socket.refuse(500, detail)

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Raises `UnexpectedMessage`, `Disconnected`, or LocalProtocolError."""
        kind = message["type"]
        phase = self._socket.phase
        if kind == "websocket.send" and phase is OPEN:
            data = _data_of(message)
            if self._turn is not None or self._socket.output.is_paused or len(data) > FRAGMENT:
                await self._send_when_possible(data)
            else:
                self._send_part(data, True)
            self._credit -= MESSAGE_COST + len(data)
            if self._credit < 0:
                self._credit = CREDIT
                await self._service.runtime.checkpoint()
        elif kind in EXPECTED.get(phase, ()):
            await self._decide(kind, message)
        else:
            raise self._unexpected(kind)

    async def _decide(self, kind: str, message: Message) -> None:
        socket = self._socket
        if kind == "websocket.accept":
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
        extension = None if parameters is None else Deflate(limit, parameters)
        head = accept_head(handshake, subprotocol, parameters.render() if parameters else b"")
        date = b"" if fields.has_date else date_line(service.clock.date())
        server = b"" if fields.has_server else SERVER_LINE
        if socket.record is not None:
            socket.record.status, socket.record.headers = 101, headers
        socket.accept(
            b"".join((head, fields.lines, date, server, b"\r\n")), Conversation(limit, extension)
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

    async def _send_when_possible(self, data: str | bytes) -> None:
        """Send one message, when those before it have left."""
        while self._turn is not None:
            await self._turn.wait()
        if len(data) > FRAGMENT:
            await self._send_in_parts(data)
        else:
            await self._wait_writable()
            self._send_part(data, True)

    async def _send_in_parts(self, data: str | bytes) -> None:
        turn = self._turn = self._service.runtime.new_waiting()
        is_whole = False
        try:
            for start, end in _parts(len(data)):
                await self._wait_writable()
                self._send_part(data[start:end], end == len(data))
            is_whole = True
        finally:
            self._turn = None
            turn.set()
            if not is_whole:
                self._socket.close(CloseCode.INTERNAL_ERROR, "A message was not completed.")

    def _send_part(self, data: str | bytes, is_last: bool) -> None:
        socket = self._socket
        if socket.phase is not OPEN:
            raise self._unexpected("websocket.send")
        socket.send(data, is_last)
        if socket.record is not None:
            socket.record.body_bytes += len(data)

    async def _wait_writable(self) -> None:
        output = self._socket.output
        while output.is_paused:
            await output.writable().wait()


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
    if type(octets) is bytes:
        return octets
    if not isinstance(octets, (bytes, bytearray, memoryview)):
        raise UnexpectedMessage("'websocket.send' needs a 'text' or 'bytes'")
    return bytes(octets)


def _parts(size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each part."""
    for start in range(0, size, FRAGMENT):
        yield start, min(start + FRAGMENT, size)
