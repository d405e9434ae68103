"""What the application receives: the body of one request, then ``http.disconnect`` for ever.

`Cycle.receive` waits; whatever is ready is handed out without passing a checkpoint. Starlette's
``is_disconnected()`` calls ``receive`` in a scope that is already cancelled; a checkpoint there would
be cancelled, the message lost, and the client never seen to be gone.
"""

from __future__ import annotations

import enum

from greenuni.asgi.channel import Channel
from greenuni.asgi.interfaces import Message, Runtime, Waiting

# Bytes of a body that may wait for the application before reading from the socket pauses.
HIGH_WATER = 65536


class Body(enum.IntEnum):
    """Where the request body is."""

    ARRIVING = 0
    ARRIVED = 1  # complete, and the application has not been given its end
    TAKEN = 2  # the end has been given, or nobody wants it any more


# Plain numbers, which compiled code compares without a call.
_ARRIVING, _ARRIVED, _TAKEN = map(int, Body)


class Inbox:
    """The receiving half of a call. Fed by the dialogue, emptied by the application."""

    __slots__ = (
        "_body",
        "_channel",
        "_chunks",
        "_is_disconnected",
        "_runtime",
        "_waiting",
        "_whole",
        "has_told",
        "size",
    )

    def __init__(self, channel: Channel, runtime: Runtime, whole: bytes | None = None) -> None:
        """``whole`` is the body, if it has come with the head."""
        self._channel = channel
        self._runtime = runtime
        self._body = _ARRIVING if whole is None else _ARRIVED
        self._whole = whole
        self._chunks: list[bytes] | None = None  # of a body that has not come whole
        self._is_disconnected = False
        self._waiting: Waiting | None = None  # made when somebody has to wait
        self.size = 0  # bytes in the chunks
        self.has_told = False  # whether the application has been given http.disconnect

    def __repr__(self) -> str:
        gone = " disconnected" if self._is_disconnected else ""
        return f"<Inbox {Body(self._body).name.lower()} size={self.size}{gone}>"

    @property
    def is_full(self) -> bool:
        return self.size > HIGH_WATER

    def feed(self, data: bytes) -> None:
        """Some bytes of the body have come."""
        if self._body == _ARRIVING:
            if self._chunks is None:
                self._chunks = []
            self._chunks.append(data)
            self.size += len(data)
            self._wake()

    def end(self) -> None:
        """The body is complete."""
        if self._body == _ARRIVING:
            self._body = _ARRIVED
            self._wake()

    def disconnect(self) -> None:
        """Nobody waits for the response; what came of the body can still be read."""
        self._is_disconnected = True
        self._wake()

    def close(self) -> None:
        """Disconnect, and forget the body."""
        self._body = _TAKEN
        self._whole = self._chunks = None
        self.size = 0
        self._is_disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set()
            self._waiting = None

    def ask(self) -> None:
        """The application wants what comes next."""
        if self._body == _ARRIVING:
            self._channel.ask_for_body()

    def next(self) -> Message | None:
        """The next message; None when there is none yet."""
        if self._chunks is not None or self._body == _ARRIVED:
            return self._take()
        if self._is_disconnected:
            self.has_told = True
            return {"type": "http.disconnect"}
        return None

    def _take(self) -> Message:
        if self._chunks is not None:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = None
            self.size = 0
        else:
            data = self._whole or b""
            self._whole = None
        if self._body == _ARRIVING:
            return {"type": "http.request", "body": data, "more_body": True}
        self._body = _TAKEN
        return {"type": "http.request", "body": data, "more_body": False}

    def waiting(self) -> Waiting:
        """Something to wait for until ``next`` may have a message."""
        if self._waiting is None:
            self._waiting = self._runtime.new_waiting()
        return self._waiting
