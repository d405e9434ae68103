"""One request to an ASGI application, made by a thread of a WSGI server.

The server's thread has nothing to do but wait for the response, so it is also the one that reads the
request's body, when the application asks for it. It is told what to do next by a queue of orders; what it
has to say it says by callbacks in the loop. So the attributes are the loop's alone, but for the
byte counter ``_taken``, which is written by the thread.

A chunk that is ready always goes before a read, which may have to wait for the client.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from greenuni.bridge.interfaces import ASGIApp, Environ, Message, StartResponse
from greenuni.bridge.lifespan import Lifespan
from greenuni.bridge.loops import Future, Loop
from greenuni.bridge.scope import make_scope, native_headers, status_line

_log = logging.getLogger("greenuni.error")

HIGH_WATER = 65536  # bytes of a response that may wait for the server
BLOCK = 65536  # bytes of a body that are read at once


class _Head:
    """An order: begin the response."""

    def __init__(self, start: Message) -> None:
        self.start = start


class _End:
    """An order: there is no more; ``error`` is why, if it should not be so."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Read:
    """An order: read some of the body."""


Order = _Head | _End | _Read | bytes
_READ = _Read()


class Exchange:
    """See the module. ``run`` is the application's task; the last section is for the thread."""

    def __init__(
        self, app: ASGIApp, lifespan: Lifespan, loop: Loop, environ: Environ, grace: float
    ) -> None:
        self._app = app
        self._lifespan = lifespan
        self._loop = loop
        self._grace = grace  # seconds between http.disconnect and being cancelled
        self._input = _Input(environ)
        self._scope = make_scope(environ, lifespan.state)
        self._wants_content = environ["REQUEST_METHOD"] != "HEAD"
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._start: Message | None = None
        self._is_committed = False
        self._is_complete = False
        self._is_gone = False
        self._body: list[bytes] = []
        self._has_body = True  # the application has not been given the end of the body
        self._is_reading = False
        self._put = self._taken = 0  # bytes of the response
        self._waiting: list[Future] = []
        self._cancel_scope: anyio.CancelScope | None = None

    def __repr__(self) -> str:
        state = "complete" if self._is_complete else "committed" if self._is_committed else "open"
        return f"<Exchange {state}{' gone' * self._is_gone} waiting={self._put - self._taken}>"

    # The application's task

    async def run(self) -> None:
        """Call the application. Raises nothing but being cancelled."""
        error: BaseException | None = RuntimeError("the application was cancelled")
        try:
            self._lifespan.enter()
            with anyio.CancelScope() as self._cancel_scope:
                self._set_deadline()
                await self._app(self._scope, self._receive, self._send)
                error = None
        except Exception as raised:  # noqa: BLE001 - the thread raises it again
            error = raised
        except (KeyboardInterrupt, SystemExit) as raised:
            error = RuntimeError(f"the application raised {raised!r}")
            error.__cause__ = raised
        finally:
            self._returned(error)

    def _returned(self, error: BaseException | None) -> None:
        if not self._is_complete:
            self._orders.put(_End(error or RuntimeError("the response is not complete")))
        elif error is not None:
            _log.error("The application raised after its response", exc_info=error)

    async def _receive(self) -> Message:
        """ASGI's ``receive``. A message that is ready is returned without a checkpoint."""
        while True:
            if self._body:
                data = self._body.pop(0)
                self._has_body = not self._input.has_ended
                return {"type": "http.request", "body": data, "more_body": self._has_body}
            if self._is_gone or self._is_complete:
                return {"type": "http.disconnect"}
            if self._has_body and self._input.has_ended:
                self._has_body = False
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._has_body and not self._is_reading:
                self._is_reading = True
                self._orders.put(_READ)
            await self._change()

    async def _send(self, message: Message) -> None:
        """ASGI's ``send``. RuntimeError for a message that cannot come now."""
        kind = message["type"]
        if self._is_gone:
            await checkpoint()  # spec_version 2.3: it is no error to go on
        elif kind == "http.response.start" and self._start is None:
            self._start = message
        elif kind == "http.response.body" and self._start is not None and not self._is_complete:
            await self._send_body(message)
        else:
            raise RuntimeError(f"{kind!r} cannot come now: {self!r}")

    async def _send_body(self, message: Message) -> None:
        if not self._is_committed:
            assert self._start is not None
            self._is_committed = True
            self._orders.put(_Head(self._start))
        data = message.get("body", b"")
        if data and self._wants_content:
            self._put += len(data)
            self._orders.put(bytes(data))
        if not message.get("more_body", False):
            self._is_complete = True
            self._orders.put(_End())
            self._wake()
        while self._put - self._taken > HIGH_WATER and not (self._is_gone or self._is_complete):
            await self._change()

    async def _change(self) -> None:
        future = self._loop.new_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # Callbacks of the thread, in the loop

    def _body_came(self, data: bytes) -> None:
        self._is_reading = False
        if data:
            self._body.append(data)
        self._wake()

    def _left(self) -> None:
        self._is_gone = True
        self._wake()
        self._set_deadline()

    def _set_deadline(self) -> None:
        if self._is_gone and not self._is_complete and self._cancel_scope is not None:
            self._cancel_scope.deadline = self._loop.time() + self._grace

    # The server's thread

    def respond(self, start_response: StartResponse) -> Iterator[bytes]:
        """Wait for the head. Raises what the application raised before it."""
        order = self._next_order()
        if isinstance(order, _Head):
            headers = native_headers(order.start.get("headers", ()))
            start_response(status_line(order.start["status"]), headers)
            return ResponseBody(self)
        assert isinstance(order, _End)
        assert order.error is not None
        raise order.error

    def next_chunk(self) -> bytes | None:
        """Wait for a chunk; None at the end. Raises what the application raised."""
        order = self._next_order()
        if isinstance(order, _End):
            if order.error is not None:
                raise order.error
            return None
        assert isinstance(order, bytes)
        self._taken += len(order)
        self._call(self._wake)
        return order

    def leave(self) -> None:
        """Nobody reads on."""
        self._call(self._left)

    def _next_order(self) -> Order:
        while True:
            order = self._orders.get()
            if order is not _READ:
                return order
            if self._orders.empty():
                self._read()
            else:
                self._orders.put(order)

    def _read(self) -> None:
        try:
            data = self._input.read()
        except Exception:  # noqa: BLE001 - servers raise what they like when the client leaves
            self.leave()
        else:
            self._call(partial(self._body_came, data))

    def _call(self, callback: Any) -> None:
        try:
            self._loop.call_soon(callback)
        except RuntimeError:
            pass  # the loop has ended, and the application with it


