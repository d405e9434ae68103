"""A server that has read and written for long holds no more than one that has just begun.

Three measures: blocks of Python's allocator, which count every object that is not given back; the
reference counts of objects that live for ever, such as names of fields, where a reference too many
costs no block; and, over more requests, the size of the process, which sees memory of C code.
"""

from __future__ import annotations

import gc
import operator
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenuni.errors import LocalProtocolError, RemoteProtocolError
from greenuni.variables import VariableNames
from tests.corpus import load_corpus
from tests.fuzz.reading import DATE
from tests.fuzz.twins import SUBJECTS, Twin

PAGE = os.sysconf("SC_PAGE_SIZE")
WARM_UP = 200
ROUNDS = 2_000
NOISE = ROUNDS // 20  # a block leaked by every twentieth round would be found
MANY_REQUESTS = 200_000
MANY_OCTETS = 4 * 1024 * 1024  # 20 octets a request

GET = b"GET /a%20b?c=d HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nX-New: 1\r\nX-New: 2\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n" + b"b" * 1000
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"
)
ARRIVALS: dict[str, list[bytes]] = {
    "get": [GET],
    "post": [POST],
    "pipelined": [GET + POST + GET],
    "chunked": [CHUNKED],
    "two-pieces": [POST[:40], POST[40:]],
    "body-later": [POST[:-900], POST[-900:]],
    "abandoned": [POST[:-900]],
    "ended": [GET, b""],
    "last": [GET.replace(b"HTTP/1.1", b"HTTP/1.0")],
    "absolute-form": [GET.replace(b" /a", b" http://b.example/a")],
    "refused-head": [GET.replace(b"X-New:", b"X New:")],
    "refused-length": [POST.replace(b"1000", b"+1000")],
    "refused-fields": [GET.replace(b"X-New: 1\r\n", b"X: y\r\n" * 101)],
    "refused-body": [CHUNKED.replace(b"abc", b"abcd")],
    "binary": [bytes(range(256))],
}
FIELDS: dict[str, list[Any]] = {
    "bytes": [(b"Content-Type", b"text/plain"), (b"X-New", b"1"), (b"Content-Length", b"3")],
    "control": [(b"Content-Type", b"text/plain"), (b"X-New", b"a\r\nb")],
    "no-token": [(b"Content Type", b"text/plain")],
    "triple": [(b"Content-Type", b"text/plain"), (b"a", b"b", b"c")],
    "number": [(b"Content-Type", 5)],
    "list": [[b"Content-Type", b"text/plain"]],
}
NAMES = VariableNames()  # one for all requests, as in a worker

each_twin = pytest.mark.parametrize("twin", SUBJECTS, ids=lambda twin: twin.engine)
needs_blocks = pytest.mark.skipif(
    sys.getallocatedblocks() == 0, reason="objects do not come from Python's own allocator"
)


def serve(twin: Twin, pieces: list[bytes]) -> None:
    """One connection, from its first octet to its last."""
    connection = twin.connection({})
    try:
        for request in requests(twin, connection, pieces):
            answer(twin, connection, request)
    except RemoteProtocolError as error:
        connection.refuse(error.status, str(error), DATE)


def requests(twin: Twin, connection: Any, pieces: list[bytes]) -> Iterator[Any]:
    """Requests, each when it is whole."""
    request = None
    for piece in pieces:
        if (taken := connection.take(piece)) is not None:
            yield taken
        while type(event := connection.next_event()) is not twin.http.Signal:
            if isinstance(event, twin.http.ConnectionClosed):
                return
            if isinstance(event, twin.http.Request):
                request = event
            elif isinstance(event, twin.http.EndOfMessage):
                yield request


def answer(twin: Twin, connection: Any, request: Any) -> None:
    request.add_variables({}, NAMES)
    assert isinstance(request.headers, list)
    responder = twin.http.Responder(connection, request)
    responder.start(
        200, [("Content-Type", "text/plain"), ("Set-Cookie", "a")], date=DATE, text=True
    )
    responder.send(b"ok\n", more=False)
    if connection.our_state is twin.http.DONE:
        connection.start_next_cycle()


def write_response(twin: Twin, fields: list[Any]) -> None:
    connection = twin.connection({})
    connection.receive_data(GET)
    responder = twin.http.Responder(connection, connection.next_event())
    try:
        responder.start(200, fields, date=DATE)
        responder.send(b"abc", more=True)
        responder.send(b"more than there should be", more=True)
    except LocalProtocolError:
        pass


def check_blocks(action: Callable[[], None], lasting: list[Any]) -> None:
    """``action`` leaves no block behind, and no reference to one of the ``lasting`` objects."""
    for _ in range(WARM_UP):
        action()
    gc.collect()
    counts = [sys.getrefcount(thing) for thing in lasting]
    blocks = sys.getallocatedblocks()
    for _ in range(ROUNDS):
        action()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < NOISE
    for thing, count in zip(lasting, counts, strict=True):
        assert abs(sys.getrefcount(thing) - count) < NOISE, thing


def lasting_objects(twin: Twin) -> list[Any]:
    """What requests and connections refer to and do not own."""
    connection = twin.connection({})
    connection.receive_data(GET)
    request = connection.next_event()
    found = [part for field in request.headers for part in field]
    found += [request.method, request.http_version, request.query, b"", *NAMES, *NAMES.values()]
    found += [twin.http.Request, twin.http.Connection, twin.http.Responder, twin.http.Data]
    return [*found, connection.our_state, connection.their_state, None, True, (), 200, 1000, DATE]


@needs_blocks
@each_twin
@pytest.mark.parametrize("pieces", ARRIVALS.values(), ids=ARRIVALS.keys())
def test_reading(twin: Twin, pieces: list[bytes]) -> None:
    check_blocks(lambda: serve(twin, pieces), [*lasting_objects(twin), *pieces])


@needs_blocks
@each_twin
@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS.keys())
def test_writing(twin: Twin, fields: list[Any]) -> None:
    lasting = [part for field in fields for part in field]
    check_blocks(lambda: write_response(twin, fields), [*lasting_objects(twin), *lasting, fields])


@needs_blocks
@each_twin
def test_the_corpus(twin: Twin) -> None:
    raws = [case.raw for case in load_corpus() if len(case.raw) < 2_000]
    turn = iter(raws * (WARM_UP + ROUNDS))
    check_blocks(lambda: serve(twin, [next(turn)]), lasting_objects(twin))


@needs_blocks
def test_a_leak_is_found() -> None:
    kept: list[object] = []
    with pytest.raises(AssertionError, match="getallocatedblocks"):
        check_blocks(lambda: kept.append(object()), [])
    counted = object()
    kept = [None] * (WARM_UP + ROUNDS)
    places = iter(range(len(kept)))
    with pytest.raises(AssertionError, match="getrefcount"):
        check_blocks(lambda: operator.setitem(kept, next(places), counted), [counted])


@pytest.mark.timeout(300)
@each_twin
def test_the_process_does_not_grow(twin: Twin) -> None:
    count = MANY_REQUESTS if twin.engine == "fast" else MANY_REQUESTS // 50
    size = 0
    for number in range(count):
        serve(twin, [GET + POST] if number % 2 else [POST])
        if number == count // 4:
            size = resident()
    assert resident() - size < MANY_OCTETS


def resident() -> int:
    """Octets of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
