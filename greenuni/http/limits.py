"""How much of a request we are willing to read. Counted by the guards, before any engine."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes without the CRLF of a line; 0 stands for the largest that is possible.

    ``fields`` is a count, for the header section and again for a trailer section. As with
    gunicorn, one above FIELDS_MAXIMUM is FIELDS_MAXIMUM.
    """

    request_line: int = 4094
    fields: int = 100
    field_size: int = 8190
    body: int = 2147483648

    @classmethod
    def of(cls, settings: LimitSettings) -> Limits:
        """The limits that a configuration asks for."""
        return cls(
            request_line=settings.limit_request_line,
            fields=settings.limit_request_fields,
            field_size=settings.limit_request_field_size,
            body=settings.limit_request_body,
        )

    def __post_init__(self) -> None:
        if min(self.request_line, self.fields, self.field_size, self.body) < 0:
            raise ValueError(f"a limit cannot be negative: {self!r}")
        self._set("request_line", self.request_line or SECTION_MAXIMUM)
        self._set("fields", min(self.fields or FIELDS_MAXIMUM, FIELDS_MAXIMUM))
        self._set("field_size", self.field_size or SECTION_MAXIMUM)
        self._set("body", self.body or LENGTH_MAXIMUM)

    def _set(self, name: str, value: int) -> None:
        object.__setattr__(self, name, value)
