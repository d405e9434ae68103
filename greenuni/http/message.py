"""h11, the reference for everything that has a grammar.

A ``Message`` reads *one* request and is thrown away, so nothing of a message can outlive it. It is
given what the guards have let through: one whole head, then, if the body is chunked, framing that
was checked line by line. A counted body has no grammar and does not pass through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenuni.errors import RemoteProtocolError
from greenuni.http.events import Data, EndOfMessage, Headers

if TYPE_CHECKING:
    import h11


def load_h11() -> None:
    """Import h11 if that has not been done.

    It is most of a megabyte, which a worker whose engine is compiled may never need.
    """
    global h11
    import h11


class Message:
    """One request, read by h11 through the documented part of its interface.

    Raises RemoteProtocolError for what h11 does not accept.
    """

    __slots__ = ("_connection",)

    def __init__(self) -> None:
        load_h11()
        self._connection = h11.Connection(h11.SERVER)

    def read_head(self, head: bytes) -> tuple[bytes, bytes, bytes, Headers]:
        """Method, target, version (``b"1.1"``) and fields, their names in lower case.

        ``head`` is everything up to and including the empty line.
        """
        event = self._next_event(head)
        if type(event) is not h11.Request:
            raise RemoteProtocolError("The request is malformed.")
        # raw_items() is many times faster than iterating over h11's Headers.
        fields = [(name.lower(), value) for name, value in event.headers.raw_items()]
        return event.method, event.target, event.http_version, fields

    def read_chunked(self, data: bytes) -> Data | EndOfMessage | None:
        """What the next ``data`` of a chunked body, framing included, says.

        All of its content in one event, or the end, or nothing. The guard never hands over
        content and trailer section together.
        """
        event = self._next_event(data)
        content: list[bytes] = []
        while type(event) is h11.Data:
            content.append(event.data)
            event = self._next_event()
        if type(event) is h11.EndOfMessage:
            return EndOfMessage(list(event.headers))
        return Data(b"".join(content)) if content else None

    def _next_event(self, data: bytes = b"") -> object:
        try:
            if data:
                self._connection.receive_data(data)
            return self._connection.next_event()
        except h11.RemoteProtocolError as error:
            # h11's sentences quote what was sent; ours go back to the client and do not.
            raise RemoteProtocolError(
                "The request is malformed.", error.error_status_hint
            ) from error