class _Input:
    """``wsgi.input``, and where it ends. ``has_ended`` is set before the last of it is handed over."""

    def __init__(self, environ: Environ) -> None:
        length = environ.get("CONTENT_LENGTH") or ""
        self._stream = environ["wsgi.input"]
        # read1 gives what is there; read waits until it has as much as it was asked for.
        self._read = getattr(self._stream, "read1", self._stream.read)
        self._remaining: int | None = int(length) if length.isdecimal() else None
        is_terminated = environ.get("wsgi.input_terminated", False)
        self.has_ended = self._remaining == 0 or (self._remaining is None and not is_terminated)

    def read(self) -> bytes:
        """Some of the body; b"" at its end. Raises ConnectionError when it is cut short."""
        remaining = self._remaining
        data: bytes = self._read(BLOCK if remaining is None else min(BLOCK, remaining))
        if remaining is None:
            self.has_ended = not data
        elif not data:
            raise ConnectionError(f"the body ended {remaining} bytes before its Content-Length")
        else:
            self._remaining = remaining - len(data)
            self.has_ended = not self._remaining
        return data


class ResponseBody:
    """What the server iterates and closes."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._has_ended = False

    def __repr__(self) -> str:
        return f"<ResponseBody of {self._exchange!r}>"

    def __iter__(self) -> ResponseBody:
        return self

    def __next__(self) -> bytes:
        chunk = None if self._has_ended else self._exchange.next_chunk()
        if chunk is None:
            self._has_ended = True
            raise StopIteration
        return chunk

    def close(self) -> None:
        """PEP 3333: called in any case. Before the end it means that the client has gone."""
        if not self._has_ended:
            self._has_ended = True
            self._exchange.leave()
