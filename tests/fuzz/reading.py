"""What a connection makes of octets that arrive in pieces, written down for comparison."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass, field
from typing import Any

from greenuni.variables import VariableNames
from tests.fuzz.twins import REFERENCE, SUBJECTS, Twin

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


class Answering(enum.Enum):
    """When the application answers a request."""

    EARLY = "as soon as there is its head"
    WHOLE = "as soon as it is whole"
    LATE = "when it is whole and one more piece has come"


@dataclass(frozen=True)
class Arrival:
    """Octets as they come from one client. A last piece ``b""`` is its EOF."""

    pieces: tuple[bytes, ...]
    sizes: dict[str, int] = field(default_factory=dict)  # limits that are not the default
    answering: Answering = Answering.WHOLE


class Difference(AssertionError):
    """Two twins do not say the same."""


class Reader:
    """A connection and an application that answers 200 to everything, for one Arrival."""

    def __init__(self, twin: Twin, arrival: Arrival, takes: bool) -> None:
        self._http = twin.http
        self._connection = twin.connection(arrival.sizes)
        self._answering = arrival.answering
        self._takes = takes  # by Connection.take, as the shells do, or by receive_data
        self._unanswered: Any = None  # a request
        self._is_whole = False  # that request
        self._events: list[tuple[object, ...]] = []
        self._output = b""

    def feed(self, piece: bytes) -> str:
        """All that can be seen from outside after ``piece`` has come."""
        self._events, self._output = [], b""
        request = self._receive(piece)
        if self._answering is Answering.LATE and self._is_whole:
            self._answer()
        if request is not None:
            self._see_request(request)
            if request.body:
                self._see_content(request.body)
            self._see_end([])
        if request is not None and not self._connection.has_more:
            # What next_event would say; but a shell does not ask when it knows.
            self._events.append((self._http.NEED_DATA,))
        else:
            while self._read():
                pass
        return repr((self._events, self._output, *self._standing()))

    def _receive(self, piece: bytes) -> Any:
        if self._takes:
            return self._connection.take(piece)
        self._connection.receive_data(piece)
        return None

    def _standing(self) -> tuple[object, ...]:
        connection = self._connection
        return (
            connection.our_state,
            connection.their_state,
            connection.trailing_data,
            connection.has_more,
            connection.they_are_waiting_for_100_continue,
        )

    def _read(self) -> bool:
        """See one event; whether there may be another one."""
        try:
            event = self._connection.next_event()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other must raise it, too
            self._see_error(error)
            return False
        if isinstance(event, self._http.Request):
            self._see_request(event)
        elif isinstance(event, self._http.Data):
            self._see_content(event.data)
        elif isinstance(event, self._http.EndOfMessage):
            self._see_end(event.headers)
        else:
            self._events.append((event,))
            return False
        return True

    def _see_request(self, request: Any) -> None:
        self._events.append(("request", *describe_request(request)))
        self._unanswered, self._is_whole = request, False
        if self._connection.they_are_waiting_for_100_continue:
            self._output += self._http.Responder(self._connection, request).informational(100)
        if self._answering is Answering.EARLY:
            self._answer()

    def _see_content(self, data: bytes) -> None:
        assert data, "there is no event without content"
        if self._events and self._events[-1][0] == "content":
            data = self._events.pop()[1] + data  # how it was cut is nobody's business
        self._events.append(("content", data))

    def _see_end(self, trailers: list[tuple[bytes, bytes]]) -> None:
        self._events.append(("end", trailers))
        self._is_whole = True
        if self._answering is Answering.WHOLE:
            self._answer()
        self._go_on()

    def _see_error(self, error: Exception) -> None:
        status = getattr(error, "status", None)
        self._events.append((type(error).__name__, status, str(error)))
        self._unanswered = None
        try:
            self._output += self._connection.refuse(status or 400, str(error), DATE)
        except Exception as refusal:  # noqa: BLE001
            self._events.append((type(refusal).__name__, str(refusal)))

    def _answer(self) -> None:
        if self._unanswered is None:
            return
        responder = self._http.Responder(self._connection, self._unanswered)
        self._unanswered = None
        try:
            responder.start(200, [(b"Content-Type", b"text/plain")], date=DATE)
            self._output += b"".join(responder.send(b"ok\n", more=False))
        except Exception as error:  # noqa: BLE001
            self._events.append((type(error).__name__, str(error)))
        self._go_on()

    def _go_on(self) -> None:
        connection, http = self._connection, self._http
        if connection.our_state is http.DONE and connection.their_state is http.DONE:
            connection.start_next_cycle()


def describe_request(request: Any) -> tuple[object, ...]:
    """Every attribute of a request but the body, which arrives as events, too.

    The fields are asked for both ways, before and after each other: the compiled engine makes
    them when they are wanted.
    """
    before: dict[str, object] = {"HTTP_ACCEPT": "of the server"}
    request.add_variables(before, VariableNames())
    headers = list(request.headers)
    after: dict[str, object] = {}
    request.add_variables(after, VariableNames())
    return (
        before,
        after,
        headers,
        repr(request),
        request.method,
        request.target,
        request.http_version,
        request.headers,
        request.raw_path,
        request.path,
        request.query,
        request.content_length,
        request.chunked,
        request.expect_continue,
        request.keep_alive,
        request.is_websocket,
        request.has_body,
    )


def read(twin: Twin, arrival: Arrival, takes: bool) -> list[str]:
    """What ``twin`` says after each piece."""
    reader = Reader(twin, arrival, takes)
    return [reader.feed(piece) for piece in arrival.pieces]


def compare_reading(arrival: Arrival, subjects: list[Twin] = SUBJECTS) -> list[str]:
    """What the reference says. Raises Difference when another twin says anything else."""
    expected = read(REFERENCE, arrival, takes=False)
    for twin, takes in itertools.product(subjects, (False, True)):
        said = read(twin, arrival, takes)
        if said != expected:
            raise Difference(_told(twin, takes, arrival, expected, said))
    return expected


def _told(twin: Twin, takes: bool, arrival: Arrival, expected: list[str], said: list[str]) -> str:
    step = next(i for i, pair in enumerate(zip(expected, said, strict=True)) if pair[0] != pair[1])
    return (
        f"{arrival!r}\nafter piece {step}, {arrival.pieces[step]!r},"
        f"\n{REFERENCE.name}: {expected[step]}"
        f"\n{twin.name}, {'take' if takes else 'receive_data'}: {said[step]}"
    )
