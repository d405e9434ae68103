"""What the parts of the shell ask of each other, as types, so that none of them imports its neighbour.

A connection stands between a *transport* below and a *dialogue* above. The transport side is the part
of asyncio's documented Protocol and Transport pair that HTTP needs; what implements it is
``transport.SocketTransport``, in tests ``greenuni.testing.MemoryTransport``. What the transport tells
the connection, and what the others ask of each other, is in ``channel``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextvars import Context
from signal import Signals
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Transport(Protocol):
    """Bytes to a peer. Nothing here blocks; asyncio.Transport has the full meaning of each."""

    def write(self, data: bytes) -> None:
        """Send, or buffer what the socket does not take; may call ``pause_writing``."""

    def writelines(self, parts: list[bytes]) -> None:
        """The same for several pieces at once."""

    def write_eof(self) -> None:
        """Close the writing side once the buffer is out."""

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""

    def set_user(self, user: Any) -> None:
        """Tell another `channel.TransportUser` from now on."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        """Bytes written that the kernel has not taken yet."""

    def close(self) -> None:
        """Flush, then close; ``connection_lost`` follows."""

    def abort(self) -> None:
        """Close without flushing, and by a reset; ``connection_lost`` follows."""


class Waiting(Protocol):
    """An event that any number of tasks can wait for, once."""

    def set(self) -> object: ...

    def wait(self) -> Awaitable[object]: ...


class Cancellable(Protocol):
    """A running task or a timer, as far as we care."""

    def cancel(self) -> object: ...


class Runtime(Protocol):
    """The event loop, as connections and requests see it."""

    cancelled: type[BaseException]  # what a cancelled task is thrown

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """Call back each time that ``fd`` is found readable, until ``unwatch``."""

    def unwatch(self, fd: int) -> None: ...

    def on_signals(self, numbers: Sequence[Signals], callback: Callable[[Signals], object]) -> None:
        """Call back from the loop for each of these signals. In the main thread only."""

    def spawn(self, context: Context, run: Coroutine[Any, Any, None]) -> Cancellable | None:
        """Start ``run`` in a task of its own, in a copy of ``context``; None if it has returned."""

    def accompany(self, run: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Start ``run`` beside the program, with which it ends at the latest."""

    def new_waiting(self) -> Waiting: ...

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Call back from the loop, once everything has run that is due now."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """Call back from the loop after a time, if it still runs then. For what is rare."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object:
        """Call back from the loop. Safe in any thread; RuntimeError when the loop has ended."""

    def checkpoint(self) -> Awaitable[None]:
        """Let everybody else run once; raises ``cancelled`` when this task is."""
