"""Streams of events (text/event-stream, https://html.spec.whatwg.org/multipage/server-sent-events.html).

What ``sse-keepalive`` adds to them, for both shells: fields that keep proxies from holding events back,
and a comment now and then while the application is silent, which clients ignore and which keeps proxies from
cutting the connection. A comment may stand only between two events, that is after an empty line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

COMMENT = b": keep-alive\n\n"

TAIL = 4  # bytes of a body that tell whether an event has ended
_ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n")

_TYPE = "text/event-stream"
_FIELDS = (("X-Accel-Buffering", "no"), ("Cache-Control", "no-cache"))


def is_event_stream(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether these header fields are those of a stream of events."""
    return any(
        name.lower() == b"content-type" and value.lower().startswith(_TYPE.encode())
        for name, value in fields
    )


def takes_comments(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether comments may be put into the body: not into one that is compressed."""
    return all(name.lower() != b"content-encoding" for name, _ in fields)


def tail_of(tail: bytes, chunk: bytes) -> bytes:
    """The last bytes of a body that ended with ``tail`` before this chunk."""
    return chunk[-TAIL:] if len(chunk) >= TAIL else (tail + chunk)[-TAIL:]


def is_between_events(tail: bytes) -> bool:
    """Whether a body that ends so, or has not begun, stands between two events."""
    return not tail or tail.endswith(_ENDS)


def completed(fields: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
    """The same fields, and those that a stream of events should have if it is one and has not.

    Names and values are bytes, or all of them text.
    """
    names = {_as_text(name).lower(): _as_text(value).lower() for name, value in fields}
    if not names.get("content-type", "").startswith(_TYPE):
        return fields
    missing = [field for field in _FIELDS if field[0].lower() not in names]
    if isinstance(fields[0][0], str):
        return [*fields, *missing]
    return [*fields, *((name.encode(), value.encode()) for name, value in missing)]


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")
