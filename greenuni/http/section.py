"""The guard of heads and trailers: what no engine may see, found while it arrives.

A *section* is lines that end in CRLF and an empty line after them: the head of a request, or the
trailer section of a chunked body. ``find_end`` is called whenever bytes have been added; it looks
at new bytes only, so that a peer that sends one octet at a time costs no more than one that sends
everything at once.

A section that is whole is judged by one pattern over all of it. Only when that fails, or while
the section is not whole yet, lines are looked at one by one, to find the sentence and the status.
"""

from __future__ import annotations

import re

from greenuni.errors import RemoteProtocolError
from greenuni.http import grammar
from greenuni.http.limits import HEAD_MAXIMUM, Limits

_REQUEST_LINE = grammar.TOKEN + rb" [\x21-\x7e]+ HTTP/1\.[01]\r\n"
_head = re.compile(_REQUEST_LINE + rb"(?:" + grammar.FIELD_LINE + rb")*\r\n")
_trailers = re.compile(rb"(?:" + grammar.FIELD_LINE + rb")*\r\n")

_request_line = re.compile(rb"(" + grammar.TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_field_line = re.compile(grammar.TOKEN + rb":" + grammar.FIELD_TEXT)
_no_request_line_octet = re.compile(rb"[^\x20-\x7e]")


class SectionGuard:
    """Finds the end of one section at the start of a buffer, and refuses what is malformed."""

    __slots__ = ("_has_request_line", "_limits", "_line_start", "_lines", "_scanned")

    def __init__(self, limits: Limits, has_request_line: bool) -> None:
        self._limits = limits
        self._has_request_line = has_request_line
        self._scanned = 0  # octets that need not be looked at again
        self._line_start = 0  # of the line that is not whole yet
        self._lines = 0  # whole lines before it

    def __repr__(self) -> str:
        kind = "head" if self._has_request_line else "trailers"
        return f"<SectionGuard {kind} lines={self._lines} scanned={self._scanned}>"

    def find_end(self, buffer: bytearray) -> int:
        """The length of the section with its empty line, or -1 when it is not whole yet.

        Raises RemoteProtocolError: 400, 414 (request line), 431 (fields) or 505 (version).
        """
        if not self._has_request_line and buffer.startswith(b"\r\n"):
            return 2
        found = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if found < 0 or found + 4 > HEAD_MAXIMUM:
            self._check_incomplete(buffer)
            return -1
        end = found + 4
        self._check_whole(bytes(buffer[:end]))
        return end

    def _check_whole(self, section: bytes) -> None:
        pattern = _head if self._has_request_line else _trailers
        limits = self._limits
        if (
            pattern.fullmatch(section)
            and len(section) <= limits.request_line
            and len(section) <= limits.field_size
            and section.count(b"\n") - 1 - self._has_request_line <= limits.fields
        ):
            return
        for number, line in enumerate(section[:-4].split(b"\r\n")):
            self._check_line(number, line)

    def _check_incomplete(self, buffer: bytearray) -> None:
        """Refuse as early as possible, in time linear in what is new."""
        position = max(self._line_start, self._scanned - 1)
        while (line_end := buffer.find(b"\r\n", position)) >= 0:
            self._check_line(self._lines, bytes(buffer[self._line_start : line_end]))
            self._lines += 1
            position = self._line_start = line_end + 2
        self._check_rest(bytes(buffer[position:]))
        self._check_size(self._lines, len(buffer) - self._line_start - buffer.endswith(b"\r"))
        self._scanned = len(buffer)
        if len(buffer) > HEAD_MAXIMUM:
            raise RemoteProtocolError("The request head is too large.", 431)

    def _check_rest(self, octets: bytes) -> None:
        """The new octets of a line that is not whole yet; its last may be the CR of a CRLF."""
        if octets.endswith(b"\r"):
            octets = octets[:-1]
        if self._is_request_line(self._lines):
            _check_request_line_octets(octets)
        elif grammar.control.search(octets):
            _refuse_control(octets)

    def _check_line(self, number: int, line: bytes) -> None:
        self._check_size(number, len(line))
        if self._is_request_line(number):
            _check_request_line(line)
        else:
            _check_field_line(line)

    def _check_size(self, number: int, size: int) -> None:
        limits = self._limits
        if self._is_request_line(number):
            if limits.request_line and size > limits.request_line:
                raise RemoteProtocolError(
                    f"The request line is longer than {limits.request_line} bytes.", 414
                )
            return
        if limits.field_size and size > limits.field_size:
            raise RemoteProtocolError(
                f"A header field is longer than {limits.field_size} bytes.", 431
            )
        fields = number + 1 - self._has_request_line
        if size and fields > limits.fields:
            raise RemoteProtocolError(f"There are more than {limits.fields} header fields.", 431)

    def _is_request_line(self, number: int) -> bool:
        return self._has_request_line and number == 0


def _check_request_line_octets(octets: bytes) -> None:
    if _no_request_line_octet.search(octets):
        if grammar.control.search(octets):
            _refuse_control(octets)
        raise RemoteProtocolError("The request line has an octet that is not printable ASCII.")


def _check_request_line(line: bytes) -> None:
    match = _request_line.fullmatch(line)
    if match is None:
        _check_request_line_octets(line)
        raise RemoteProtocolError("The request line is not 'METHOD target HTTP/1.1'.")
    if match[3] != b"1" or match[4] not in b"01":
        version = f"{match[3].decode()}.{match[4].decode()}"
        raise RemoteProtocolError(f"HTTP/{version} is not supported here.", 505)


def _check_field_line(line: bytes) -> None:
    """``field-name ":" OWS field-value OWS`` and nothing else (RFC 9112 5)."""
    if _field_line.fullmatch(line):
        return
    if line.startswith((b" ", b"\t")):
        raise RemoteProtocolError("A header field is folded over more than one line.")
    if grammar.control.search(line):
        _refuse_control(line)
    name, colon, _ = line.partition(b":")
    if not colon:
        raise RemoteProtocolError("A header line has no colon.")
    if name.endswith((b" ", b"\t")):
        raise RemoteProtocolError("There is white space between a field name and its colon.")
    raise RemoteProtocolError("A header field name is empty or not a token.")


def _refuse_control(octets: bytes) -> None:
    match = grammar.control.search(octets)
    octet = match[0][0] if match else 0
    names = {0: "a NUL", 10: "a line feed without a carriage return before it"}
    names[13] = "a carriage return without a line feed after it"
    what = names.get(octet, f"the control character 0x{octet:02x}")
    raise RemoteProtocolError(f"The request head has {what}.")
