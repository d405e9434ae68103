"""A WSGI application as an ASGI application, under any ASGI server.

A request costs one hop to a thread and one back, and no task: most responses are there, whole, when
the loop hears of them for the first time. Only where that is not so (the body of the request is
still coming, the response is a stream, or it takes longer than `loops.PATIENCE`) a second task is started,
which receives: the rest of the body, and the news that the client has gone.
"""

from __future__ import annotations

import anyio

from greenuni.bridge.call import Call
from greenuni.bridge.crew import Crew, Load
from greenuni.bridge.denial import answer
from greenuni.bridge.environ import EnvironFactory
from greenuni.bridge.interfaces import Errors, Receive, Scope, Send, WSGIApp
from greenuni.bridge.loops import current_loop

THREADS = 32


class WSGIToASGI:
    """``app`` as ASGI 3.0. Its calls run in up to ``threads`` threads of its own (a loop).

    The threads live as long as the loop, so what an application keeps in thread-locals (database
    connections) survives its requests; each request runs in a copy of the context that the server
    called us in. ``errors`` is the stream for ``wsgi.errors``, by default sys.stderr.
    """

    def __init__(
        self, app: WSGIApp, *, threads: int = THREADS, errors: Errors | None = None
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self._app = app
        self._threads = threads
        self._environs = EnvironFactory(errors, threads > 1)
        self._crew: Crew | None = None

    def __repr__(self) -> str:
        return f"<WSGIToASGI {self._app!r} {self._crew or self._threads!r}>"

    @property
    def load(self) -> Load:
        """How many calls run and wait for a thread, and how long they have waited."""
        return self._crew.load if self._crew is not None else Load(self._threads, 0, 0, 0, 0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._serve(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await answer(scope, receive, send, 403, "This application does not speak WebSocket.")
        else:
            raise ValueError(f"a WSGI application has no use for a scope of type {kind!r}")

    def _crew_here(self) -> Crew:
        """The crew of the loop that runs; after a fork or in a new loop a new one."""
        crew = self._crew
        if crew is None or not crew.loop.is_running_here():
            if crew is not None:
                crew.stop()
            crew = self._crew = Crew(current_loop(), self._threads, "greenuni-wsgi")
        return crew

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if message["type"] != "http.request":
            return  # it left before it had asked for anything
        crew = self._crew_here()
        body, more = message.get("body", b""), message.get("more_body", False)
        environ = self._environs.make(scope)
        if not more and "CONTENT_LENGTH" not in environ and body:
            environ["CONTENT_LENGTH"] = str(len(body))
        call = Call(self._app, environ, crew, body, more)
        crew.submit(call)
        try:
            if not more:
                await crew.loop.with_patience(call.new_future())
            if call.is_finished:
                await _deliver(call, send)
            else:
                await _attend(call, receive, send)
            # Not ``is_released``, which the thread sets before the loop hears of it: who is done here
            # should not be found running in `Crew.load`.
            while not call.is_counted:
                await call.new_future()
        except BaseException:
            call.leave()
            raise
        error, call.error = call.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or its traceback would hold this frame, and this frame it


async def _deliver(call: Call, send: Send) -> None:
    """Send what comes until there is no more. Raises what ``send`` raises."""
    reply = call.reply
    is_started = False
    while not call.is_gone:
        is_finished = call.is_finished  # looked at before the outbox is, which is complete then
        if not call.outbox and not is_finished:
            await call.new_future()
            continue
        if not call.outbox and not reply.is_complete:
            return  # it failed
        data = call.take() if call.outbox else b""
        if not is_started:
            is_started = True
            await send(reply.head())
            if reply.hides_length:
                await send({"type": "http.response.body", "body": b"", "more_body": True})
        is_last = is_finished and reply.is_complete and not call.outbox
        await send({"type": "http.response.body", "body": data, "more_body": not is_last})
        if is_last:
            return
        call.taken(len(data))


async def _attend(call: Call, receive: Receive, send: Send) -> None:
    """As ``_deliver``, and receive at the same time."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, call, receive)
        try:
            await _deliver(call, send)
        except Exception as error:  # noqa: BLE001 - raised again, not in a group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _listen(call: Call, receive: Receive) -> None:
    """Receive the rest of the body, as fast as the application reads it, and the client's departure."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            call.leave()
            return
        more = message.get("more_body", False)
        call.feed(message.get("body", b""), more)
        while more and not call.wants_body:
            await call.new_body_future()
