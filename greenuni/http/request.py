"""The request, and the policy on it: one place decides what its fields mean for the wire.

Content-Length, Transfer-Encoding and Host are read here and nowhere else. They are read from the
head as it came, before the engine: an engine may repair (h11 folds ``5, 5`` into ``5``), and what
was repaired can no longer be refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from greenuni.errors import RemoteProtocolError
from greenuni.http import grammar
from greenuni.http.engine import Engine
from greenuni.http.events import Headers
from greenuni.http.limits import LENGTH_MAXIMUM, Limits
from greenuni.http.target import parse_target

_transfer_codings = re.compile(grammar.TOKEN + rb"(?:[ \t]*,[ \t]*" + grammar.TOKEN + rb")*")


@dataclass(slots=True)
class Request:
    """One request head, judged. Attributes as in h11, and what the policy found.

    ``headers`` have lower-case names and values without outer white space, in the order in which
    they came. With a target in absolute form ``host`` is the target's authority (RFC 9112 3.2.2).
    """

    method: bytes
    target: bytes  # as sent
    http_version: bytes  # b"1.1" or b"1.0"
    headers: Headers
    raw_path: bytes  # percent-encoded, without query; b"*" for OPTIONS *
    path: bytes  # percent-decoded
    query: bytes  # after "?", without it
    content_length: int | None  # None when chunked, 0 when there is no body
    chunked: bool
    expect_continue: bool
    keep_alive: bool

    @property
    def has_body(self) -> bool:
        """Whether any octet of a body may follow the head."""
        return self.content_length != 0

    def __repr__(self) -> str:
        method, target = self.method.decode("ascii"), self.target.decode("ascii")
        return f"<Request {method} {target} HTTP/{self.http_version.decode('ascii')}>"


def read_request(head: bytes, engine: Engine, limits: Limits) -> Request:
    """Judge and parse one whole head that the guard has let through.

    Raises RemoteProtocolError: 400, 413, 417 or 501.
    """
    fields = _RawFields(head)
    is_current = head[head.index(b"\r\n") - 3 :].startswith(b"1.1")
    _check_host(fields, is_current)
    content_length, chunked = _read_framing(fields, is_current, limits)
    method, target, version, headers = engine.read_head(head)
    form = parse_target(method, target)
    if form.authority is not None:
        headers = [(b"host", form.authority)] + [item for item in headers if item[0] != b"host"]
    return Request(
        method=method,
        target=target,
        http_version=version,
        headers=headers,
        raw_path=form.raw_path,
        path=form.path,
        query=form.query,
        content_length=content_length,
        chunked=chunked,
        expect_continue=_read_expectation(fields, is_current),
        keep_alive=is_current and not fields.has_token(b"\r\nconnection:", b"close"),
    )


class _RawFields:
    """Looks fields up in a head by counting, which is cheaper than splitting all of them.

    Names are given as ``b"\\r\\nname:"``; that finds exactly the fields of that name, because the
    guard has refused white space before the colon, folding, and any CR or LF inside a line.
    """

    __slots__ = ("_text",)

    def __init__(self, head: bytes) -> None:
        self._text = head.lower()

    def count(self, name: bytes) -> int:
        return self._text.count(name)

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields of that name, in lower case, without outer white space."""
        text = self._text
        found: list[bytes] = []
        start = text.find(name)
        while start >= 0:
            end = text.index(b"\r\n", start + 2)
            found.append(text[start + len(name) : end].strip(b" \t"))
            start = text.find(name, end)
        return found

    def has_token(self, name: bytes, token: bytes) -> bool:
        """Whether a comma-separated field has that member."""
        if name not in self._text:
            return False
        members = b",".join(self.values(name)).split(b",")
        return any(member.strip(b" \t") == token for member in members)


def _check_host(fields: _RawFields, is_current: bool) -> None:
    """Exactly one valid Host, which only HTTP/1.0 may leave out (RFC 9112 3.2)."""
    hosts = fields.values(b"\r\nhost:")
    if len(hosts) > 1:
        raise RemoteProtocolError("The request has more than one Host field.")
    if not hosts:
        if is_current:
            raise RemoteProtocolError("The request has no Host field.")
    elif not grammar.host.fullmatch(hosts[0]):
        raise RemoteProtocolError("The Host field is not a valid host and port.")
    if fields.count(b"\r\ncontent-type:") > 1:
        raise RemoteProtocolError("The request has more than one Content-Type field.")


def _read_framing(fields: _RawFields, is_current: bool, limits: Limits) -> tuple[int | None, bool]:
    """Content length (None when chunked) and whether chunked (RFC 9112 6)."""
    lengths = fields.values(b"\r\ncontent-length:")
    codings = fields.values(b"\r\ntransfer-encoding:")
    if codings:
        if lengths:
            raise RemoteProtocolError("The request has Transfer-Encoding and Content-Length.")
        if not is_current:
            raise RemoteProtocolError("HTTP/1.0 has no Transfer-Encoding.")
        _check_codings(codings)
        return None, True
    if not lengths:
        return 0, False
    if len(lengths) > 1:
        raise RemoteProtocolError("The request has more than one Content-Length field.")
    if not grammar.digits.fullmatch(lengths[0]):
        raise RemoteProtocolError("The Content-Length is not a number of at most 19 digits.")
    length = int(lengths[0])
    if length > (limits.body or LENGTH_MAXIMUM):
        raise RemoteProtocolError("The request body is too large.", 413)
    return length, False


def _check_codings(values: list[bytes]) -> None:
    """Exactly ``chunked``; another coding that is well formed is 501 (RFC 9112 6.1)."""
    if values == [b"chunked"]:
        return
    joined = b",".join(values)
    if not _transfer_codings.fullmatch(joined):
        raise RemoteProtocolError("The Transfer-Encoding is malformed.")
    codings = [coding.strip(b" \t") for coding in joined.split(b",")]
    if b"chunked" in codings[:-1]:
        raise RemoteProtocolError("Chunked must be the last transfer coding, and once.")
    raise RemoteProtocolError("The only transfer coding supported is chunked.", 501)


def _read_expectation(fields: _RawFields, is_current: bool) -> bool:
    """Whether the client waits for 100 Continue; HTTP/1.0 cannot (RFC 9110 10.1.1)."""
    expectations = fields.values(b"\r\nexpect:") if is_current else []
    if not expectations:
        return False
    if expectations != [b"100-continue"]:
        raise RemoteProtocolError("The only expectation supported is 100-continue.", 417)
    return True
