"""The HTTP response that an application gives instead of accepting (``websocket.http.response``)."""

from __future__ import annotations

from greenuni.asgi.interfaces import Message
from greenuni.asgi.reply import UnexpectedMessage
from greenuni.http import Connection as Wire
from greenuni.http import Request, Responder


class Denial:
    """One response, the last on its connection. Raises LocalProtocolError for what is not HTTP."""

    __slots__ = ("responder",)

    def __init__(self, wire: Wire, request: Request) -> None:
        self.responder = Responder(wire, request)

    def __repr__(self) -> str:
        return f"<Denial {self.responder!r}>"

    def start(self, message: Message, date: bytes) -> None:
        """The head is held back until the first piece of the body."""
        status = message.get("status")
        if status is None:
            raise UnexpectedMessage("'websocket.http.response.start' needs a 'status'")
        self.responder.start(status, message.get("headers", ()), b"", date, True)

    def body(self, message: Message) -> list[bytes]:
        """The bytes to write; ``responder.ended`` says whether they are the last."""
        return self.responder.send(
            bytes(message.get("body", b"")), bool(message.get("more_body", False))
        )
