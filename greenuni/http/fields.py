"""The fields of a response, as an application gives them: validated, and what they say of framing.

h11 lets through what the recipient of a response could read as something else (control
characters in values, white space around them); here every octet of a name and value is judged
before anything leaves, so a response can never be split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from greenuni.errors import LocalProtocolError
from greenuni.http import grammar
from greenuni.http.events import Headers

# Fields about this connection, not about the response. They are the server's (PEP 3333 forbids
# them to applications); dropping them serves frameworks that set them out of habit.
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
_NOTED = _HOP_BY_HOP | {b"content-length", b"date", b"server"}


@dataclass(slots=True)
class ResponseFields:
    """The fields that will be sent as they are, and what was noted in them."""

    headers: Headers = field(default_factory=list)
    content_length: int | None = None
    has_date: bool = False
    has_server: bool = False
    close: bool = False  # the application asked for Connection: close


def read_fields(headers: Iterable[tuple[bytes, bytes]]) -> ResponseFields:
    """Judge the application's fields. Raises LocalProtocolError that names the field."""
    fields = ResponseFields()
    keep = fields.headers.append
    for name, value in headers:
        lowered = lower_name(name)
        check_value(name, value)
        if lowered not in _NOTED or _note(fields, lowered, value):
            keep((name, value))
    return fields


def _note(fields: ResponseFields, name: bytes, value: bytes) -> bool:
    """Remember what the field says; whether it is to be sent as it is."""
    if name == b"date":
        fields.has_date = True
    elif name == b"server":
        fields.has_server = True
    elif name == b"content-length":
        if fields.content_length is not None:
            raise LocalProtocolError("the response has more than one 'Content-Length' header")
        if not grammar.digits.fullmatch(value):
            raise LocalProtocolError("response header 'Content-Length' is not a number")
        fields.content_length = int(value)
        return False
    elif name == b"connection":
        tokens = [token.strip(b" \t") for token in value.lower().split(b",")]
        fields.close = fields.close or b"close" in tokens
    return name not in _HOP_BY_HOP


@lru_cache(maxsize=512)
def lower_name(name: bytes) -> bytes:
    """The name in lower case, if it is one. Cached: an application uses few names."""
    if not isinstance(name, bytes):
        raise LocalProtocolError(f"response header name {name!r} is not bytes")
    if not grammar.token.fullmatch(name):
        raise LocalProtocolError(f"response header name {_shown(name)} is not a token")
    return name.lower()


def check_value(name: bytes, value: bytes) -> None:
    """Raise LocalProtocolError unless ``value`` is a field-value (RFC 9110 5.5)."""
    if not isinstance(value, bytes):
        raise LocalProtocolError(f"response header {_shown(name)} has a value that is not bytes")
    if grammar.control.search(value):
        raise LocalProtocolError(
            f"response header {_shown(name)} has a control character in its value"
        )
    if value != value.strip(b" \t"):
        raise LocalProtocolError(f"response header {_shown(name)} has white space around its value")


def _shown(name: bytes) -> str:
    return repr(name.decode("latin-1"))
