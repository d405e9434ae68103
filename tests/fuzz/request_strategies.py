"""Requests that are nearly right: made by the grammar, then broken in a place or two."""

from __future__ import annotations

import enum
import itertools

from hypothesis import strategies as st

from tests.corpus import iter_pieces, load_corpus
from tests.fuzz.reading import Answering, Arrival

CORPUS = [case.raw for case in load_corpus() if len(case.raw) < 20_000]

# What breaks a request, when it stands where it should not.
SNIPPETS = [
    *(bytes([octet]) for octet in b"\r\n\0\t :;,\"'/?#%\\@[]0159afxX\x0b\x1f\x7f\x80\xff"),
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\ntransfer-encoding:chunked\t",
    b"\r\nContent-Length: 5",
    b"\r\nContent-Length: 0",
    b"\r\nContent-Length: 99999999999999999999",
    b"\r\nHost: b",
    b"\r\nhost:a.example",
    b"\r\nConnection: close",
    b"\r\nConnection: keep-alive, Close",
    b"\r\nExpect: 100-continue",
    b"\r\nExpect: 100-Continue \t",
    b"\r\nContent-Type: a/b",
    b"\r\nUpgrade: websocket",
    b"0\r\n\r\n",
    b"5\r\nabcde\r\n",
    b" HTTP/1.1",
    b" HTTP/1.0",
    b"http://b.example",
    b"GET / HTTP/1.1\r\nHost: b\r\n\r\n",
]

METHODS = [b"GET"] * 9 + [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"get"]
TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
FIELD_NAMES = [
    b"Accept",
    b"Accept-Encoding",
    b"Accept-Language",
    b"Authorization",
    b"Cache-Control",
    b"Cookie",
    b"If-Modified-Since",
    b"If-None-Match",
    b"Origin",
    b"Proxy",
    b"Range",
    b"Referer",
    b"Sec-Fetch-Site",
    b"TE",
    b"Upgrade",
    b"User-Agent",
    b"X-Forwarded-For",
    b"X-Forwarded-Proto",
    b"X_Underscore",
]
CASED_NAMES = [cased for name in FIELD_NAMES for cased in (name, name.lower(), name.swapcase())]
HOSTS = [b"a.example", b"a", b"a:80", b"[::1]:8000", b"127.0.0.1", b"A-b.c_d~:", b"%61:65535"]
WRONG_HOSTS = [b"", b"a:65536", b"a,b", b"[::1", b"a b", b"\xe4", b"a:080000", b"u@a", b"a/"]
WRONG_TARGETS = [b"*", b"a", b"a:80", b"/#", b"ftp://a/", b"http://", b"http://u@a/", b"/\x80"]
WRONG_VERSIONS = [b"HTTP/1.2", b"http/1.1", b"HTTP/1.", b"HTTP/2.0", b"HTTP/1.10", b""]
WRONG_LENGTHS = [b"+%d", b"%d, 5", b"-%d", b"%d.0", b"0x%x", b"%d_0", b"%d" + b"0" * 20, b"%d;"]
EXTRA_LINES = [
    b"Connection: close\r\n",
    b"connection: Keep-Alive\r\n",
    b"Connection:a,\tClose ,b\r\n",
    b"Content-Type: text/plain\r\n",
    b"Expect: 100-continue\r\n",
    b"expect:100-Continue\t\r\n",
]
FORMS = [b"%s: %s\r\n"] * 6 + [b"%s:%s\r\n", b"%s:\t%s\r\n", b"%s:  %s \t\r\n", b"%s: %s\t\r\n"]

