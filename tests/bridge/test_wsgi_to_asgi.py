"""WSGIToASGI on every event loop, with the server's side played message by message."""

from __future__ import annotations

import contextvars
import gc
import io
import os
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import anyio
import pytest

from greenuni.bridge import ClientDisconnected, WSGIToASGI
from greenuni.bridge.call import HIGH_WATER
from greenuni.bridge.interfaces import Environ, StartResponse
from greenuni.errors import LocalProtocolError

from .support import (
    PLAIN,
    SECONDS,
    Closing,
    Conversation,
    hello,
    http_scope,
    request,
    run,
    talk,
    until,
    wait_for,
)

MIB = 1024 * 1024


def answering(body: Any, status: str = "200 OK", headers: Any = PLAIN) -> Any:
    """An application that returns ``body``, or what it gives when called with the environ."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(headers))
        result: Iterable[bytes] = body(environ) if callable(body) else body
        return result

    return app


# 1. The request body


def test_a_whole_body_can_be_read_in_every_way(backend: str) -> None:
    def read(environ: Environ) -> list[bytes]:
        stream = environ["wsgi.input"]
        return [stream.read(2), b"|", stream.readline(), b"|", b",".join(stream), stream.read()]

    for parts in ([b"abc\ndef\nghi"], [b"abc", b"\nde", b"f\nghi"]):
        answer = request(backend, WSGIToASGI(answering(read)), parts, method="POST")
        assert answer.body == b"ab|c\n|def\n,ghi"


def test_a_body_is_read_while_it_comes(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        while line := environ["wsgi.input"].readline():
            yield line.upper()

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(app), http_scope(method="POST"), None)
        conversation.feed(b"one\n", more=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: len(conversation.sent) == 2, "the first line is answered")
            assert conversation.body == b"ONE\n"
            conversation.feed(b"two\n", more=False)
            await until(lambda: conversation.has_returned, "the end")
        assert conversation.body == b"ONE\nTWO\n"

    run(backend, main)


def test_a_body_that_nobody_reads_is_not_received(backend: str) -> None:
    go_on = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        wait_for(go_on)
        size = sum(map(len, iter(lambda: environ["wsgi.input"].read(65536), b"")))
        start_response("200 OK", list(PLAIN))
        return [b"%d" % size]

    async def main() -> None:
        parts = [bytes(16384)] * 1000
        conversation = Conversation(WSGIToASGI(app), http_scope(method="POST"), parts)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: conversation.received * 16384 >= HIGH_WATER, "the queue is full")
            await anyio.sleep(0)
            assert conversation.received * 16384 <= HIGH_WATER + 16384
            go_on.set()
        assert conversation.body == b"%d" % (1000 * 16384)

    run(backend, main)


def test_reading_after_the_client_has_gone_is_an_oserror(backend: str) -> None:
    raised: list[BaseException] = []
    entered = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        entered.set()
        for _ in range(2):
            try:
                environ["wsgi.input"].read()
            except OSError as error:
                raised.append(error)
        start_response("200 OK", list(PLAIN))
        return [b"nobody reads this"]

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(app), http_scope(method="POST"), None)
        conversation.feed(b"some", more=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(entered.is_set, "the application runs")
            conversation.disconnect()
        assert conversation.error is None

    run(backend, main)
    assert [type(error) for error in raised] == [ClientDisconnected] * 2


# 2. The response body


def test_a_stream_is_sent_chunk_by_chunk(backend: str) -> None:
    turns = [threading.Event() for _ in range(3)]

    def chunks(environ: Environ) -> Iterator[bytes]:
        for number, turn in enumerate(turns):
            wait_for(turn)
            yield b"%d" % number

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(answering(chunks)), http_scope())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            for number, turn in enumerate(turns):
                turn.set()
                wanted = b"012"[: number + 1]
                await until(lambda wanted=wanted: conversation.body == wanted, f"{wanted!r}")
        assert [m.get("more_body") for m in conversation.sent[1:]].count(False) == 1

    run(backend, main)


def test_the_head_waits_for_the_first_byte_so_that_it_can_be_replaced(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b""
        try:
            raise ValueError("on purpose")
        except ValueError:
            start_response("500 Oops", [("X-Second", "yes")], sys.exc_info())
        yield b"failed"

    answer = request(backend, WSGIToASGI(app))
    assert (answer.status, answer.headers, answer.body) == (500, {"x-second": "yes"}, b"failed")


def test_exc_info_after_the_first_byte_raises_the_error(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"begun"
        try:
            raise ValueError("too late")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(app), http_scope())
        await conversation.run()
        assert isinstance(conversation.error, ValueError)
        assert conversation.body == b"begun"
        assert not conversation.is_complete

    run(backend, main)


def test_a_slow_client_slows_the_application_down(backend: str) -> None:
    made = most = 0
    conversation: Conversation

    def chunks(environ: Environ) -> Iterator[bytes]:
        nonlocal made, most
        for _ in range(1000):
            made += 16384
            most = max(most, made - conversation.body_size)
            yield bytes(16384)

    async def main() -> None:
        nonlocal conversation
        conversation = Conversation(WSGIToASGI(answering(chunks)), http_scope())
        conversation.is_stuck = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: made > HIGH_WATER, "the queue is full")
            conversation.unstick()
        assert len(conversation.body) == 1000 * 16384

    run(backend, main)
    # What waits, the block that was taken before it, and the one that is just made.
    assert HIGH_WATER < most <= 3 * HIGH_WATER


def test_large_bodies_pass_in_bounded_memory(backend: str) -> None:
    def echo(environ: Environ) -> Iterator[bytes]:
        while block := environ["wsgi.input"].read(65536):
            yield block

    async def main() -> None:
        sizes = {"in": 0, "out": 0}

        async def receive() -> dict[str, Any]:
            if sizes["in"] == 64 * MIB:
                await anyio.sleep_forever()
            sizes["in"] += 65536
            more = sizes["in"] < 64 * MIB
            return {"type": "http.request", "body": os.urandom(16) * 4096, "more_body": more}

        async def send(message: Any) -> None:
            await anyio.lowlevel.checkpoint()
            sizes["out"] += len(message.get("body", b""))

        await WSGIToASGI(answering(echo))(http_scope(method="POST"), receive, send)
        assert sizes == {"in": 64 * MIB, "out": 64 * MIB}

    tracemalloc.start()
    try:
        run(backend, main)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_a_list_is_sent_at_once_and_with_its_length(backend: str) -> None:
    answer = request(backend, WSGIToASGI(answering([b"a", b"", b"bc"])))
    assert len(answer.sent) == 2
    assert answer.headers["content-length"] == "3"
    assert answer.body == b"abc"


def test_a_large_list_is_not_copied_into_one(backend: str) -> None:
    answer = request(backend, WSGIToASGI(answering([bytes(50_000)] * 4)))
    assert len(answer.sent) == 5 - 2  # two by two, up to the high-water mark
    assert len(answer.body) == 200_000


# 3. Closing


@pytest.mark.parametrize("headers", [PLAIN, [("Content-Length", "3")]])
def test_close_is_called_in_the_same_thread(backend: str, headers: Any) -> None:
    threads: list[str] = []

    def chunks() -> Iterator[bytes]:
        threads.append(threading.current_thread().name)
        yield b"abc"

    body = Closing(chunks())
    answer = request(backend, WSGIToASGI(answering(body, headers=headers)))
    assert answer.body == b"abc"
    assert body.closed.is_set()
    assert [body.closer] == threads
    assert body.closer.startswith("greenuni-wsgi")


def test_close_is_called_after_an_error(backend: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"abc"
        raise ValueError("on purpose")

    body = Closing(chunks())
    with pytest.raises(ValueError, match="on purpose"):
        request(backend, WSGIToASGI(answering(body)))
    assert body.closed.is_set()


def test_iterating_stops_at_content_length(backend: str) -> None:
    body = Closing(iter(lambda: b"ab", b""))  # endless
    answer = request(backend, WSGIToASGI(answering(body, headers=[("Content-Length", "5")])))
    assert answer.body == b"ababa"
    assert body.closed.is_set()


def test_a_close_that_takes_long_does_not_hold_up_a_response_of_known_length(backend: str) -> None:
    release = threading.Event()

    class Slow(Closing):
        def close(self) -> None:
            wait_for(release)
            super().close()

    async def main() -> None:
        body = Slow([b"abc"])
        app = WSGIToASGI(answering(body, headers=[("Content-Length", "3")]))
        conversation = Conversation(app, http_scope())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: conversation.is_complete, "the whole response")
            assert not conversation.has_returned  # the server knows that something still runs
            release.set()
        assert body.closed.is_set()

    run(backend, main)


def test_an_error_in_close_after_a_whole_response_is_raised(backend: str) -> None:
    class Failing(Closing):
        def close(self) -> None:
            raise ValueError("in close")

    async def main() -> None:
        app = WSGIToASGI(answering(Failing([b"abc"])))
        conversation = Conversation(app, http_scope())
        await conversation.run()
        assert isinstance(conversation.error, ValueError)
        assert conversation.is_complete

    run(backend, main)


# 4. The client goes


def test_a_thread_that_waits_for_a_client_that_goes_is_released(backend: str) -> None:
    body = Closing(iter(lambda: bytes(16384), b""))  # endless

    async def main() -> None:
        app = WSGIToASGI(answering(body), threads=1)
        conversation = Conversation(app, http_scope())
        conversation.is_stuck = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: len(conversation.sent) == 2, "the stream stands")
            conversation.disconnect()
        assert body.closed.is_set()
        assert conversation.error is None
        assert (await talk(app, method="HEAD")).status == 200

    run(backend, main)


def test_a_stream_without_end_stops_at_its_next_chunk(backend: str) -> None:
    body = Closing(iter(lambda: time.sleep(0.001) or b"tick", b""))

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(answering(body)), http_scope())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: len(conversation.sent) > 3, "it streams")
            conversation.disconnect()
        assert body.closed.is_set()

    run(backend, main)


def test_a_request_whose_client_left_while_it_waited_for_a_thread_is_not_run(backend: str) -> None:
    release, paths = threading.Event(), []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        paths.append(environ["PATH_INFO"])
        wait_for(release)
        start_response("200 OK", list(PLAIN))
        return [b"done"]

    async def main() -> None:
        adapter = WSGIToASGI(app, threads=1)
        first = Conversation(adapter, http_scope(path="/first"))
        second = Conversation(adapter, http_scope(path="/second"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.run)
            await until(lambda: paths == ["/first"], "the thread is taken")
            tasks.start_soon(second.run)
            await until(lambda: adapter.load[:3] == (1, 1, 1), "one waits")
            second.disconnect()
            await until(lambda: second.has_told, "somebody listens")
            release.set()
        assert paths == ["/first"]
        assert first.body == b"done"
        assert adapter.load.finished == 2
        assert adapter.load.waited > 0

    run(backend, main)


def test_writing_to_a_client_that_has_gone_raises_in_the_application(backend: str) -> None:
    raised = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", list(PLAIN))
        try:
            while True:
                write(bytes(16384))
        except OSError:
            raised.set()
            raise

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(app), http_scope())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: len(conversation.sent) > 2, "it writes")
            conversation.disconnect()
        assert raised.is_set()
        assert conversation.error is None  # nobody is to blame

    run(backend, main)


def test_a_send_that_raises_releases_the_thread(backend: str) -> None:
    """As servers do from spec_version 2.4 on."""
    body = Closing(iter(lambda: bytes(16384), b""))

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(answering(body)), http_scope())

        async def send(message: Any) -> None:
            raise OSError("the client has gone")

        with pytest.raises(OSError, match="the client has gone"):
            await WSGIToASGI(answering(body))(conversation.scope, conversation.receive, send)
        await until(body.closed.is_set, "closed")

    run(backend, main)


def test_being_cancelled_releases_the_thread(backend: str) -> None:
    body = Closing(iter(lambda: bytes(16384), b""))

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(answering(body)), http_scope())
        conversation.is_stuck = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: len(conversation.sent) == 2, "the stream stands")
            tasks.cancel_scope.cancel()
        await until(body.closed.is_set, "closed")

    run(backend, main)


def test_a_thousand_clients_that_leave_in_the_middle_leave_every_thread_free(backend: str) -> None:
    bodies = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(PLAIN))
        if environ["PATH_INFO"] == "/":
            return [b"well"]
        bodies.append(Closing(iter(lambda: bytes(16384), b"")))
        return bodies[-1]

    async def leave(adapter: WSGIToASGI) -> None:
        conversation = Conversation(adapter, http_scope(path="/stream"))
        conversation.is_stuck = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run)
            await until(lambda: len(conversation.sent) == 2, "the stream stands")
            conversation.disconnect()
        assert conversation.error is None

    async def main() -> None:
        adapter = WSGIToASGI(app, threads=8)
        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(leave, adapter)
        assert adapter.load[:3] == (8, 0, 0)
        assert len(bodies) == 1000
        assert all(body.closed.is_set() for body in bodies)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(talk, adapter)

    run(backend, main)


def test_a_client_that_left_before_its_request_was_read_calls_nothing(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise AssertionError("must not be called")

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(app), http_scope(), None)
        conversation.disconnect()
        await conversation.run()
        assert conversation.error is None
        assert not conversation.sent

    run(backend, main)


# 5. Threads of its own


def test_as_many_as_there_are_threads_run_side_by_side(backend: str) -> None:
    """32 requests meet in the application, which they can only do all at once."""
    meeting = threading.Barrier(32)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        meeting.wait(SECONDS)
        time.sleep(0.1)
        return hello(environ, start_response)

    async def main() -> None:
        adapter = WSGIToASGI(app, threads=32)
        limiter = anyio.to_thread.current_default_thread_limiter()
        before = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for _ in range(32):
                tasks.start_soon(talk, adapter)
            await until(lambda: adapter.load[:3] == (32, 32, 0), "all of them run")
            assert limiter.borrowed_tokens == 0
        assert time.monotonic() - before < 1.6  # one after the other it would be 3.2 s
        assert adapter.load[:3] == (32, 0, 0)

    run(backend, main)


def test_no_more_run_than_there_are_threads(backend: str) -> None:
    most, lock, running = 0, threading.Lock(), 0

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return hello(environ, start_response)

    async def main() -> None:
        adapter = WSGIToASGI(app, threads=3)
        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(talk, adapter)

    run(backend, main)
    assert most == 3


def test_threads_must_be_a_number_of_threads() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        WSGIToASGI(hello, threads=0)


# 6. Thread-locals and context


def test_threads_live_on_and_contexts_do_not(backend: str) -> None:
    local = threading.local()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="server")

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        local.calls = getattr(local, "calls", 0) + 1
        start_response("200 OK", list(PLAIN))
        seen = variable.get()
        variable.set("left by a request")
        return [f"{local.calls} {seen}".encode()]

    async def main() -> None:
        adapter = WSGIToASGI(app, threads=1)
        assert [(await talk(adapter)).body for _ in range(3)] == [
            b"1 server",
            b"2 server",
            b"3 server",
        ]
        variable.set("a middleware")
        assert (await talk(adapter)).body == b"4 a middleware"
        assert variable.get() == "a middleware"

    run(backend, main)


def test_threads_end_with_the_lifespan_and_with_the_adapter(backend: str) -> None:
    names: set[str] = set()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        threading.current_thread().name = name = f"of test {id(names)}"
        names.add(name)
        return hello(environ, start_response)

    def has_ended() -> bool:
        return not names & {thread.name for thread in threading.enumerate()}

    async def live(adapter: WSGIToASGI) -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            """Nothing: another test looks at it."""

        await adapter({"type": "lifespan"}, receive, send)

    async def main() -> None:
        adapter = WSGIToASGI(app)
        await talk(adapter)
        assert not has_ended()
        await live(adapter)
        await until(has_ended, "the thread has ended with the lifespan")
        await talk(adapter)  # there may be another life
        assert not has_ended()
        del adapter
        gc.collect()
        await until(has_ended, "the thread has ended with the adapter")

    run(backend, main)


def test_one_adapter_serves_one_loop_after_another() -> None:
    adapter = WSGIToASGI(hello)
    for backend in ("asyncio", "trio", "uvloop", "asyncio"):
        assert request(backend, adapter).body == b"Hello, world!"


# 7. PEP 3333, to the letter


def test_write_goes_before_the_iterable(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", list(PLAIN))
        write(b"one ")
        write(b"")
        write(b"two ")
        return [b"three"]

    assert request(backend, WSGIToASGI(app)).body == b"one two three"


@pytest.mark.parametrize("status", ["204", "204 No Content", "304 Not Modified"])
def test_a_response_without_content(backend: str, status: str) -> None:
    answer = request(backend, WSGIToASGI(answering([b"not sent"], status)))
    assert (answer.status, answer.body) == (int(status[:3]), b"")
    assert "content-length" not in answer.headers


def test_head_has_the_fields_of_get_and_no_body(backend: str) -> None:
    answer = request(backend, WSGIToASGI(hello), method="HEAD")
    assert (answer.headers["content-length"], answer.body) == ("13", b"")
    body = Closing(iter(lambda: b"endless", b""))
    answer = request(backend, WSGIToASGI(answering(body)), method="HEAD")
    assert answer.body == b""
    # Two messages, or a server would take the body for one of no octets and say so.
    assert [message["more_body"] for message in answer.sent[1:]] == [True, False]
    assert body.closed.is_set()


def test_latin_1_goes_both_ways(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-Name", environ["HTTP_X_NAME"])])
        return []

    answer = request(backend, WSGIToASGI(app), headers={"x-name": "Zo\xeb"})
    assert answer.headers["x-name"] == "Zo\xeb"


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (answering([], "200 OK", [("X-A", "\u20ac")]), "not latin-1"),
        (answering([], "OK"), "not like '200 OK'"),
        (answering([], 200), "not a string"),  # type: ignore[arg-type]
        (answering([], headers=[("X-A", 1)]), "pairs of strings"),
        (answering(["text"]), "bytes"),
        (answering(iter(["text"])), "of type str"),
        (answering([b"ab"], headers=[("Content-Length", "3")]), "1 bytes before"),
        (answering([], headers=[("Content-Length", "x")]), "not a number"),
        (lambda environ, start_response: [b"x"], "did not call start_response"),
        (lambda environ, start_response: [], "did not call start_response"),
    ],
)
def test_misuse_is_named(app: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        request("asyncio", WSGIToASGI(app))


def test_headers_must_be_a_list() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", tuple(PLAIN))
        return []

    with pytest.raises(LocalProtocolError, match="not a list"):
        request("asyncio", WSGIToASGI(app))


def test_start_response_twice_is_an_error(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(LocalProtocolError, match="again without exc_info"):
        request(backend, WSGIToASGI(app))


def test_an_error_before_the_head_is_the_servers_to_answer(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(PLAIN))
        raise KeyError("on purpose")

    async def main() -> None:
        conversation = Conversation(WSGIToASGI(app), http_scope())
        await conversation.run()
        assert isinstance(conversation.error, KeyError)
        assert not conversation.sent

    run(backend, main)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration()])
def test_an_application_cannot_end_the_server(backend: str, error: BaseException) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise error

    with pytest.raises(RuntimeError):
        request(backend, WSGIToASGI(app))


def environ_of(**scope: Any) -> Environ:
    kept: Environ = {}

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        kept.update(environ)
        start_response("200 OK", [])
        return []

    body = scope.pop("body", [b""])
    request("asyncio", WSGIToASGI(app), body, **scope)
    return kept


def test_the_environ() -> None:
    environ = environ_of(
        method="POST",
        path="/caf\xe9/x y",
        raw_path=b"/caf%C3%A9/x%20y",
        query_string=b"a=%20&b",
        headers=[
            (b"host", b"example.com"),
            (b"content-type", b"text/plain"),
            (b"content-length", b"4"),
            (b"accept", b"a"),
            (b"cookie", b"x=1"),
            (b"accept", b"b"),
            (b"cookie", b"y=2"),
        ],
        body=[b"body"],
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/x y",
        "QUERY_STRING": "a=%20&b",
        "REQUEST_URI": "/caf%C3%A9/x%20y?a=%20&b",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "4",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "example.com",
        "HTTP_ACCEPT": "a,b",
        "HTTP_COOKIE": "x=1; y=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {key: environ.get(key) for key in expected} == expected


def test_a_path_that_is_no_utf_8_keeps_its_octets() -> None:
    environ = environ_of(path="/\ufffd", raw_path=b"/%ff")
    assert environ["PATH_INFO"] == "/\xff"
    # ... unless somebody has changed the path since.
    environ = environ_of(path="/x\ufffd", raw_path=b"/%ff")
    assert environ["PATH_INFO"] == "/x\xef\xbf\xbd"


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/a", "", "/a"),
        ("/api", "/api/a", "/api", "/a"),
        ("/api/", "/api/a", "/api", "/a"),
        ("/api", "/api", "/api", ""),
        ("/api", "/apis", "/api", "/apis"),  # the proxy has taken the prefix off
        ("/api", "/a", "/api", "/a"),
        ("/caf\xe9", "/caf\xe9/\xe8", "/caf\xc3\xa9", "/\xc3\xa8"),
        ("", "*", "", ""),
    ],
)
def test_script_name(root_path: str, path: str, script_name: str, path_info: str) -> None:
    environ = environ_of(root_path=root_path, path=path, raw_path=None)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_headers_that_could_be_taken_for_others_are_dropped() -> None:
    environ = environ_of(
        headers={"x-auth-user": "proxy", "x-auth_user": "evil", "proxy": "evil", "x_a": "evil"}
    )
    assert environ["HTTP_X_AUTH_USER"] == "proxy"
    assert "evil" not in environ.values()


def test_the_length_of_a_chunked_body_is_known_if_all_of_it_is_there() -> None:
    chunked = {"transfer-encoding": "chunked"}
    environ = environ_of(method="POST", headers=chunked, body=[b"four"])
    assert environ["CONTENT_LENGTH"] == "4"
    environ = environ_of(method="POST", headers=chunked, body=[b"fo", b"ur"])
    assert "CONTENT_LENGTH" not in environ
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_a_unix_socket_has_a_name_and_a_port_all_the_same() -> None:
    environ = environ_of(server=("/run/server.sock", None), client=None)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")
    assert "REMOTE_ADDR" not in environ


def test_errors_go_to_standard_error_or_where_one_says(backend: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.errors"].write("complaint\n")
        return hello(environ, start_response)

    stream = io.StringIO()
    request(backend, WSGIToASGI(app, errors=stream))
    assert stream.getvalue() == "complaint\n"
    assert environ_of()["wsgi.errors"] is sys.stderr


def test_many_repeated_headers_take_linear_time() -> None:
    count = 20_000
    headers = [(b"x-a", b"v")] * count
    before = time.process_time()
    environ = environ_of(headers=headers)
    assert len(environ["HTTP_X_A"]) == 2 * count - 1
    assert time.process_time() - before < 1.0


# 8. Other scopes


@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, {}, None])
def test_a_websocket_is_denied(backend: str, extensions: Any) -> None:
    sent = []

    async def main() -> None:
        scope = {"type": "websocket", "path": "/", "headers": [], "extensions": extensions}
        received = []

        async def receive() -> Any:
            received.append(1)
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            assert received, "nothing may be sent before websocket.connect"
            sent.append(message)

        await WSGIToASGI(hello)(scope, receive, send)

    run(backend, main)
    if extensions:
        assert sent[0]["type"] == "websocket.http.response.start"
        assert sent[0]["status"] == 403
        assert sent[1]["type"] == "websocket.http.response.body"
    else:
        assert [(m["type"], m["code"]) for m in sent] == [("websocket.close", 1008)]


def test_the_lifespan(backend: str) -> None:
    sent = []

    async def main() -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await WSGIToASGI(hello)({"type": "lifespan", "asgi": {}}, receive, send)

    run(backend, main)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_an_unknown_scope_is_an_error(backend: str) -> None:
    with pytest.raises(ValueError, match="'lava'"):
        request(backend, WSGIToASGI(hello), type="lava")


def test_the_objects_say_what_they_are(backend: str) -> None:
    async def main() -> None:
        adapter = WSGIToASGI(hello, threads=2)
        assert repr(adapter).endswith(" 2>")
        await talk(adapter)
        assert "<Crew threads=1/2 in_flight=0>" in repr(adapter)

    run(backend, main)
