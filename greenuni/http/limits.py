"""How much of a request we are willing to read. Counted by the guards, before any engine."""

from __future__ import annotations

from typing import Protocol

# A whole head or trailer section, whatever the settings say: 0 switches a setting off, not this.
SECTION_MAXIMUM = 1024 * 1024
FIELDS_MAXIMUM = 32768

# The largest body that can be announced: what a signed 64 bit number holds, so that nobody behind
# us reads another number than we do.
LENGTH_MAXIMUM = 2**63 - 1

# What an application left unread of a request body is read and thrown away up to here, so that
# the connection can go on; past it, closing is cheaper for everybody.
DISCARD_LIMIT = 64 * 1024


class LimitSettings(Protocol):
    """The settings that limits come from, by gunicorn's names."""

    @property
    def limit_request_line(self) -> int: ...
    @property
    def limit_request_fields(self) -> int: ...
    @property
    def limit_request_field_size(self) -> int: ...
    @property
    def limit_request_body(self) -> int: ...


class Limits:
    """Sizes in bytes without the CRLF of a line; 0 stands for the largest that is possible.

    One above that is that. ``fields`` is a count, for the header section and again for a trailer
    section.
    """

    __slots__ = ("body", "field_size", "fields", "request_line")

    def __init__(
        self,
        request_line: int = 4094,
        fields: int = 100,
        field_size: int = 8190,
        body: int = 2147483648,
    ) -> None:
        if min(request_line, fields, field_size, body) < 0:
            raise ValueError("a limit cannot be negative")
        self.request_line = _limited(request_line, SECTION_MAXIMUM)
        self.fields = _limited(fields, FIELDS_MAXIMUM)
        self.field_size = _limited(field_size, SECTION_MAXIMUM)
        self.body = _limited(body, LENGTH_MAXIMUM)

    @classmethod
    def of(cls, settings: LimitSettings) -> Limits:
        """The limits that a configuration asks for."""
        return cls(
            request_line=settings.limit_request_line,
            fields=settings.limit_request_fields,
            field_size=settings.limit_request_field_size,
            body=settings.limit_request_body,
        )

    def __repr__(self) -> str:
        return (
            f"<Limits request_line={self.request_line} fields={self.fields}"
            f" field_size={self.field_size} body={self.body}>"
        )


def _limited(limit: int, maximum: int) -> int:
    return min(limit or maximum, maximum)