some_octets = st.binary(max_size=12)
tokens = st.one_of(
    st.lists(st.sampled_from(TOKEN), min_size=1, max_size=8).map(bytes),
    st.integers(1, 40).map(lambda count: b"x" * count),
)
methods = st.one_of(st.sampled_from(METHODS), st.sampled_from(METHODS), tokens)
paths = st.lists(
    st.sampled_from(
        [b"/", b"/", b"a", b"index.html", b"%20", b"%2F", b"%e4", b"%zz", b"%", b"%C3%A9", b".."]
        + [b";a=1", b"~", b"//", b"&", b"=", b"{", b"|", b"\\", b'"', b"<", b"^", b"`", b":", b"@"]
    ),
    max_size=6,
).map(lambda parts: b"/" + b"".join(parts))
queries = st.sampled_from([b"", b"", b"?", b"?a=b", b"?a=%20&b=?", b"??", b"?/../"])
targets = st.one_of(
    paths,
    st.tuples(paths, queries).map(b"".join),
    st.tuples(st.sampled_from([b"http://a", b"HTTPS://[::1]:8"]), paths, queries).map(b"".join),
    st.sampled_from([b"/", b"/" * 200, b"http://a", b"http://a?b"]),
)
values = st.one_of(
    st.sampled_from([b"", b"a", b"a, b", b"close", b"keep-alive", b"chunked", b"0", b"\xe4\xff"]),
    st.binary(max_size=20).map(lambda octets: bytes(o for o in octets if o >= 0x20 and o != 0x7F)),
    st.integers(20, 60).map(lambda count: b"v" * count),
)
names = st.one_of(st.sampled_from(CASED_NAMES), st.sampled_from(CASED_NAMES), tokens)


class Fault(enum.Enum):
    """What is wrong with a request, if anything; the grammar has a place for each."""

    NONE = "none"
    METHOD = "CONNECT"
    TARGET = "target"
    VERSION = "version"
    HOST = "host"
    LENGTH = "content-length"
    CODING = "transfer-encoding"
    CHUNK = "chunk size line"
    TRAILER = "trailer"
    EXPECT = "expectation"
    REPEATED = "a line twice"


faults = st.sampled_from([Fault.NONE] * 2 * len(Fault) + list(Fault))


@st.composite
def fields(draw: st.DrawFn, name: bytes | None = None, value: bytes | None = None) -> bytes:
    """One field line; what is not given is made."""
    if name is None:
        name = draw(names)
    if value is None:
        value = draw(values)
    return draw(st.sampled_from(FORMS)) % (name, value)


@st.composite
def chunked_bodies(draw: st.DrawFn, fault: Fault) -> bytes:
    """A body in chunks, with extensions and trailers now and then."""
    body = b""
    for content in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3)):
        body += draw(st.sampled_from([b"%x", b"%X", b"0%x", b"%x;a", b'%x;a="b c"'])) % len(content)
        if fault is Fault.CHUNK:
            body += draw(st.sampled_from([b" ", b";", b";a=", b'"', b"\n", b"\r", b"0", b"_"]))
        body += b"\r\n" + content + b"\r\n"
    body += b"0\r\n"
    if fault is Fault.TRAILER:
        body += draw(
            fields(draw(st.sampled_from([b"Host", b"content-length", b"TE", b"a b", b""])))
        )
    elif draw(st.booleans()):
        body += draw(fields(b"X-Trailer"))
    return body + b"\r\n"


@st.composite
def framed_bodies(draw: st.DrawFn, fault: Fault) -> tuple[list[bytes], bytes]:
    """The fields that frame a body, and the body."""
    wrong_chunks = fault in (Fault.CODING, Fault.CHUNK, Fault.TRAILER)
    kind = "chunked" if wrong_chunks else draw(st.sampled_from(["none", "counted", "chunked"]))
    if kind == "chunked":
        coding = b"chunked"
        if fault is Fault.CODING:
            coding = draw(st.sampled_from([b"gzip", b"chunked,chunked", b"", b"chunked;", b"\xa0"]))
        name = draw(st.sampled_from([b"Transfer-Encoding", b"transfer-encoding"]))
        return [draw(fields(name, coding))], draw(chunked_bodies(fault))
    if kind == "none" and fault is not Fault.LENGTH:
        return [], b""
    body = draw(st.one_of(st.binary(max_size=30), st.integers(30, 300).map(lambda n: b"b" * n)))
    form = draw(st.sampled_from(WRONG_LENGTHS if fault is Fault.LENGTH else [b"%d", b"%d", b"0%d"]))
    name = draw(st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]))
    return [draw(fields(name, form % len(body)))], body


