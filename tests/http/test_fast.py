"""The compiled engine alone: what is plain to it, what it leaves to the reference, and that they agree."""

from __future__ import annotations

from typing import Any

import pytest

from greenuni.http import Connection, Data, EndOfMessage, Limits, Request, choose_engine
from greenuni.http.fields import judge_fields
from greenuni.http.reference import Engine
from greenuni.variables import VariableNames

fast = pytest.importorskip("greenuni.http.fast", reason="not compiled", exc_type=ImportError)

HOST = b"Host: a.example\r\n"
LIMITS = Limits()
ATTRIBUTES = (
    "method",
    "target",
    "http_version",
    "headers",
    "raw_path",
    "path",
    "query",
    "content_length",
    "chunked",
    "has_body",
    "expect_continue",
    "is_websocket",
    "keep_alive",
    "body",
    "size",
)


def get(fields: bytes = HOST, target: bytes = b"/", version: bytes = b"1.1") -> bytes:
    return b"GET %s HTTP/%s\r\n%s\r\n" % (target, version, fields)


def shown(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ATTRIBUTES}


def environ_of(request: Request) -> dict[str, Any]:
    environ: dict[str, Any] = {"HTTP_X_OURS": "kept"}
    request.add_variables(environ, VariableNames())
    return environ


PLAIN = {
    "bare": get(),
    "a query": get(target=b"/a?b=c?d"),
    "an empty query": get(target=b"/a?"),
    "percent-encoding": get(target=b"/%41%zz%"),
    "1.0 without a host": get(b"", version=b"1.0"),
    "1.0": get(version=b"1.0"),
    "a method of its own": b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method like another": b"GETS / HTTP/1.1\r\nHost: a\r\n\r\n",
    "host with a port": get(b"Host: a.example:65535\r\n"),
    "host with an empty port": get(b"Host: a:\r\n"),
    "close": get(HOST + b"Connection: CLOSE\r\n"),
    "keep-alive": get(HOST + b"connection: Keep-Alive\r\n"),
    "empty value": get(HOST + b"X-A:\r\nX-B: \t \r\n"),
    "tabs and octets above ASCII": get(HOST + b"X-A: \ta\tb \xe9\xff\r\n"),
    "every length of a value": get(HOST + b"".join(b"a: %s\r\n" % (b"x" * n) for n in range(40))),
    "a name of its own": get(HOST + b"X-Own_Name!: 1\r\nProxy: x\r\n"),
    "repeated": get(HOST + b"X-A: 1\r\nX-A: 1\r\nX-Ours: 2\r\nCookie: a\r\nCookie: b\r\n"),
    "repeated and empty": get(HOST + b"Accept:\r\nAccept:\r\nAccept: x\r\n"),
    "the longest name": get(HOST + b"%s: 1\r\n" % (b"N" * 64)),
    "the most fields": get(HOST + b"a: 1\r\n" * 99),
    "no body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
    "a type": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\nx",
    "more behind it": get() + b"GET",
}

