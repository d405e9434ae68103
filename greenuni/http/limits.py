"""How much of a request we are willing to read. Counted by the guard, before any engine."""

from __future__ import annotations

from dataclasses import dataclass

# The whole head, whatever the settings say: 0 switches a setting off, not this.
HEAD_MAXIMUM = 1024 * 1024
FIELDS_MAXIMUM = 32768

# The largest body that can be announced: what a signed 64 bit number holds, so that nobody behind
# us reads another number than we do.
LENGTH_MAXIMUM = 2**63 - 1

# What an application left unread of a request body is read and thrown away up to here, so that
# the connection can go on; past it, closing is cheaper for everybody.
DISCARD_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, without the CRLF of a line; 0 is no limit of its own.

    ``fields`` is a count, for the header section and again for the trailer section.
    """

    request_line: int = 4094
    fields: int = 100
    field_size: int = 8190
    body: int = 2147483648

    def __post_init__(self) -> None:
        if min(self.request_line, self.fields, self.field_size, self.body) < 0:
            raise ValueError(f"a limit cannot be negative: {self!r}")
        if self.fields > FIELDS_MAXIMUM:
            raise ValueError(f"fields cannot be more than {FIELDS_MAXIMUM}: {self!r}")
