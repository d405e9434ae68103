"""One call of a WSGI application, run in a thread for a task of an event loop.

A ``Call`` is shared by two threads, and everything in it has one writer:

    the application's thread    outbox (appends), produced, reply, is_finished, error, is_released; _read
    the loop's                  outbox (takes), consumed, is_gone; _body (appends), _fed, _has_more_body

Each tells the other of a change: the thread by ``Crew.post``, the loop by an event that the thread has made
if, and only if, it waits. Whoever waits declares it first and looks once more before it does, so a
change in between is not missed.

Nothing waits without end for a client: when it is gone, ``write`` and reading raise ClientDisconnected,
which is an OSError, and iterating stops at the next chunk. The iterable is closed in every case.
"""

from __future__ import annotations

import contextvars
import io
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from greenuni.bridge.crew import Crew
from greenuni.bridge.interfaces import Environ, ExcInfo, WSGIApp
from greenuni.bridge.loops import Future
from greenuni.bridge.reply import Reply
from greenuni.errors import LocalProtocolError

# Bytes that may wait, of a response for the client and of a request body for the application.
HIGH_WATER = 65536
READ_BUFFER = 8192
JOIN_LIMIT = 65536  # bytes of a list of chunks that go out as one chunk


class ClientDisconnected(ConnectionError):
    """The client is gone: nothing can be read from it or written to it any more."""


