"""How large a message may be, as an extension of wsproto's: what sees every frame as it comes."""

from __future__ import annotations

import sys

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

Decoder = FrameDecoder | FrameProtocol

_NO_BITS = RsvBits(False, False, False)


class SizeLimit(Extension):
    """Ends the conversation with 1009 when a message is larger than ``limit`` bytes; 0 is no limit.

    A frame that announces too much is refused before it comes. wsproto reads a head again when it has
    come in pieces, so a head changes nothing here that it would change twice.
    """

    name = ""  # it is ours alone and never negotiated

    def __init__(self, limit: int) -> None:
        self._limit = limit or sys.maxsize - 1
        self._left = self._limit  # bytes that the message may still have
        self._is_control = False  # the frame that is being read

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False

    def frame_inbound_header(
        self, proto: Decoder, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        self._is_control = opcode.iscontrol()
        if not self._is_control:
            if opcode is not Opcode.CONTINUATION:
                self._left = self._limit
            if payload_length > self._left:
                return CloseReason.MESSAGE_TOO_BIG
        return _NO_BITS

    def frame_inbound_payload_data(self, proto: Decoder, data: bytes) -> bytes | CloseReason:
        if not self._is_control:
            self._left -= len(data)
        return data
