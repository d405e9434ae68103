"""What a Responder makes of an application's calls, written down for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.fuzz.reading import Difference
from tests.fuzz.twins import REFERENCE, SUBJECTS, Twin

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
]


# Octets of content that are not made: who passes through more is taken at his word.
LARGE = 100_000


@dataclass(frozen=True)
class Content:
    """Octets that need not be shown one by one."""

    length: int

    def __len__(self) -> int:
        return self.length


@dataclass(frozen=True)
class Call:
    """One call of a method of Responder."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Answer:
    """A request, and all that an application says to it."""

    request: bytes
    calls: tuple[Call, ...]


class Writer:
    """A connection with one request, and its responder."""

    def __init__(self, twin: Twin, request: bytes) -> None:
        self.connection = twin.connection({})
        self.connection.receive_data(request)
        self.responder = twin.http.Responder(self.connection, self.connection.next_event())
        self.output = b""

    def call(self, call: Call) -> str:
        """All that can be seen from outside after ``call``."""
        arguments = [b"c" * len(a) if isinstance(a, Content) else a for a in call.arguments]
        try:
            result = getattr(self.responder, call.method)(*arguments, **dict(call.options))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other must raise it, too
            result = (type(error).__name__, str(error))
        else:
            self.output += b"".join(result if isinstance(result, list) else [result or b""])
            if call.method == "passthrough" and self.responder.wants_body:
                self.output += b"f" * min(call.arguments[0], LARGE)
        return repr((result, *self._standing()))

    def _standing(self) -> tuple[object, ...]:
        responder, connection = self.responder, self.connection
        return (
            repr(responder),
            responder.started,
            responder.head_sent,
            responder.ended,
            responder.status,
            responder.headers,
            responder.remaining,
            responder.wants_body,
            responder.body_bytes,
            connection.our_state,
            connection.their_state,
        )


def write(twin: Twin, answer: Answer) -> tuple[list[str], Writer]:
    """What ``twin`` says after each call."""
    writer = Writer(twin, answer.request)
    return [writer.call(call) for call in answer.calls], writer


def compare_writing(answer: Answer, subjects: list[Twin] = SUBJECTS) -> Writer:
    """The reference after all calls. Raises Difference when another twin says anything else."""
    expected, writer = write(REFERENCE, answer)
    for twin in subjects:
        said, _ = write(twin, answer)
        for call, ours, theirs in zip(answer.calls, expected, said, strict=True):
            if ours != theirs:
                raise Difference(
                    f"{answer!r}\nafter {call!r},\n{REFERENCE.name}: {ours}\n{twin.name}: {theirs}"
                )
    return writer