class Call:
    """See the module. ``take`` and what comes below it is for the loop, all else for the thread."""

    __slots__ = (
        "__weakref__",
        "_app",
        "_body",
        "_body_future",
        "_crew",
        "_fed",
        "_future",
        "_go",
        "_has_more_body",
        "_read",
        "began",
        "consumed",
        "context",
        "environ",
        "error",
        "is_counted",
        "is_finished",
        "is_gone",
        "is_posted",
        "is_released",
        "outbox",
        "produced",
        "reply",
        "submitted",
    )

    def __init__(self, app: WSGIApp, environ: Environ, crew: Crew, body: bytes, more: bool) -> None:
        """``body`` is what has come of the request's, and ``more`` whether something follows."""
        self._app = app
        self._crew = crew
        self.environ = environ
        self.context = contextvars.copy_context()
        self.reply = Reply(environ["REQUEST_METHOD"])
        self.outbox: deque[bytes] = deque()
        self.produced = 0
        self.consumed = 0
        self.is_finished = False  # nothing more will come into the outbox
        self.error: BaseException | None = None
        self.is_released = self.is_posted = self.is_counted = False  # see crew.Task
        self.submitted = self.began = 0.0
        self.is_gone = False
        self._go: threading.Event | None = None  # made by the thread when it has to wait
        self._future: Future | None = None
        self._body: deque[bytes] | None = None
        self._body_future: Future | None = None
        self._has_more_body = more
        self._fed = len(body)
        self._read = 0
        if more:
            self._body = deque((body,) if body else ())
            environ["wsgi.input"] = io.BufferedReader(_BodyStream(self), READ_BUFFER)
        else:
            environ["wsgi.input"] = io.BytesIO(body)

    def __repr__(self) -> str:
        state = "released" if self.is_released else "finished" if self.is_finished else "running"
        return f"<Call {state}{' gone' * self.is_gone} outbox={self.produced - self.consumed}>"

    # The application's thread

    def run(self) -> None:
        """See `crew.Task`."""
        try:
            if not self.is_gone:
                self._respond()
        except ClientDisconnected as error:
            if not self.is_gone:
                self.error = error  # raised by the application about something else
        except Exception as error:  # noqa: BLE001 - the loop raises it again
            self.error = error
        except BaseException as error:  # noqa: BLE001 - SystemExit of a request would end the server
            self.error = RuntimeError(f"the application raised {error!r}")
            self.error.__cause__ = error
        self.environ = {}  # its wsgi.input refers to us: leave no cycle
        self.is_finished = self.is_released = True
        self._crew.post(self)

    def _respond(self) -> None:
        result = self._app(self.environ, self.start_response)
        if type(result) is list or type(result) is tuple:
            self._send_list(result)
            return
        try:
            self._send_chunks(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333, "The start_response() Callable". Raises LocalProtocolError for misuse."""
        self.reply.start(status, headers, exc_info)
        return self._write

    def _write(self, data: bytes) -> None:
        """PEP 3333, "The write() Callable". Raises ClientDisconnected."""
        if data:
            self._put(data)

    def _send_list(self, chunks: list[bytes] | tuple[bytes, ...]) -> None:
        """All of it is there, so nobody waits and the loop is called once."""
        chunks = _joined(chunks)
        reply = self.reply
        if not reply.is_committed:
            reply.know_length(sum(map(len, chunks)))
        for chunk in chunks:
            if chunk := reply.admit(chunk):
                self.outbox.append(chunk)
                self.produced += len(chunk)
        reply.end()

    def _send_chunks(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if chunk:
                self._put(chunk)
                if self.reply.is_complete:
                    return
        self.reply.end()
        self.is_finished = True
        self._crew.post(self)

    def _put(self, chunk: bytes) -> None:
        """Give a chunk to the loop; wait while the client is slow."""
        reply = self.reply
        if self.is_gone:
            raise ClientDisconnected("the client has gone")
        if chunk := reply.admit(chunk):
            self.outbox.append(chunk)
            self.produced += len(chunk)
        # Said before close() is called, for whoever has all of the response should not wait for that.
        self.is_finished = reply.is_complete
        self._crew.post(self)
        if self.produced - self.consumed > HIGH_WATER:
            self._wait_until(self._has_room)

    def _has_room(self) -> bool:
        return self.produced - self.consumed <= HIGH_WATER

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for the loop. Raises ClientDisconnected when the client goes before it is so."""
        go = self._go = threading.Event()
        while not condition():
            if self.is_gone:
                raise ClientDisconnected("the client has gone")
            go.wait()
            go.clear()
        self._go = None

    def read_body(self) -> bytes:
        """What has come of the body, once something has; empty at its end. Raises ClientDisconnected."""
        body = self._body
        assert body is not None
        if not body:
            self._wait_until(lambda: bool(body) or not self._has_more_body)
        if not body:
            return b""
        chunk = body.popleft()
        self._read += len(chunk)
        self._crew.post(self)
        return chunk

    # The loop

    def take(self) -> bytes:
        """What waits in the outbox, at most once around HIGH_WATER."""
        outbox = self.outbox
        data = outbox.popleft()
        if outbox and len(data) < HIGH_WATER:
            parts = [data]
            size = len(data)
            while outbox and size < HIGH_WATER:
                parts.append(outbox.popleft())
                size += len(parts[-1])
            data = b"".join(parts)
        return data

    def taken(self, size: int) -> None:
        """The client's side has accepted so many bytes of what was taken."""
        self.consumed += size
        self._release_thread()

    def leave(self) -> None:
        """The client is gone: whatever the thread waits for, it need not wait longer."""
        self.is_gone = True
        self._release_thread()
        self.wake()

    def _release_thread(self) -> None:
        go = self._go
        if go is not None:
            go.set()

    def feed(self, data: bytes, more: bool) -> None:
        """A part of the request's body has come."""
        if self._body is not None and data:
            self._body.append(data)
            self._fed += len(data)
        self._has_more_body = more
        self._release_thread()

    @property
    def wants_body(self) -> bool:
        """Whether there is room for more of the body, and more to come."""
        return self._has_more_body and self._fed - self._read < HIGH_WATER

    def wake(self) -> None:
        """See `crew.Task`."""
        for future in (self._future, self._body_future):
            if future is not None and not future.done():
                future.set_result(None)

    def new_future(self) -> Future:
        """Set at the next change; for the task that sends the response."""
        self._future = future = self._crew.loop.new_future()
        return future

    def new_body_future(self) -> Future:
        """Set at the next change; for the task that receives the body."""
        self._body_future = future = self._crew.loop.new_future()
        return future


class _BodyStream(io.RawIOBase):
    """The raw side of ``wsgi.input``; io.BufferedReader makes a file of it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rest = memoryview(b"")

    def __repr__(self) -> str:
        return f"<_BodyStream of {self._call!r}>"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Raises ClientDisconnected, an OSError, when the rest will never come."""
        if not self._rest:
            self._rest = memoryview(self._call.read_body())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _joined(chunks: list[bytes] | tuple[bytes, ...]) -> list[bytes] | tuple[bytes, ...]:
    """One chunk instead of several where that is cheap."""
    if len(chunks) == 1:
        return chunks
    try:
        return [b"".join(chunks)] if sum(map(len, chunks)) <= JOIN_LIMIT else chunks
    except TypeError as error:
        raise LocalProtocolError(
            f"the response body has a chunk that is not bytes: {error}"
        ) from None