DECLINED = {
    "nothing": b"",
    "an empty line first": b"\r\n" + get(),
    "no method": b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "method that is no token": b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute form": get(target=b"http://a/"),
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": get(target=b"/a#b"),
    "a fragment in the query": get(target=b"/a?b#c"),
    "octet above ASCII in the target": get(target=b"/\xe9"),
    "control character in the target": get(target=b"/\x7f"),
    "version 1.2": get(version=b"1.2"),
    "version 2.0": get(version=b"2.0"),
    "space behind the version": get(version=b"1.1 "),
    "line feed alone": b"GET / HTTP/1.1\nHost: a\n\n",
    "line feed alone behind a field": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "carriage return in a value": get(HOST + b"X-A: a\rb\r\n"),
    "NUL in a value": get(HOST + b"X-A: 12345678\x0012345678\r\n"),
    "DEL in a value": get(HOST + b"X-A: \x7f2345678\r\n"),
    "folded": get(HOST + b"X-A: a\r\n b\r\n"),
    "no colon": get(HOST + b"X-A\r\n"),
    "no name": get(HOST + b": a\r\n"),
    "space before the colon": get(HOST + b"X-A : a\r\n"),
    "name that is no token": get(HOST + b"X\xe9: a\r\n"),
    "name too long": get(HOST + b"%s: 1\r\n" % (b"N" * 65)),
    "no host": get(b""),
    "two hosts": get(HOST * 2),
    "two hosts with 1.0": get(HOST * 2, version=b"1.0"),
    "empty host": get(b"Host:\r\n"),
    "host in brackets": get(b"Host: [::1]\r\n"),
    "host with user": get(b"Host: a@b\r\n"),
    "port without a host": get(b"Host: :80\r\n"),
    "port too large": get(b"Host: a:65536\r\n"),
    "port of six digits": get(b"Host: a:000080\r\n"),
    "port that is no number": get(b"Host: a:8x\r\n"),
    "two types": get(HOST + b"Content-Type: a/b\r\n" * 2),
    "two lengths": get(HOST + b"Content-Length: 0\r\n" * 2),
    "length with a sign": get(HOST + b"Content-Length: +1\r\n"),
    "length of nothing": get(HOST + b"Content-Length: \r\n"),
    "length of many digits": get(HOST + b"Content-Length: %s\r\n" % (b"0" * 19)),
    "length and coding": get(HOST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    "coding with 1.0": get(HOST + b"Transfer-Encoding: chunked\r\n", version=b"1.0"),
    "coding in capitals": get(HOST + b"Transfer-Encoding: Chunked\r\n") + b"0\r\n\r\n",
    "another coding": get(HOST + b"Transfer-Encoding: gzip\r\n"),
    "two codings": get(HOST + b"Transfer-Encoding: chunked\r\n" * 2) + b"0\r\n\r\n",
    "two connections": get(HOST + b"Connection: close\r\n" * 2),
    "options of a connection": get(HOST + b"Connection: keep-alive, Upgrade\r\n"),
    "expectation": get(HOST + b"Expect: 100-continue\r\n"),
    "too many fields": get(HOST + b"a: 1\r\n" * 128),
    "too long a head": get(HOST + (b"a: %s\r\n" % (b"x" * 8000)) * 9),
}
NO_LIMITS = Limits(request_line=0, fields=0, field_size=0, body=0)


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_plain_requests_are_read_as_by_the_reference(data: bytes) -> None:
    request = fast.read_plain(data, LIMITS)
    reference = Engine().recognise(data, LIMITS)
    assert request is not None
    assert reference is not None
    assert shown(request) == shown(reference)
    assert environ_of(request) == environ_of(reference)
    assert repr(request) == repr(reference)


@pytest.mark.parametrize("data", DECLINED.values(), ids=DECLINED)
def test_what_is_not_plain_is_left_to_the_reference(data: bytes) -> None:
    assert fast.read_plain(data, NO_LIMITS) is None


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_a_head_that_is_not_whole(data: bytes) -> None:
    end = data.index(b"\r\n\r\n") + 4
    for cut in range(end):
        assert fast.read_plain(data[:cut], LIMITS) is None


def test_a_body_is_there_when_it_is_whole() -> None:
    data = PLAIN["a body"]
    for cut in range(len(data) - 5, len(data)):
        assert fast.read_plain(data[:cut], LIMITS).body is None
    assert fast.read_plain(data, LIMITS).body == b"hello"


@pytest.mark.parametrize(
    ("name", "value"), [("request_line", 14), ("fields", 3), ("field_size", 17), ("body", 5)]
)
def test_limits_at_the_boundary(name: str, value: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 2345678901\r\nContent-Length: 5\r\n\r\n"
    assert fast.read_plain(data, Limits(**{name: value})) is not None
    assert fast.read_plain(data, Limits(**{name: value - 1})) is None


def test_the_most_fields_whatever_the_limit() -> None:
    assert len(fast.read_plain(get(HOST + b"a: 1\r\n" * 127), NO_LIMITS).headers) == 128
    assert fast.read_plain(get(HOST + b"a: 1\r\n" * 128), NO_LIMITS) is None


def test_common_names_and_methods_are_the_same_objects() -> None:
    first, second = (fast.read_plain(get(HOST + b"aCCept: %d\r\n" % n), LIMITS) for n in (1, 2))
    assert first.method is second.method
    for one, other in zip(first.headers, second.headers, strict=True):
        assert one[0] is other[0]


def test_headers_are_made_once() -> None:
    request = fast.read_plain(get(), LIMITS)
    assert request.headers is request.headers


@pytest.mark.parametrize(("data", "limits"), [(None, LIMITS), (b"", None), ("text", LIMITS)])
def test_what_is_neither_data_nor_limits(data: Any, limits: Any) -> None:
    with pytest.raises(TypeError):
        fast.read_plain(data, limits)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5\r\nhello\r\nC\r\n, world\r\n 12\r\n0\r\n\r\n"


class TestChunks:
    """Bodies in chunks that are there as a whole."""

    def test_whole(self) -> None:
        request = fast.read_plain(CHUNKED + CHUNKS + b"GET", LIMITS)
        assert request.body == b"hello, world\r\n 12"
        assert request.size == len(CHUNKED + CHUNKS)
        assert request.content_length is None

    def test_not_whole(self) -> None:
        for cut in range(len(CHUNKS)):
            assert fast.read_plain(CHUNKED + CHUNKS[:cut], LIMITS) is None

    def test_the_limit(self) -> None:
        assert fast.read_plain(CHUNKED + CHUNKS, Limits(body=17)) is not None
        assert fast.read_plain(CHUNKED + CHUNKS, Limits(body=16)) is None

    def test_as_events_of_the_reference(self) -> None:
        connection = Connection(LIMITS, choose_engine("h11"))
        connection.receive_data(CHUNKED + CHUNKS)
        connection.next_event()
        assert connection.next_event() == Data(b"hello, world\r\n 12")
        assert connection.next_event() == EndOfMessage([])

    @pytest.mark.parametrize(
        "chunks",
        [
            b"05\r\nhello\r\n0\r\n\r\n",
            b"00\r\n\r\n",
            b"5;a=b\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5\nhello\n0\n\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"5\r\nhello\n\r0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"fffffff\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n",
            b"\r\n\r\n",
        ],
    )
    def test_declined(self, chunks: bytes) -> None:
        assert fast.read_plain(CHUNKED + chunks, LIMITS) is None


PLAIN_FIELDS: list[list[tuple[str, str]]] = [
    [],
    [("Content-Type", "text/plain"), ("X-A", " \t a b\t ")],
    [("Content-Length", " 0123 "), ("DATE", "now"), ("server", "mine"), ("X-Empty", "")],
    [("Connection", "Close"), ("Keep-Alive", "5"), ("TE", "x"), ("Upgrade", "x")],
    [("Connection", "keep-alive"), ("Transfer-Encoding", "gzip"), ("Proxy-Connection", "x")],
    [("Set-Cookie", "a=caf\xe9"), ("Set-Cookie", "b"), ("x" * 64, "1")],
    [("X-A", "x" * 4000)],
]
DECLINED_FIELDS: list[Any] = [
    (),
    [["X-A", "1"]],
    [("X-A",)],
    [("X-A", "1", "2")],
    [("X-A", None)],
    [("X-A", b"1")],
    [("", "1")],
    [("X A", "1")],
    [("X\xe9", "1")],
    [("x" * 65, "1")],
    [("X-A", "\u20ac")],
    [("X\u20ac", "1")],
    [("X-A", "a\r\nb")],
    [("X-A", "12345678\n")],
    [("X-A", "\x7f")],
    [("Content-Length", "1"), ("content-length", "1")],
    [("Content-Length", "+1")],
    [("Content-Length", "")],
    [("Content-Length", "1" * 19)],
    [("Connection", "close, x")],
    [("X-A", "x" * 4100)],
]


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("fields", PLAIN_FIELDS)
def test_plain_fields_are_written_as_by_the_reference(
    fields: list[tuple[str, str]], text: bool
) -> None:
    given: Any = fields if text else [tuple(s.encode("latin-1") for s in pair) for pair in fields]
    written, expected = fast.write_plain(given, text), judge_fields(given, text)
    for name in ("lines", "content_length", "has_date", "has_server", "wants_close"):
        assert getattr(written, name) == getattr(expected, name)


@pytest.mark.parametrize("fields", DECLINED_FIELDS, ids=repr)
def test_other_fields_are_left_to_the_reference(fields: Any) -> None:
    assert fast.write_plain(fields, True) is None


def test_bytes_and_text_are_not_mixed() -> None:
    assert fast.write_plain([(b"X-A", b"1")], True) is None
    assert fast.write_plain([("X-A", "1")], False) is None
