"""One call of the application: start_response, iterating, close (PEP 3333).

A ``Call`` is one request while the application has it. It runs in the thread that the application
runs in, and owns the connection's output meanwhile; the loop takes both back when ``run`` has
returned, and reads ``outcome``.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Callable, Iterable
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import Any, TypeAlias

from greenuni import failure
from greenuni.errors import LocalProtocolError
from greenuni.eventstream import completed, is_event_stream, takes_comments
from greenuni.http import ResponderState, error_content
from greenuni.http.request import Request
from greenuni.http.responder import Responder
from greenuni.wsgi.control import new_control
from greenuni.wsgi.environ import Environ
from greenuni.wsgi.events import EventStream
from greenuni.wsgi.gateway import Gateway
from greenuni.wsgi.output import ClientDisconnected, Output
from greenuni.wsgi.sendfile import FileWrapper, maybe_span

ExcInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None]"

_NOT_STARTED = "the application did not call start_response"
JOIN_LIMIT = 64 * 1024  # bytes of a list of chunks that go out as one chunk

STATUS_CACHE_LIMIT = 128

_statuses: dict[str, tuple[int, bytes]] = {}  # those that were parsed already
_status = re.compile(r"([1-9][0-9]{2})(?: (.*))?", re.DOTALL)


class QuickStop(SystemExit):
    """Raised inside the application, in the main thread, when the worker has to stop at once."""


class Outcome(enum.Enum):
    """What became of a call."""

    UNFINISHED = "unfinished"
    COMPLETE = "complete"  # the whole response was written, or is kept for the loop to write
    ABORTED = "aborted"  # it broke off after its head had left; the client must notice
    DISCONNECTED = "disconnected"  # the client is gone
    TIMED_OUT = "timed out"  # it took too long; what it still does is of no use to anybody


# Bound once: before Python 3.12, finding a member through its class is a call.
UNFINISHED, COMPLETE, ABORTED, DISCONNECTED, TIMED_OUT = Outcome
PENDING = ResponderState.PENDING


class Call:
    """One request, and the application's response to it."""

    __slots__ = (
        "_gateway",
        "_is_dismissed",
        "client",
        "control",
        "environ",
        "events",
        "is_begun",
        "outcome",
        "output",
        "request",
        "responder",
        "seconds",
        "thread",
    )

    def __init__(
        self,
        gateway: Gateway,
        request: Request,
        environ: Environ,
        responder: Responder,
        output: Output,
    ) -> None:
        self._open(gateway, request, environ, responder, output)

    def _open(
        self,
        gateway: Gateway,
        request: Request,
        environ: Environ,
        responder: Responder,
        output: Output,
    ) -> None:
        self._gateway = gateway
        self._is_dismissed = False
        self.events: EventStream | None = None  # made for a stream that gets comments
        self.is_begun = False  # the application has been called; until then it waits for a thread
        self.request = request
        self.environ = environ
        self.client: str = environ["REMOTE_ADDR"]  # before the application can change it
        self.responder = responder
        self.output = output
        self.control = environ["greenuni.request"] = new_control(output.fd, gateway)
        self.outcome = UNFINISHED
        self.seconds = 0.0  # that the application took, if calls are timed
        self.thread = 0  # that it runs in, if calls are timed, and 0 until then

    def __repr__(self) -> str:
        return f"<Call {self.title} {self.outcome.value}>"

    @property
    def title(self) -> str:
        """``GET /path``: what a dump calls this request."""
        request = self.request
        return (request.method + b" " + request.raw_path).decode("latin-1")

    def give_up(self) -> bool:
        """It has taken too long; False if it is over. In any thread: whoever has it learns of it."""
        if self.outcome is not UNFINISHED:
            return False
        self.outcome = TIMED_OUT
        return True

    def dismiss(self) -> None:
        """The worker is about to end: a stream of events is to end at its next chunk, in order."""
        if (
            self.responder.head_sent
            and self.responder.remaining is None
            and is_event_stream(self.responder.headers)
        ):
            self._is_dismissed = self.control.is_unwanted = True

    def run(self) -> None:
        """Call the application and hand its response over. Raises QuickStop and nothing else."""
        if self.control.is_unwanted or self.outcome is not UNFINISHED:
            self._drop()
            return
        self.is_begun = True
        try:
            self._respond()
        except ClientDisconnected:
            self._drop()
        except QuickStop:
            self.outcome = ABORTED
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit of one request is not the server's
            self._fail(error)

    def _drop(self) -> None:
        """Its client did not wait until it was its turn, or was told to go."""
        if self.outcome is UNFINISHED:
            self.outcome = DISCONNECTED

    def _complete(self) -> None:
        """All of it has been handed over; too late if the call has been given up meanwhile."""
        if self.outcome is UNFINISHED:
            self.outcome = COMPLETE

    def _respond(self) -> None:
        gateway = self._gateway
        began = 0.0
        if gateway.is_timed:
            began = monotonic()
            self.thread = get_ident()
        result = gateway.app(self.environ, self.start_response)
        if gateway.is_timed:
            self.seconds = monotonic() - began
        if type(result) is list:
            self._send_list(result)  # it has no close()
            return
        try:
            self._send_result(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
            if gateway.is_timed:
                self.seconds = monotonic() - began

    # What the application calls

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Callable[[bytes], None]:
        """PEP 3333, "The start_response() Callable". Raises LocalProtocolError for misuse."""
        responder = self.responder
        if exc_info is not None:
            try:
                if responder.head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # or the traceback would hold this frame, and this frame it
        elif responder.state is not PENDING:
            raise LocalProtocolError("start_response was called again without exc_info")
        if not isinstance(headers, list):
            raise LocalProtocolError(f"the response headers are not a list: {headers!r}")
        if self._gateway.keeps_streams:
            headers = list(completed(headers))
        known = _statuses.get(status) if type(status) is str else None
        code, reason = _parse_status(status) if known is None else known
        gateway = self._gateway
        responder.start(code, headers, reason, gateway.clock.date(), gateway.closes, False, True)
        return self  # a bound method would have to be made for each request, and hardly any writes

    def __call__(self, data: bytes) -> None:
        """PEP 3333, "The write() Callable"."""
        if data:
            self._send(data, True)

    # What goes out

    def _send_list(self, chunks: list[bytes]) -> None:
        if len(chunks) != 1:
            chunks = _join_small(chunks)
        if len(chunks) == 1:
            self._send(chunks[0], False)
        else:
            self._send_chunks(chunks)
        self._complete()

    def _send_result(self, result: Any) -> None:
        if type(result) is tuple:
            self._send_list(list(result))
            return
        if result is None:
            raise LocalProtocolError("the application returned None instead of an iterable")
        if not isinstance(result, FileWrapper) or not self._send_file(result):
            self._send_chunks(result)
        self._complete()

    def _send_chunks(self, chunks: Iterable[bytes]) -> None:
        """Chunk by chunk, as they come; no further than the response wants."""
        responder = self.responder
        if self._gateway.keeps_streams and responder.state is not PENDING:
            self._begin_events()
        for chunk in chunks:
            if self.control.is_unwanted:
                if self._is_dismissed:
                    break
                raise ClientDisconnected("the client has gone")
            # The head must not leave before there is something to send with it (PEP 3333).
            if chunk:
                if self._gateway.keeps_streams:
                    self._send_event(chunk)
                else:
                    self._send(chunk, True)
                if responder.remaining == 0 or not responder.wants_body:
                    break
        if responder.state is PENDING:
            raise LocalProtocolError(_NOT_STARTED)
        if self.events is None:
            self._end()
        else:
            self.events.end(self._end)

    def _end(self) -> None:
        if parts := self.responder.end():
            self._write(parts)

    # Streams of events that get comments, from another thread

    def _begin_events(self) -> None:
        responder = self.responder
        if self.events is None and responder.remaining is None and responder.wants_body:
            fields = responder.headers
            if is_event_stream(fields) and takes_comments(fields):
                self.events = EventStream()

    def _send_event(self, chunk: bytes) -> None:
        if self.responder.state is not PENDING:
            self._begin_events()
        if self.events is None:
            self._send(chunk, True)
        else:
            self.events.send(chunk, self)

    def comment(self) -> bool:
        """Put a comment into a stream of events, in any thread; False where there is no place for one."""
        if self.events is None or self.output.pending:
            return False
        try:
            return self.events.comment(self)
        except ClientDisconnected:
            return False  # the application learns of it when it sends the next event

    def _send(self, chunk: bytes, more: bool) -> None:
        if self.responder.state is PENDING:
            raise LocalProtocolError(_NOT_STARTED)
        if type(chunk) is not bytes:
            if not isinstance(chunk, bytes):
                raise LocalProtocolError(
                    f"the response body has a chunk of type {type(chunk).__name__} instead of bytes"
                )
            chunk = bytes(chunk)  # what is compiled takes no subclass
        self._write(self.responder.send(chunk, more))

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Leave a file to the kernel; False when it has to be read like anything else."""
        responder = self.responder
        if not self._gateway.sendfile or responder.state is PENDING or responder.head_sent:
            return False
        span = maybe_span(wrapper) if responder.wants_body else None
        if span is None:
            return False
        count = span.size if responder.remaining is None else responder.remaining
        if count > span.size:
            return False  # reading it ends in the error that says so
        # A descriptor of our own: the application may close its file now, as after any response,
        # in its own thread and context, however long the client takes to read.
        fd = os.dup(span.fd)
        try:
            self._write(responder.passthrough(count))
        except BaseException:
            os.close(fd)
            raise
        self.output.write_file(fd, span.offset, count)
        return True

    def _write(self, parts: list[bytes]) -> None:
        # Some bytes were lost when it was noticed, so it must not be forgotten, even if the
        # application caught the exception. Nothing may follow what the overseer has answered, either.
        if self.outcome is not UNFINISHED:
            raise ClientDisconnected("the client has gone")
        try:
            self.output.write(parts)
        except ClientDisconnected:
            self._drop()
            raise

    # When it fails

    def _fail(self, error: BaseException) -> None:
        request, gateway = self.request, self._gateway
        identifier = failure.request_id(request.headers)
        name = failure.title(request.method, request.raw_path)
        failure.log_exception(gateway.log, name, identifier, error)
        if self.events is not None:
            self.events.end()
        if self.outcome is not UNFINISHED:
            return  # the client is gone, or has it all and close() failed
        responder = self.responder
        if responder.head_sent:
            self.outcome = ABORTED
            return
        page = error_content(500, failure.page_detail(identifier))
        fields = [(b"Content-Type", b"text/plain; charset=utf-8")]
        responder.start(500, fields, b"", gateway.clock.date(), gateway.closes)
        try:
            self._write(responder.send(page, False))
        except ClientDisconnected:
            return
        self._complete()


def new_call(
    gateway: Gateway, request: Request, environ: Environ, responder: Responder, output: Output
) -> Call:
    """``Call(...)``, which in compiled code is a call by Python's convention."""
    call = Call.__new__(Call)
    call._open(gateway, request, environ, responder, output)
    return call


def _join_small(chunks: list[bytes]) -> list[bytes]:
    """One chunk instead of several where that is cheap: all of them are there at once anyway."""
    try:
        return [b"".join(chunks)] if sum(map(len, chunks)) <= JOIN_LIMIT else chunks
    except TypeError as error:
        raise LocalProtocolError(
            f"the response body has a chunk that is not bytes: {error}"
        ) from None


def _parse_status(status: str) -> tuple[int, bytes]:
    """``"200 OK"`` or ``"200"`` -> code and reason phrase."""
    if not isinstance(status, str):
        raise LocalProtocolError(f"the status {status!r} is not a string")
    match = _status.fullmatch(status)
    if match is None:
        raise LocalProtocolError(f"the status {status!r} is not like '200 OK'")
    try:
        parsed = int(match[1]), (match[2] or "").encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"the status {status!r} is not latin-1") from None
    if len(_statuses) < STATUS_CACHE_LIMIT:
        _statuses[status] = parsed
    return parsed
