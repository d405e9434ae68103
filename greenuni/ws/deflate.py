"""permessage-deflate (RFC 7692): negotiated, and inflated within bounds, whatever a client sends.

wsproto's own extension inflates whatever came in one read: 64 KiB of it can be 64 MiB. This one never
makes more than the message may still have.

A compressor of zlib's own defaults takes 256 KiB, an inflater 44 KiB. With windows of 4 KiB they are
32 and 11 KiB, and text is hardly larger for it; so that is what we use, and ask clients to use.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

Decoder = FrameDecoder | FrameProtocol

NAME = b"permessage-deflate"

WINDOW_BITS = 12  # 4 KiB
MEMORY_LEVEL = 5

# Bytes of a message below which compressing it costs time and saves nothing.
SMALLEST = 64

_ALL_BITS = 15  # what a window has that nobody has spoken of
_LEAST_BITS = 9  # zlib cannot make less for a raw stream

_COMPRESSED = RsvBits(True, False, False)
_FLUSHED = b"\x00\x00\xff\xff"  # how a flush ends; senders leave it away (RFC 7692 7.2.1)


@dataclass(frozen=True)
class Parameters:
    """What was agreed upon (RFC 7692 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = WINDOW_BITS
    client_max_window_bits: int | None = None  # None: it did not say that it can use less

    def render(self) -> bytes:
        """The value of Sec-WebSocket-Extensions in the answer."""
        parts = [NAME, b"server_max_window_bits=%d" % self.server_max_window_bits]
        if self.client_max_window_bits is not None:
            parts.append(b"client_max_window_bits=%d" % self.client_max_window_bits)
        if self.server_no_context_takeover:
            parts.append(b"server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append(b"client_no_context_takeover")
        return b"; ".join(parts)


def negotiate(offers: Iterable[bytes]) -> Parameters | None:
    """The answer to the first offer that can be accepted; None if there is none."""
    for offer in offers:
        name, *rest = (part.strip(b" \t") for part in offer.split(b";"))
        if name.lower() == NAME:
            parameters = _answer(rest)
            if parameters is not None:
                return parameters
    return None


def _answer(offered: list[bytes]) -> Parameters | None:
    """None if a parameter is unknown, comes twice, or has a value that it cannot have (7.1)."""
    values: dict[bytes, bytes | None] = {}
    for parameter in offered:
        name, equals, value = parameter.partition(b"=")
        name = name.strip(b" \t")
        if name in values:
            return None
        values[name] = value.strip(b' \t"') if equals else None
    try:
        server_bits = _offered_bits(values, b"server_max_window_bits", _ALL_BITS)
        client_bits = _offered_bits(values, b"client_max_window_bits", None)
        is_server_fresh = _is_given(values, b"server_no_context_takeover")
        is_client_fresh = _is_given(values, b"client_no_context_takeover")
    except ValueError:
        return None
    if values or server_bits is None or server_bits < _LEAST_BITS:
        return None
    return Parameters(
        server_no_context_takeover=is_server_fresh,
        client_no_context_takeover=is_client_fresh,
        server_max_window_bits=min(server_bits, WINDOW_BITS),
        client_max_window_bits=None if client_bits is None else min(client_bits, WINDOW_BITS),
    )


def _offered_bits(
    values: dict[bytes, bytes | None], name: bytes, without: int | None
) -> int | None:
    """Takes the parameter out. Only the client's may come without a value (RFC 7692 7.1.2)."""
    if name not in values:
        return without
    value = values.pop(name)
    if value is None and name == b"client_max_window_bits":
        return _ALL_BITS
    if value not in (b"8", b"9", b"10", b"11", b"12", b"13", b"14", b"15"):
        raise ValueError("not a number of window bits")
    return int(value)


def _is_given(values: dict[bytes, bytes | None], name: bytes) -> bool:
    """Takes a parameter out that has no value."""
    if values.get(name) is not None:
        raise ValueError("a parameter without a value has one")
    if name in values:
        del values[name]
        return True
    return False


class Deflate(Extension):
    """The extension at work. No message is inflated beyond ``limit`` bytes; 0 is no limit.

    wsproto reads a head again when it has come in pieces, so a head changes nothing here that it would
    change twice.
    """

    name = NAME.decode()

    def __init__(self, limit: int, parameters: Parameters) -> None:
        self._parameters = parameters
        self._limit = limit or sys.maxsize - 1
        self._left = self._limit  # bytes that the message may still be inflated to
        self._is_control = False  # the frame that is being read
        self._is_compressed = False  # the message that is being read
        self._is_compressing = False  # the message that is being sent
        # Made with the first message that needs one, so that idle connections have none.
        self._inflater: zlib._Decompress | None = None
        self._compressor: zlib._Compress | None = None

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False  # servers do not

    def frame_inbound_header(
        self, proto: Decoder, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        if rsv.rsv1 and (opcode.iscontrol() or opcode is Opcode.CONTINUATION):
            return CloseReason.PROTOCOL_ERROR
        self._is_control = opcode.iscontrol()
        if not self._is_control and opcode is not Opcode.CONTINUATION:
            self._is_compressed = rsv.rsv1
            self._left = self._limit
        return _COMPRESSED

    def frame_inbound_payload_data(self, proto: Decoder, data: bytes) -> bytes | CloseReason:
        if self._is_compressed and not self._is_control:
            return self._inflate(data)
        return data

    def frame_inbound_complete(self, proto: Decoder, fin: bool) -> bytes | CloseReason | None:
        if not fin or self._is_control or not self._is_compressed:
            return None
        inflated = self._inflate(_FLUSHED)
        self._is_compressed = False
        if self._parameters.client_no_context_takeover:
            self._inflater = None
        return inflated

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        """What ``data`` come to, if the message may have it."""
        inflated = b""
        while data:
            inflater = self._inflater or self._new_inflater()
            try:
                inflated += inflater.decompress(data, self._left - len(inflated) + 1)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            if len(inflated) > self._left:
                return CloseReason.MESSAGE_TOO_BIG
            # A message may have a final block, after which a new stream begins (RFC 7692 7.2.3.4).
            data = inflater.unused_data
            self._inflater = None if inflater.eof else inflater
        self._left -= len(inflated)
        return inflated

    def _new_inflater(self) -> zlib._Decompress:
        bits = self._parameters.client_max_window_bits or _ALL_BITS
        return zlib.decompressobj(-max(bits, _LEAST_BITS))

    def frame_outbound(
        self, proto: Decoder, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        if opcode.iscontrol():
            return rsv, data
        if opcode is not Opcode.CONTINUATION:
            self._is_compressing = not fin or len(data) >= SMALLEST
            rsv = RsvBits(self._is_compressing, rsv.rsv2, rsv.rsv3)
        return rsv, self._compress(data, fin) if self._is_compressing else data

    def _compress(self, data: bytes, fin: bool) -> bytes:
        compressor = self._compressor
        if compressor is None:
            bits = self._parameters.server_max_window_bits
            compressor = self._compressor = zlib.compressobj(
                wbits=-bits, memLevel=MEMORY_LEVEL, method=zlib.DEFLATED
            )
        compressed = compressor.compress(data)
        if fin:
            compressed += compressor.flush(zlib.Z_SYNC_FLUSH)
            compressed = compressed[: -len(_FLUSHED)]
            if self._parameters.server_no_context_takeover:
                self._compressor = None
        return compressed
