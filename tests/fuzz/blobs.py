"""One string of octets that says everything about a comparison, as a fuzzer and a seed have it.

::

    mode        1 octet: what is compared, and how the rest is read
    cuts        2 octets: where the octets are cut, in parts of 256 (requests only)
    octets      of a client; or of an application: name, value, name, value ..., content, with 0xff between

Every blob means something, so a fuzzer wastes no time on those that do not.
"""

from __future__ import annotations

import itertools

from tests.fuzz.reading import DATE, Answering, Arrival, compare_reading
from tests.fuzz.twins import SUBJECTS, Twin
from tests.fuzz.writing import REQUESTS, Answer, Call, compare_writing

WRITES = 0x80  # mode: a response, not requests
SEPARATOR = b"\xff"
LIMITS: list[dict[str, int]] = [
    {},
    {"body": 0},
    {"request_line": 20, "fields": 3},
    {"field_size": 20, "body": 3},
]
STATUSES = [200, 204, 304, 404]


def judge(blob: bytes, subjects: list[Twin] = SUBJECTS) -> None:
    """Compare what ``blob`` says. Raises Difference."""
    mode = blob[0] if blob else 0
    if mode & WRITES:
        compare_writing(decode_answer(mode, blob[1:]), subjects)
    else:
        compare_reading(decode_arrival(mode, blob[1:3], blob[3:]), subjects)


def decode_arrival(mode: int, cuts: bytes, octets: bytes) -> Arrival:
    """Bits of ``mode``: 0 and 1 when to answer, 2 EOF at the end, 3 and 4 the limits."""
    edges = [0, *sorted(cut * len(octets) // 256 for cut in cuts), len(octets)]
    pieces = [octets[a:b] for a, b in itertools.pairwise(edges) if a < b]
    return Arrival(
        tuple(pieces) + ((b"",) if mode & 4 else ()),
        LIMITS[mode >> 3 & 3],
        list(Answering)[mode % 4 % 3],
    )


def encode_arrival(octets: bytes, mode: int = 1) -> bytes:
    """The blob of octets that come in one piece."""
    return bytes([mode, 0, 0]) + octets


def decode_answer(mode: int, octets: bytes) -> Answer:
    """Bits of ``mode``: 0 and 1 the request, 2 and 3 the status, 4 text, 5 pieces, 6 trailers."""
    parts = octets.split(SEPARATOR)
    content = parts.pop()
    pairs: list[tuple[bytes, bytes] | tuple[str, str]]
    pairs = list(zip(parts[::2], parts[1::2], strict=False))
    is_text, is_cut, has_trailers = bool(mode & 16), bool(mode & 32), bool(mode & 64)
    if is_text:
        pairs = [(a.decode("latin-1"), b.decode("latin-1")) for a, b in pairs]
    options = (("date", DATE), ("text", is_text), ("trailers", has_trailers))
    calls = [Call("start", (STATUSES[mode >> 2 & 3], pairs), options)]
    if is_cut:
        calls += [Call("send", (content[:3], True)), Call("send", (content[3:], False))]
    else:
        calls.append(Call("send", (content, False)))
    return Answer(REQUESTS[mode % 4], tuple(calls))