@st.composite
def request_lines(draw: st.DrawFn, fault: Fault, is_current: bool) -> bytes:
    method = b"CONNECT" if fault is Fault.METHOD else draw(methods)
    target = draw(st.sampled_from(WRONG_TARGETS) if fault is Fault.TARGET else targets)
    version = b"HTTP/1.1" if is_current else b"HTTP/1.0"
    if fault is Fault.VERSION:
        version = draw(st.sampled_from(WRONG_VERSIONS))
    return b"%s %s %s\r\n" % (method, target, version)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One request that is right but for one thing, at most."""
    fault = draw(faults)
    framing, body = draw(framed_bodies(fault))
    is_current = bool(framing) or draw(st.integers(0, 3)) > 0
    lines = framing + draw(st.lists(fields(), max_size=6))
    host = draw(st.sampled_from(WRONG_HOSTS if fault is Fault.HOST else HOSTS))
    lines.append(draw(fields(draw(st.sampled_from([b"Host", b"host", b"HOST"])), host)))
    if fault is Fault.EXPECT:
        lines.append(draw(fields(b"Expect", draw(st.sampled_from([b"", b"a", b"100-continue,"])))))
    else:
        extra = draw(st.sampled_from([b"", b"", b"", *EXTRA_LINES]))
        lines += [extra] if extra else []
    if fault is Fault.REPEATED:
        lines.append(draw(st.sampled_from(lines)))
    turn = draw(st.integers(0, len(lines) - 1))
    head = draw(request_lines(fault, is_current)) + b"".join(lines[turn:] + lines[:turn])
    return head + b"\r\n" + body


@st.composite
def damaged(draw: st.DrawFn, raw: bytes, most: int = 2) -> bytes:
    """``raw`` with up to ``most`` places in which octets are lost, repeated, replaced or new."""
    for _ in range(draw(st.sampled_from([0, 0, 0, *range(most + 1)]))):
        at = draw(st.integers(0, len(raw)))
        until = min(len(raw), at + draw(st.sampled_from([0, 0, 0, 1, 1, 2, 20])))
        new = draw(
            st.one_of(
                st.sampled_from(SNIPPETS),
                st.just(b""),
                st.just(raw[at:until] * 2),
                some_octets,
            )
        )
        raw = raw[:at] + new + raw[until:]
    return raw


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """What one client sends: requests, one behind the other, whole or not."""
    source = draw(st.sampled_from(["grammar"] * 5 + ["corpus", "corpus", "octets"]))
    if source == "octets":
        return draw(st.binary(min_size=1, max_size=100))
    if source == "corpus":
        raw = draw(st.sampled_from(CORPUS))
    else:
        raw = b"".join(draw(st.lists(messages(), min_size=1, max_size=3)))
    return draw(damaged(raw)) or b"\r"


@st.composite
def cuts(draw: st.DrawFn, raw: bytes) -> tuple[bytes, ...]:
    """``raw`` in pieces, with an EOF behind them now and then."""
    manner = draw(st.sampled_from(["whole", "whole", "cut", "cut", "octets", "size"]))
    if manner == "whole":
        pieces = [raw]
    elif manner == "cut":
        places = draw(st.lists(st.integers(0, len(raw)), min_size=1, max_size=4))
        edges = sorted({0, *places, len(raw)})
        pieces = [raw[a:b] for a, b in itertools.pairwise(edges)]
    else:
        size = 1 if manner == "octets" and len(raw) < 500 else draw(st.integers(40, 300))
        pieces = list(iter_pieces(raw, size))
    return (*pieces, b"") if draw(st.integers(0, 3)) == 0 else tuple(pieces)


@st.composite
def limits(draw: st.DrawFn, raw: bytes) -> dict[str, int]:
    """The default limits, or one that ``raw`` just keeps or just breaks."""
    name = draw(st.sampled_from([""] * 4 + ["request_line", "fields", "field_size", "body"]))
    if not name:
        return {}
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    longest = max((len(line) for line in lines[1:]), default=0)
    real = {
        "request_line": len(lines[0]),
        "fields": len(lines) - 1,
        "field_size": draw(st.sampled_from([longest, len(head) + 4])),
        "body": len(body),
    }
    return {name: max(0, real[name] + draw(st.integers(-2, 2)))}


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """A stream, cut, under limits, before an application with habits of its own."""
    raw = draw(streams())
    answering = draw(st.sampled_from([Answering.WHOLE, *Answering]))
    return Arrival(draw(cuts(raw)), draw(limits(raw)), answering)
