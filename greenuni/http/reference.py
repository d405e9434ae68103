"""The reference engine: guard, policy and h11 one after the other. It decides what is right.

An engine is what reads request heads and writes response fields. Another one is a quicker way to
the same: a subclass that answers in the plain cases and leaves the rest to this class.
"""

from __future__ import annotations

from collections.abc import Iterable

from greenuni.errors import RemoteProtocolError
from greenuni.http.fields import Field, ResponseFields, judge_fields
from greenuni.http.limits import Limits
from greenuni.http.message import Message
from greenuni.http.request import TRANSFER_ENCODING, Request, read_request
from greenuni.http.section import is_good_head


class Engine:
    """Reads heads and writes fields. It has no state, so all connections share one."""

    __slots__ = ()

    def recognise(self, data: bytes, limits: Limits) -> Request | None:
        """The request that ``data`` begin with, if its head is whole and good and not chunked.

        Its ``body`` is there if all of it came. None says nothing of what is wrong or missing.
        """
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end]
        if end < 4 or TRANSFER_ENCODING in head.lower() or not is_good_head(head, limits):
            return None
        try:
            request, _ = self.read_head(head, limits)
        except RemoteProtocolError:
            return None
        if request.is_websocket:
            # What follows is not of HTTP, so the shell must be told of the head by itself.
            return None
        request.find_body(data)
        return request

    def read_head(self, head: bytes, limits: Limits) -> tuple[Request, Message | None]:
        """The request with that ``head``, which a guard has let through, and what reads its chunks.

        Raises RemoteProtocolError.
        """
        message = Message()
        request = read_request(head, message, limits)
        return request, message if request.chunked else None

    def write_fields(self, headers: Iterable[Field], text: bool) -> ResponseFields:
        """The fields of a response, judged and rendered. Raises LocalProtocolError."""
        return judge_fields(headers, text)

    def join(self, parts: list[bytes]) -> bytes:
        """``parts`` as one."""
        return b"".join(parts)
