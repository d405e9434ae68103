"""What the application receives: ``websocket.connect``, messages, ``websocket.disconnect`` for ever.

As with HTTP, whatever is ready is handed out without passing a checkpoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from greenuni.asgi.interfaces import Message, Runtime, Waiting

# Bytes of messages that may wait for the application before reading from the socket pauses. The last
# of them may be as large as ``ws-max-size`` allows.
HIGH_WATER = 65536


class Inbox:
    """The receiving half of a session.

    ``on_room`` is called when it is no longer full, and when the application asks and it is empty.
    """

    __slots__ = (
        "_disconnect",
        "_has_connected",
        "_limit",
        "_messages",
        "_on_room",
        "_runtime",
        "_size",
        "_waiting",
        "has_told",
    )

    def __init__(self, runtime: Runtime, limit: int, on_room: Callable[[], object]) -> None:
        """``limit`` is the most messages that may wait."""
        self._runtime = runtime
        self._limit = limit
        self._on_room = on_room
        self._messages: deque[str | bytes] = deque()
        self._size = 0  # of them, in bytes or characters
        self._has_connected = False
        self._disconnect: tuple[int, str] | None = None  # code and reason
        self._waiting: Waiting | None = None  # made when somebody has to wait
        self.has_told = False  # whether the application has been given websocket.disconnect

    def __repr__(self) -> str:
        gone = f" disconnected={self._disconnect}" if self._disconnect else ""
        return f"<Inbox messages={len(self._messages)} size={self._size}{gone}>"

    @property
    def is_full(self) -> bool:
        return len(self._messages) >= self._limit or self._size > HIGH_WATER

    @property
    def is_empty(self) -> bool:
        return not self._messages

    @property
    def close_code(self) -> int | None:
        """With what code the WebSocket has ended, if it has."""
        return self._disconnect[0] if self._disconnect else None

    def put(self, data: str | bytes) -> None:
        self._messages.append(data)
        self._size += len(data)
        self._wake()

    def disconnect(self, code: int, reason: str) -> None:
        """Nothing more comes; what has come can still be read. The first one decides."""
        if self._disconnect is None:
            self._disconnect = (code, reason)
            self._wake()

    def close(self, code: int, reason: str) -> None:
        """Disconnect, and forget what has come: it was we who ended it."""
        self._messages.clear()
        self._size = 0
        self.disconnect(code, reason)

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.set()
            self._waiting = None

    def next(self) -> Message | None:
        """The next message; None when there is none yet."""
        if not self._has_connected:
            self._has_connected = True
            return {"type": "websocket.connect"}
        if not self._messages and self._disconnect is None:
            self._on_room()
        if self._messages:
            return self._take()
        if self._disconnect is not None:
            self.has_told = True
            code, reason = self._disconnect
            return {"type": "websocket.disconnect", "code": code, "reason": reason}
        return None

    def _take(self) -> Message:
        was_full = self.is_full
        data = self._messages.popleft()
        self._size -= len(data)
        if was_full and not self.is_full:
            self._on_room()
        if isinstance(data, str):
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    def waiting(self) -> Waiting:
        """Something to wait for until ``next`` may have a message."""
        if self._waiting is None:
            self._waiting = self._runtime.new_waiting()
        return self._waiting
