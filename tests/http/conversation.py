"""A server without sockets: it answers 200 to everything, as a shell around the wire would.

``ENGINES`` are those that are built.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from greenuni.errors import RemoteProtocolError
from greenuni.http import (
    DONE,
    NEED_DATA,
    PAUSED,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Limits,
    Request,
    Responder,
    choose_engine,
)

ENGINES = list(dict.fromkeys(["h11", choose_engine("auto").name]))

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
TRAILING = b"GET /trailing HTTP/1.1\r\nHost: trailing.example\r\n\r\n"


@dataclass
class Exchange:
    """One request as the application saw it."""

    request: Request
    waited: bool  # for 100 Continue, when the request came
    body: bytes = b""
    is_whole: bool = False
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Conversation:
    """Feeds a connection and answers what comes out, until it must close."""

    def __init__(self, engine: str = "auto", limits: Limits | None = None) -> None:
        self.connection = Connection(limits or Limits(), choose_engine(engine))
        self.exchanges: list[Exchange] = []
        self.refusal: RemoteProtocolError | None = None
        self.statuses: list[int] = []  # of the responses, in order
        self.output = b""
        self.is_over = False  # the server closes

    def feed(self, pieces: Iterable[bytes]) -> Conversation:
        for piece in pieces:
            request = self.connection.take(piece)
            if request is not None:
                assert request.body is not None
                self.exchanges.append(Exchange(request, False, request.body, is_whole=True))
                self._answer(request)
            self._react()
        return self

    def _react(self) -> None:
        while not self.is_over:
            try:
                event = self.connection.next_event()
            except RemoteProtocolError as error:
                self.refusal = error
                self._write(self.connection.refuse(error.status, str(error), DATE))
                self.is_over = True
                return
            if event is NEED_DATA or event is PAUSED:
                return
            if isinstance(event, Request):
                waits = self.connection.they_are_waiting_for_100_continue
                self.exchanges.append(Exchange(event, waits))
            elif isinstance(event, Data):
                self.exchanges[-1].body += event.data
            elif isinstance(event, EndOfMessage):
                self.exchanges[-1].is_whole = True
                self.exchanges[-1].trailers = event.headers
                self._answer(self.exchanges[-1].request)
            elif isinstance(event, ConnectionClosed):
                self.is_over = True

    def _answer(self, request: Request) -> None:
        responder = Responder(self.connection, request)
        responder.start(200, [(b"Content-Type", b"text/plain")], date=DATE)
        self._write(b"".join(responder.send(b"ok\n", more=False)))
        if self.connection.our_state is DONE:
            self.connection.start_next_cycle()
        else:
            self.is_over = True

    def _write(self, response: bytes) -> None:
        self.statuses.append(int(response[len("HTTP/1.1 ") :][:3]))
        self.output += response
