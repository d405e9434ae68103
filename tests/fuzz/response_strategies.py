"""What applications say: responses that are right, and what they get wrong."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.fuzz.reading import DATE
from tests.fuzz.request_strategies import TOKEN
from tests.fuzz.writing import REQUESTS, Answer, Call, Content

STATUSES = [200] * 6 + [204, 205, 206, 301, 304, 404, 422, 500, 299, 999]
WRONG_STATUSES = [0, 99, 100, 199, 1000, -200, 2**30]
NAMES = [  # Content-Length has a place of its own
    b"Content-Type",
    b"Connection",
    b"Date",
    b"ETag",
    b"Keep-Alive",
    b"Server",
    b"Set-Cookie",
    b"Transfer-Encoding",
    b"Upgrade",
    b"Vary",
    b"X-Request-ID",
]
VALUES = [b"a", b"text/html; charset=utf-8", b"close", b"keep-alive, close", b"0", b"5", b" a\t"]
# Values of the wrong type, as they come from applications that were never tried elsewhere
WRONG_OBJECTS: list[Any] = [None, 5, "", "ä", "日本", bytearray(b"a"), memoryview(b"a"), ["a"]]
WRONG_OCTETS = "\r\n\0\t :\x0b\x7f\x80\xff"
WRONG_ITEMS: list[Any] = [None, (), (b"a",), (b"a", b"b", b"c"), [b"a", b"b"], "ab", b"ab", 5]


class Text(str):
    """A str that is not just a str, as Django's SafeString."""


class Octets(bytes):
    """The same for bytes."""


names = st.one_of(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(TOKEN), min_size=1, max_size=8).map(bytes),
)
values = st.one_of(
    st.sampled_from(VALUES),
    st.binary(max_size=10).map(lambda octets: bytes(o for o in octets if o >= 0x20 and o != 0x7F)),
    st.integers(20, 300).map(lambda count: b"v" * count),
)
contents = st.one_of(
    st.binary(max_size=10),
    st.sampled_from([0, 1, 15, 16, 255, 16384, 16385, 70000]).map(Content),
)


@st.composite
def pairs(draw: st.DrawFn) -> list[Any]:
    """Fields as bytes, now and then with one that is wrong."""
    found: list[Any] = draw(st.lists(st.tuples(names, values), max_size=5))
    kind = draw(st.sampled_from(["right"] * 5 + ["subclasses", "wrong"]))
    if kind == "subclasses":
        return [(Octets(name), Octets(value)) for name, value in found]
    if kind == "wrong":
        at = draw(st.integers(0, len(found)))
        found.insert(at, draw(wrong_pairs()))
    return found


def as_text(item: Any) -> Any:
    """A pair of bytes as one of latin-1 text; anything else as it is."""
    if not isinstance(item, tuple):
        return item
    return tuple(
        Text(part, "latin-1")
        if isinstance(part, Octets)
        else part.decode("latin-1")
        if isinstance(part, bytes)
        else part
        for part in item
    )


@st.composite
def wrong_pairs(draw: st.DrawFn) -> Any:
    name, value = draw(names), draw(values)
    kind = draw(st.sampled_from(["name", "value", "value", "type", "item"]))
    if kind == "item":
        return draw(st.sampled_from(WRONG_ITEMS))
    if kind == "type":
        other = draw(st.sampled_from(WRONG_OBJECTS))
        return draw(st.sampled_from([(name, other), (other, value), (name.decode(), value)]))
    octet = draw(st.one_of(st.sampled_from(WRONG_OCTETS), st.integers(0, 255).map(chr)))
    broken = octet.encode("latin-1").join(draw(st.sampled_from([(value, value), (value, b"")])))
    return (broken, value) if kind == "name" else (name, broken)


@st.composite
def starts(draw: st.DrawFn, length: int) -> Call:
    """A head for content of ``length`` octets, which it announces, does not, or gets wrong."""
    status = draw(st.sampled_from(STATUSES))
    if draw(st.integers(0, 15)) == 0:
        status = draw(st.sampled_from(WRONG_STATUSES))
    headers = draw(pairs())
    text = draw(st.booleans())
    if draw(st.integers(0, 2)) == 0:
        off = draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        announced = draw(st.sampled_from([b"%d", b"%d", b"%d", b" %d\t", b"+%d"])) % (length + off)
        headers.insert(draw(st.integers(0, len(headers))), (b"Content-Length", announced))
    if text and draw(st.integers(0, 19)) > 0:  # else the shell is wrong about the application
        headers = [as_text(item) for item in headers]
    options: list[tuple[str, Any]] = [
        ("date", draw(st.sampled_from([DATE, DATE, b""]))),
        ("text", text),
    ]
    if draw(st.integers(0, 4)) == 0:
        reasons = [b"", b"OK", b"It's \xe4", b"a\r\nb", b"\0"]
        options.append(("reason", draw(st.sampled_from(reasons))))
    options += draw(st.sampled_from([[]] * 5 + [[("close", True)], [("trailers", True)]]))
    return Call("start", (status, headers), tuple(options))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """A request and calls in an order that is right, but for a call too many or too few."""
    chunks = draw(st.lists(contents, max_size=3))
    length = sum(map(len, chunks))
    calls = [draw(starts(length))]
    calls += [Call("send", (chunk, True)) for chunk in chunks]
    if chunks and draw(st.booleans()):
        calls[-1] = Call("send", (chunks[-1], False))
    elif not chunks and draw(st.booleans()):
        calls.append(Call("passthrough", (draw(st.sampled_from([0, 1, length, 2**40])),)))
    else:
        calls.append(Call("end", (draw(pairs()),) if draw(st.integers(0, 3)) == 0 else ()))
    if draw(st.integers(0, 2)) == 0:
        calls.insert(draw(st.integers(0, len(calls))), draw(stray_calls(calls)))
    return Answer(draw(st.sampled_from(REQUESTS)), tuple(calls))


@st.composite
def stray_calls(draw: st.DrawFn, calls: list[Call]) -> Call:
    again = draw(st.sampled_from(calls))
    status = draw(st.sampled_from([100, 103, 103, 101, 99, 200]))
    interim = Call("informational", (status, draw(pairs())))
    return draw(st.sampled_from([again, interim, interim, Call("end")]))
