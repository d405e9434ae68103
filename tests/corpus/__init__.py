r"""The corpus of raw requests: what a client may send, and what the server makes of it.

One file a case, ``NAME.http``, read by a person first::

    # Why the case exists, and the clause or the advisory that it comes from.

    > POST /upload HTTP/1.1\r\n
    > Host: a.example\r\n
    > Content-Length: 5\r\n
    > \r\n
    > hello

    request POST /upload
      body hello
    survives

**Octets.** The lines that begin with ``> `` are joined, without their line ends. ``\r \n \t \s \0
\xHH \\`` stand for one octet (``\s`` is a space, for the end of a line); ``\{5000*ab}`` is ``ab``
5000 times.

**Requests.** One ``request METHOD TARGET`` line for each request that the server must see, in order.
Indented lines below say more about it:

=========================  ==========================================================
``version 1.0``            the HTTP version, if it is not 1.1
``path TEXT``              the decoded path; ``raw_path`` and ``query`` likewise
``field NAME: VALUE``      a field with this value; twice means that it is there twice
``absent NAME``            no such field
``body TEXT``              the whole body; empty without this line
``trailer NAME: VALUE``    a field of the trailer section
``waits``                  the client waits for 100 Continue before the body
=========================  ==========================================================

**Verdict.** The last line:

========================  ==================================================================
``survives``              every request is answered, and the next would be, too
``closes``                every request is answered; then the server closes, and says so
``refuse 400 TEXT``       behind the requests stands something that is answered with this
                          status and sentence; then the server closes, and reads no more
``refuse-body 400 TEXT``  the same, but within the body of the last request, which so gets
                          this answer instead of its own
``incomplete``            the server waits for more of a head
``incomplete-body``       it waits for more of the body of the last request
========================  ==================================================================

The limits are the default settings.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent

# A repetition may hold another one.
_REPETITION = rb"\{([0-9]+)\*((?:\\\{[^}]*\}|[^}])*)\}"
_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|" + _REPETITION + rb"|([rnts0\\]))")
_SIMPLE = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"s": b" ", b"0": b"\0", b"\\": b"\\"}


class Verdict(enum.Enum):
    """How a case ends."""

    SURVIVES = "survives"
    CLOSES = "closes"
    REFUSED = "refuse"
    BODY_REFUSED = "refuse-body"
    INCOMPLETE = "incomplete"
    BODY_INCOMPLETE = "incomplete-body"


@dataclass
class ExpectedRequest:
    """One request that the server must see. None where the case does not say."""

    method: bytes
    target: bytes
    version: bytes = b"1.1"
    path: bytes | None = None
    raw_path: bytes | None = None
    query: bytes | None = None
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    absent: list[bytes] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    waits: bool = False


@dataclass
class Case:
    """One file of the corpus."""

    name: str
    reason: str  # the comment at its top
    raw: bytes
    requests: list[ExpectedRequest]
    verdict: Verdict
    status: int | None  # of a refusal
    detail: str  # of a refusal, what the client is told

    def __str__(self) -> str:
        return self.name

    @property
    def answered(self) -> list[ExpectedRequest]:
        """The requests that an application answers in full."""
        is_last_whole = self.verdict not in (Verdict.BODY_REFUSED, Verdict.BODY_INCOMPLETE)
        return self.requests if is_last_whole else self.requests[:-1]

    @property
    def statuses(self) -> list[int]:
        """The statuses that a server sends whose application answers 200 to everything."""
        refusal = [] if self.status is None else [self.status]
        return [200 for _ in self.answered] + refusal

    @property
    def must_close(self) -> bool:
        """Whether the server closes the connection after ``statuses``."""
        return self.verdict in (Verdict.CLOSES, Verdict.REFUSED, Verdict.BODY_REFUSED)


def load_corpus() -> list[Case]:
    """All cases, by name."""
    return [parse_case(path.stem, path.read_bytes()) for path in sorted(FOLDER.glob("*.http"))]


def parse_case(name: str, text: bytes) -> Case:
    """The case in a file's ``text``. Raises ValueError that names the case and the line."""
    reason: list[str] = []
    raw = b""
    requests: list[ExpectedRequest] = []
    verdict: Verdict | None = None
    status: int | None = None
    detail = ""
    for line in text.splitlines():
        try:
            if verdict is not None:
                raise ValueError("something stands behind the verdict")
            if line.startswith(b"#"):
                reason.append(line[1:].strip().decode())
            elif line.startswith(b"> "):
                raw += unescape(line[2:])
            elif line.startswith(b"request "):
                _, method, target = line.split(b" ", 2)
                requests.append(ExpectedRequest(method, unescape(target)))
            elif line.startswith(b"  "):
                _detail(requests[-1], line.strip())
            elif line:
                word, _, rest = line.decode().partition(" ")
                verdict = Verdict(word)
                if rest:
                    status, detail = int(rest[:3]), rest[4:]
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}: {line!r}: {error}") from error
    if verdict is None or not reason or not raw:
        raise ValueError(f"{name}: a case has a reason, octets and a verdict")
    if (status is not None) != (verdict in (Verdict.REFUSED, Verdict.BODY_REFUSED)):
        raise ValueError(f"{name}: a refusal has a status, and nothing else has")
    return Case(name, " ".join(reason), raw, requests, verdict, status, detail)


def _detail(request: ExpectedRequest, line: bytes) -> None:
    word, _, rest = line.partition(b" ")
    value = unescape(rest)
    if word in (b"version", b"path", b"raw_path", b"query", b"body"):
        setattr(request, word.decode(), value)
    elif word == b"field":
        request.fields.append(_field(value))
    elif word == b"trailer":
        request.trailers.append(_field(value))
    elif word == b"absent":
        request.absent.append(value)
    elif word == b"waits":
        request.waits = True
    else:
        raise ValueError("an unknown word")


def _field(text: bytes) -> tuple[bytes, bytes]:
    name, _, value = text.partition(b":")
    return name, value.removeprefix(b" ")


def unescape(text: bytes) -> bytes:
    """``text`` with its escapes replaced, repetitions included."""

    def replace(match: re.Match[bytes]) -> bytes:
        octet, count, repeated, simple = match.groups()
        if octet is not None:
            return bytes([int(octet, 16)])
        if count is not None:
            return unescape(repeated) * int(count)
        return _SIMPLE[simple]

    return _ESCAPE.sub(replace, text)


def iter_pieces(raw: bytes, size: int) -> Iterator[bytes]:
    """``raw`` in pieces of ``size`` octets."""
    for start in range(0, len(raw), size):
        yield raw[start : start + size]
