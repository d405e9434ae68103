"""The guard of heads and trailers: what no engine may see, found while it arrives.

A *section* is lines that end in CRLF and an empty line after them: the head of a request, or the
trailer section of a chunked body. ``take`` is called whenever bytes have been added; it looks at
the new ones only, so a peer that sends one octet at a time costs no more than one that sends
everything at once.

A section that is whole is judged by one pattern over all of it. Only when that fails, and while
the section is not whole yet, lines are looked at one by one, to find the sentence and the status.
"""

from __future__ import annotations

import re

from greenuni.errors import RemoteProtocolError
from greenuni.http.grammar import CONTROL, FIELD_LINE, FIELD_LINE_TEXT, TOKEN_TEXT
from greenuni.http.limits import SECTION_MAXIMUM, Limits

_FIELD_LINES_TEXT = rb"(?:" + FIELD_LINE_TEXT + rb"\r\n)*\r\n"
_HEAD = re.compile(TOKEN_TEXT + rb" [\x21-\x7e]+ HTTP/1\.[01]\r\n" + _FIELD_LINES_TEXT)
_TRAILERS = re.compile(_FIELD_LINES_TEXT)
_REQUEST_LINE = re.compile(TOKEN_TEXT + rb" [\x21-\x7e]+ HTTP/([0-9]\.[0-9])")
_NO_REQUEST_LINE_OCTET = re.compile(rb"[^\x20-\x7e]")

_TLS_HANDSHAKE = 0x16  # the first octet of every TLS connection (RFC 8446 5.1)
_OCTET_NAMES = {
    b"\x00": "a NUL",
    b"\n": "a line feed without a carriage return before it",
    b"\r": "a carriage return without a line feed after it",
}


class SectionGuard:
    """Cuts whole sections from the front of a buffer, one after the other.

    Raises RemoteProtocolError: 400, 414 (request line), 431 (fields) or 505 (version).
    """

    __slots__ = (
        "_blank_line_skipped",
        "_limits",
        "_line_start",
        "_lines",
        "_pattern",
        "_request_lines",
        "_scanned",
    )

    def __init__(self, limits: Limits, has_request_line: bool) -> None:
        self._limits = limits
        self._request_lines = int(has_request_line)
        self._pattern = _HEAD if has_request_line else _TRAILERS
        self._restart()

    def _restart(self) -> None:
        self._blank_line_skipped = False
        self._scanned = 0  # octets that need not be looked at again
        self._line_start = 0  # of the line that is not whole yet
        self._lines = 0  # whole lines before it

    def __repr__(self) -> str:
        kind = "head" if self._request_lines else "trailers"
        return f"<SectionGuard of {kind} lines={self._lines} scanned={self._scanned}>"

    def take(self, buffer: bytearray) -> bytes:
        """The section with its empty line, cut from ``buffer``; empty when it is not whole yet."""
        if not buffer:
            return b""
        if self._request_lines and not self._blank_line_skipped and buffer.startswith(b"\r\n"):
            # RFC 9112 2.2: ignore at least one empty line before a request line. One is all.
            self._blank_line_skipped = True
            del buffer[:2]
        end = self._find_end(buffer)
        if not 0 < end <= SECTION_MAXIMUM:
            self._check_incomplete(buffer)
            return b""
        section = bytes(buffer[:end])
        self._check_whole(section)
        del buffer[:end]
        self._restart()
        return section

    def _find_end(self, buffer: bytearray) -> int:
        if not self._request_lines and buffer.startswith(b"\r\n"):
            return 2
        found = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        return found + 4 if found >= 0 else 0

    def _check_whole(self, section: bytes) -> None:
        matches = self._pattern.fullmatch(section) is not None
        if matches and _is_small(section, self._request_lines, self._limits):
            return
        for number, line in enumerate(section[:-4].split(b"\r\n")):
            self._check_line(number, line)
        if not matches:
            raise RemoteProtocolError("The request is malformed.")

    def _check_incomplete(self, buffer: bytearray) -> None:
        """Refuse as early as possible, in time linear in what is new."""
        position = max(self._line_start, self._scanned - 1)
        while (line_end := buffer.find(b"\r\n", position)) >= 0:
            self._check_line(self._lines, bytes(buffer[self._line_start : line_end]))
            self._lines += 1
            position = self._line_start = line_end + 2
        self._check_rest(bytes(buffer[position:]))
        self._check_size(self._lines, len(buffer) - self._line_start - buffer.endswith(b"\r"))
        if len(buffer) > SECTION_MAXIMUM:
            raise RemoteProtocolError(
                f"There are more than {SECTION_MAXIMUM} bytes of header fields.", 431
            )
        self._scanned = len(buffer)

    def _check_rest(self, octets: bytes) -> None:
        """New octets of a line that is not whole yet; a CR at their end may begin a CRLF."""
        if octets.endswith(b"\r"):
            octets = octets[:-1]
        if self._lines < self._request_lines:
            _check_request_line_octets(octets)
        elif CONTROL.search(octets):
            raise _control_refused(octets)

    def _check_line(self, number: int, line: bytes) -> None:
        self._check_size(number, len(line))
        if number < self._request_lines:
            _check_request_line(line)
        elif line:
            _check_field_line(line)

    def _check_size(self, number: int, size: int) -> None:
        """``size`` octets of the line with that ``number`` have come; it may be whole or not."""
        limits = self._limits
        if number < self._request_lines:
            if size > limits.request_line:
                raise RemoteProtocolError(
                    f"The request line is longer than {limits.request_line} bytes.", 414
                )
        elif size > limits.field_size:
            raise RemoteProtocolError(
                f"A header field is longer than {limits.field_size} bytes.", 431
            )
        elif size and number - self._request_lines >= limits.fields:
            raise RemoteProtocolError(f"There are more than {limits.fields} header fields.", 431)


