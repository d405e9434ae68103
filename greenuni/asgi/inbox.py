"""What the application receives: the body of one request, then ``http.disconnect`` for ever.

``receive`` returns a message that is ready without passing a checkpoint. Starlette's
``is_disconnected()`` calls it in a scope that is already cancelled; a checkpoint there would be
cancelled, the message lost, and the client never seen to be gone.
"""

from __future__ import annotations

import enum

from greenuni.asgi.interfaces import Channel, Message, Runtime, Waiting

# Bytes of a body that may wait for the application before reading from the socket pauses.
HIGH_WATER = 65536


class Body(enum.Enum):
    """Where the request body is."""

    ARRIVING = "arriving"
    ARRIVED = "arrived"  # complete, and the application has not been given its end
    TAKEN = "taken"  # the end has been given, or nobody wants it any more


ARRIVING, ARRIVED, TAKEN = Body  # globals are cheaper to look up than members


class Inbox:
    """The receiving half of a cycle. Fed by the connection, emptied by the application."""

    __slots__ = (
        "_body",
        "_channel",
        "_chunks",
        "_is_disconnected",
        "_runtime",
        "_waiting",
        "has_told",
        "size",
    )

    def __init__(self, channel: Channel, runtime: Runtime) -> None:
        self._channel = channel
        self._runtime = runtime
        self._body = ARRIVING
        self._chunks: list[bytes] = []
        self._is_disconnected = False
        self._waiting: Waiting | None = None  # made when somebody has to wait
        self.size = 0  # bytes that wait for the application
        self.has_told = False  # whether the application has been given http.disconnect

    def __repr__(self) -> str:
        gone = " disconnected" if self._is_disconnected else ""
        return f"<Inbox {self._body.value} size={self.size}{gone}>"

    @property
    def is_full(self) -> bool:
        return self.size > HIGH_WATER

    def feed(self, data: bytes) -> None:
        """Some bytes of the body have come."""
        if self._body is ARRIVING:
            self._chunks.append(data)
            self.size += len(data)
            self._wake()

    def end(self) -> None:
        """The body is complete."""
        if self._body is ARRIVING:
            self._body = ARRIVED
            self._wake()

    def disconnect(self) -> None:
        """Nobody waits for the response; what came of the body can still be read."""
        self._is_disconnected = True
        self._wake()

    def close(self) -> None:
        """Disconnect, and forget the body."""
        self._body = TAKEN
        self._chunks.clear()
        self.size = 0
        self.disconnect()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set()
            self._waiting = None

    async def receive(self) -> Message:
        """ASGI's ``receive``. Several tasks may wait in it; each gets a message of its own."""
        if self._body is ARRIVING:
            self._channel.ask_for_body()
        while True:
            if self._chunks or self._body is ARRIVED:
                return self._take()
            if self._is_disconnected:
                self.has_told = True
                return {"type": "http.disconnect"}
            if self._waiting is None:
                self._waiting = self._runtime.new_waiting()
            await self._waiting.wait()

    def _take(self) -> Message:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.size = 0
        more = self._body is ARRIVING
        if not more:
            self._body = TAKEN
        return {"type": "http.request", "body": data, "more_body": more}
