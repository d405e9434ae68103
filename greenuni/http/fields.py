"""The fields of a response, as an application gives them: judged, and what they say of framing.

Every octet of a name and a value is judged before anything leaves, so a response can never be
split. Applications are held to RFC 9110 5.5, but for white space around a value: it means nothing
there (``Content-Security-Policy`` lists that end in ``"; "`` are common), and is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from greenuni.errors import LocalProtocolError
from greenuni.http.events import Headers
from greenuni.http.grammar import CONTROL, LENGTH, TOKEN

Field = tuple[bytes, bytes] | tuple[str, str]

# Fields about this connection, not about the response: they are the server's. PEP 3333 forbids them
# to applications; dropping them serves frameworks that set them out of habit.
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
_NOTED = _HOP_BY_HOP | {b"content-length", b"date", b"server"}
# Framing in a trailer section would come too late to be one (RFC 9110 6.5.1).
_NOT_IN_TRAILERS = _HOP_BY_HOP | {b"content-length", b"host", b"trailer"}


class ResponseFields:
    """The lines that go out as they are, and what was noted in the other fields."""

    __slots__ = ("content_length", "has_date", "has_server", "lines", "wants_close")

    def __init__(self) -> None:
        self.lines = b""  # each with its CRLF
        self.content_length: int | None = None
        self.has_date = False
        self.has_server = False
        self.wants_close = False  # the application set Connection: close

    def __repr__(self) -> str:
        return f"<ResponseFields {self.pairs()!r} content_length={self.content_length}>"

    def pairs(self) -> Headers:
        """Names and values of the fields that go out as they are."""
        lines = self.lines.split(b"\r\n")[:-1]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    def note(self, name: bytes, value: bytes) -> bool:
        """Remember what the field says; whether it is to go out as it is."""
        if name == b"date":
            self.has_date = True
        elif name == b"server":
            self.has_server = True
        elif name == b"content-length":
            if self.content_length is not None:
                raise LocalProtocolError("the response has more than one 'Content-Length' header")
            if not LENGTH.fullmatch(value):
                raise LocalProtocolError("response header 'Content-Length' is not a number")
            self.content_length = int(value)
            return False
        elif name == b"connection":
            options = value.lower().split(b",")
            self.wants_close |= any(option.strip(b" \t") == b"close" for option in options)
        return name not in _HOP_BY_HOP


def judge_fields(headers: Iterable[Field], text: bool = False) -> ResponseFields:
    """The fields of a response; ``text`` says that they are latin-1 strings.

    Raises LocalProtocolError that names the field at fault.
    """
    fields = ResponseFields()
    lines = []
    for name, lowered, value in _judged(_encoded(headers) if text else headers):
        if lowered not in _NOTED or fields.note(lowered, value):
            lines.append(b"%s: %s\r\n" % (name, value))
    fields.lines = b"".join(lines)
    return fields


def judge_trailers(trailers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The trailer fields, if they are well formed and may stand there; else LocalProtocolError."""
    judged = list(_judged(trailers))
    for name, lowered, _ in judged:
        if lowered in _NOT_IN_TRAILERS:
            raise LocalProtocolError(f"{_shown(name)} cannot be a trailer of the response")
    return [(name, value) for name, _, value in judged]


def _encoded(headers: Iterable[Field]) -> Headers:
    """Fields of latin-1 text as bytes (PEP 3333, "Unicode Issues")."""
    fields: Iterable[Any] = headers  # what they claim to be is tried
    try:
        return [(_encode_name(name), value.encode("latin-1")) for name, value in fields]
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"response header value {error.object!r} is not latin-1") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise LocalProtocolError("the response headers are not pairs of strings") from error


@lru_cache(maxsize=512)
def _encode_name(name: str) -> bytes:
    return name.encode("latin-1")


def _judged(headers: Iterable[Any]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, name in lower case, and value without outer white space, of every field."""
    try:
        for name, value in headers:
            lowered, stripped = _lower_name(name), value.strip(b" \t")
            if CONTROL.search(stripped):
                raise LocalProtocolError(
                    f"response header {_shown(name)} has a control character in its value"
                )
            yield name, lowered, stripped
    except (AttributeError, TypeError, ValueError) as error:
        raise LocalProtocolError("the response headers are not pairs of bytes") from error


@lru_cache(maxsize=512)
def _lower_name(name: bytes) -> bytes:
    """The name in lower case, if it is one. Cached, for an application uses few names."""
    if not isinstance(name, bytes):
        raise LocalProtocolError(f"response header name {name!r} is not bytes")
    if not TOKEN.fullmatch(name):
        raise LocalProtocolError(f"response header name {_shown(name)} is not a token")
    return name.lower()


def _shown(name: bytes) -> str:
    return repr(name.decode("latin-1"))