def is_good_head(head: bytes, limits: Limits) -> bool:
    """Whether a whole head is well formed, and within the limits at the first glance."""
    return _HEAD.fullmatch(head) is not None and _is_small(head, 1, limits)


def _is_small(section: bytes, request_lines: int, limits: Limits) -> bool:
    """Whether the limits hold for every line because they hold for the section."""
    return (
        section.count(b"\n") - 1 - request_lines <= limits.fields
        and len(section) <= limits.field_size
        and section.index(b"\r") <= limits.request_line
    )


def _check_request_line(line: bytes) -> None:
    """``method SP request-target SP HTTP-version`` (RFC 9112 3)."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        _check_request_line_octets(line)
        raise RemoteProtocolError("The request line is not 'METHOD target HTTP/1.1'.")
    if match[1] not in (b"1.1", b"1.0"):
        raise RemoteProtocolError(f"HTTP/{match[1].decode()} is not supported on this port.", 505)


def _check_request_line_octets(octets: bytes) -> None:
    match = _NO_REQUEST_LINE_OCTET.search(octets)
    if match is None:
        return
    if octets[0] == _TLS_HANDSHAKE:
        raise RemoteProtocolError("The client speaks TLS to a port that speaks plain HTTP.")
    if CONTROL.fullmatch(match[0]):
        raise _control_refused(octets)
    raise RemoteProtocolError("The request line has an octet that is not printable ASCII.")


def _check_field_line(line: bytes) -> None:
    """``field-name ":" OWS field-value OWS`` and nothing else (RFC 9112 5)."""
    if FIELD_LINE.fullmatch(line):
        return
    if line.startswith((b" ", b"\t")):
        raise RemoteProtocolError("A header field is folded over more than one line.")
    if CONTROL.search(line):
        raise _control_refused(line)
    name, colon, _ = line.partition(b":")
    if not colon:
        raise RemoteProtocolError("A header line has no colon.")
    if name.endswith((b" ", b"\t")):
        raise RemoteProtocolError("There is white space between a field name and its colon.")
    raise RemoteProtocolError("A header field name is empty or not a token.")


def _control_refused(octets: bytes) -> RemoteProtocolError:
    """The error for the first control character in ``octets``."""
    octet = CONTROL.findall(octets)[0]
    name = _OCTET_NAMES.get(octet, f"the control character 0x{octet[0]:02x}")
    return RemoteProtocolError(f"The request has {name}.")
