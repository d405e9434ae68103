"""The guard of chunked bodies (RFC 9112 7.1): every size line is judged before the engine sees it."""

from __future__ import annotations

import enum
import re

from greenuni.errors import RemoteProtocolError
from greenuni.http.grammar import CONTROL, TOKEN_TEXT
from greenuni.http.limits import Limits
from greenuni.http.section import SectionGuard

SIZE_LINE_MAXIMUM = 256  # bytes of a size line with its extensions, without the CRLF

# Octets that carry no payload, a message: so many, and so many more for each octet of payload.
# One octet a chunk costs 5; what is above this is somebody who wants us to read for nothing.
OVERHEAD_FREE = 16 * 1024
OVERHEAD_RATIO = 8

# chunk-ext (RFC 9112 7.1.1) without the "bad" white space that it lets recipients put up with
_QUOTED_TEXT = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION_TEXT = rb";" + TOKEN_TEXT + rb"(?:=(?:" + TOKEN_TEXT + rb"|" + _QUOTED_TEXT + rb"))?"
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION_TEXT + rb")*")

# Fields that say where a message ends, where it goes, who asks or how to read it have no business
# after the body (RFC 9110 6.5.1).
_FORBIDDEN_TRAILER = re.compile(
    rb"(?:^|\n)(?i:authorization|cache-control|connection|content-[a-z-]+|cookie|expect|forwarded"
    rb"|host|if-[a-z-]+|keep-alive|max-forwards|pragma|proxy-[a-z-]+|range|set-cookie|te|trailer"
    rb"|transfer-encoding|upgrade|x-forwarded-[a-z-]+):"
)


class _Place(enum.Enum):
    """Where in the body the next octet stands."""

    SIZE = "size line"
    PAYLOAD = "payload"
    PAYLOAD_END = "CRLF after the payload"
    TRAILERS = "trailer section"
    END = "end"


class ChunkedGuard:
    """Lets through the framing of one chunked body, or raises RemoteProtocolError."""

    __slots__ = ("_limits", "_overhead", "_payload", "_place", "_remaining", "_trailers")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._place = _Place.SIZE
        self._remaining = 0  # of the chunk that is being read
        self._payload = 0  # announced so far
        self._overhead = 0
        self._trailers = SectionGuard(limits, has_request_line=False)

    def __repr__(self) -> str:
        return f"<ChunkedGuard at {self._place.value} payload={self._payload}>"

    def take(self, buffer: bytearray) -> bytes:
        """Cut from ``buffer`` what is known to be good; empty when more is needed to know.

        Never content and trailer section at once, so ask again until nothing comes.
        """
        if self._place is _Place.TRAILERS:
            return self._take_trailers(buffer)
        position = 0
        try:
            while step := self._step(buffer, position):
                position += step
        except RemoteProtocolError:
            # What stands before a fault is delivered, however it was cut into pieces on its way;
            # the fault is then at the front of the buffer and is found again.
            if position == 0:
                raise
        good = bytes(buffer[:position])
        del buffer[:position]
        return good

    def _step(self, buffer: bytearray, position: int) -> int:
        """How many octets at ``position`` are good; 0 when that is not known, or the content ends."""
        if self._place is _Place.SIZE:
            return self._step_size(buffer, position)
        if self._place is _Place.PAYLOAD:
            return self._step_payload(len(buffer) - position)
        if self._place is _Place.PAYLOAD_END:
            return self._step_payload_end(buffer, position)
        return 0

    def _step_size(self, buffer: bytearray, position: int) -> int:
        line_end = buffer.find(b"\r\n", position, position + SIZE_LINE_MAXIMUM + 2)
        if line_end < 0:
            self._check_incomplete(bytes(buffer[position : position + SIZE_LINE_MAXIMUM + 2]))
            return 0
        match = _SIZE_LINE.fullmatch(bytes(buffer[position:line_end]))
        if match is None:
            raise RemoteProtocolError("A chunk size line is malformed.")
        length = line_end + 2 - position
        self._announce(int(match[1], 16), length)
        return length

    def _check_incomplete(self, rest: bytes) -> None:
        if len(rest) > SIZE_LINE_MAXIMUM + 1:
            raise RemoteProtocolError("A chunk size line is too long.")
        if CONTROL.search(rest[:-1] if rest.endswith(b"\r") else rest):
            raise RemoteProtocolError("A chunk size line is malformed.")

    def _announce(self, size: int, line_length: int) -> None:
        payload = self._payload + size
        if payload > self._limits.body:
            raise RemoteProtocolError("The request body is too large.", 413)
        overhead = self._overhead + line_length + 2
        if overhead > OVERHEAD_FREE + OVERHEAD_RATIO * payload:
            raise RemoteProtocolError("The request body is more framing than content.")
        self._payload, self._overhead, self._remaining = payload, overhead, size
        self._place = _Place.PAYLOAD if size else _Place.TRAILERS

    def _step_payload(self, available: int) -> int:
        count = min(self._remaining, available)
        self._remaining -= count
        if self._remaining == 0:
            self._place = _Place.PAYLOAD_END
        return count

    def _step_payload_end(self, buffer: bytearray, position: int) -> int:
        end = bytes(buffer[position : position + 2])
        if end == b"\r\n":
            self._place = _Place.SIZE
            return 2
        if end not in (b"", b"\r"):
            raise RemoteProtocolError("A chunk is longer than its size says.")
        return 0

    def _take_trailers(self, buffer: bytearray) -> bytes:
        section = self._trailers.take(buffer)
        if _FORBIDDEN_TRAILER.search(section):
            raise RemoteProtocolError("A field in the trailer section is not allowed there.")
        if section:
            self._place = _Place.END
        return section
