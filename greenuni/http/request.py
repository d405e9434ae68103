"""The request, and the policy on it: one place decides what its fields mean for the wire.

Host, Content-Length, Transfer-Encoding, Expect and Connection are read here and nowhere else. They
are read from the head as it came, before the engine: an engine may repair (h11 folds ``5, 5`` into
``5``), and what was repaired can no longer be refused.

Looking a field up in the head as bytes is cheaper than splitting all of them, and exact: the guard
has refused white space before a colon, folding, and any CR or LF within a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenuni.errors import RemoteProtocolError
from greenuni.http.engine import Engine
from greenuni.http.events import Headers
from greenuni.http.grammar import HOST, LENGTH, TOKEN_TEXT
from greenuni.http.limits import Limits
from greenuni.http.target import parse_target

_CODINGS = re.compile(TOKEN_TEXT + rb"(?:[ \t]*,[ \t]*" + TOKEN_TEXT + rb")*")

_HOST = b"\r\nhost:"
_CONTENT_LENGTH = b"\r\ncontent-length:"
_CONTENT_TYPE = b"\r\ncontent-type:"
_TRANSFER_ENCODING = b"\r\ntransfer-encoding:"
_EXPECT = b"\r\nexpect:"
_CONNECTION = b"\r\nconnection:"


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
    body: bytes | None = None  # the whole content when ``Connection.take`` returned the request

    @property
    def has_body(self) -> bool:
        """Whether any octet of a body may follow the head."""
        return self.content_length != 0

    def add_variables(self, environ: dict[str, Any], names: Mapping[bytes, str]) -> None:
        """Put the fields into a WSGI environ, values as latin-1 text (PEP 3333).

        ``names`` maps field names in lower case to variables, "" for what is left out. Fields of
        one variable are joined, as if they had been one (RFC 9110 5.3, RFC 6265 5.4 for cookies).
        """
        repeated: dict[str, list[str]] = {}
        for name, value in self.headers:
            variable = names[name]
            if not variable:
                continue
            text = value.decode("latin-1")
            if variable in environ:
                repeated.setdefault(variable, [environ[variable]]).append(text)
            else:
                environ[variable] = text
        for variable, values in repeated.items():
            environ[variable] = ("; " if variable == "HTTP_COOKIE" else ",").join(values)

    def __repr__(self) -> str:
        method, target = self.method.decode("ascii"), self.target.decode("ascii")
        return f"<Request {method} {target} HTTP/{self.http_version.decode('ascii')}>"


def read_request(head: bytes, engine: Engine, limits: Limits) -> Request:
    """Judge and parse one whole head that the guard has let through.

    Raises RemoteProtocolError: 400, 413, 417 or 501.
    """
    text = head.lower()
    is_current = head[head.index(b"\r\n") - 1] == ord("1")  # HTTP/1.1 and not HTTP/1.0
    _check_single_fields(text, is_current)
    content_length: int | None = _read_content_length(text, limits)
    if chunked := _TRANSFER_ENCODING in text:
        _check_transfer_encoding(text, is_current)
        content_length = None
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
        expect_continue=_EXPECT in text and is_current and _expects_continue(text),
        keep_alive=is_current and not (_CONNECTION in text and _wants_close(text)),
    )


def _values(text: bytes, field: bytes) -> list[bytes]:
    """The values of all fields of that name, without outer white space."""
    found: list[bytes] = []
    start = text.find(field)
    while start >= 0:
        end = text.index(b"\r\n", start + 2)
        found.append(text[start + len(field) : end].strip(b" \t"))
        start = text.find(field, end)
    return found


def _check_single_fields(text: bytes, is_current: bool) -> None:
    """One valid Host, which only HTTP/1.0 may leave out (RFC 9112 3.2); one Content-Type."""
    hosts = _values(text, _HOST)
    if not hosts:
        if is_current:
            raise RemoteProtocolError("The request has no Host field.")
    elif len(hosts) > 1:
        raise RemoteProtocolError("The request has more than one Host field.")
    elif not HOST.fullmatch(hosts[0]):
        raise RemoteProtocolError("The Host field is not a valid host and port.")
    if text.count(_CONTENT_TYPE) > 1:
        raise RemoteProtocolError("The request has more than one Content-Type field.")


def _read_content_length(text: bytes, limits: Limits) -> int:
    """The announced length, 0 without one (RFC 9112 6.2)."""
    if _CONTENT_LENGTH not in text:
        return 0
    lengths = _values(text, _CONTENT_LENGTH)
    if len(lengths) > 1:
        raise RemoteProtocolError("The request has more than one Content-Length field.")
    if not LENGTH.fullmatch(lengths[0]):
        raise RemoteProtocolError("The Content-Length is not a number of at most 19 digits.")
    length = int(lengths[0])
    if length > limits.body:
        raise RemoteProtocolError("The request body is too large.", 413)
    return length


def _check_transfer_encoding(text: bytes, is_current: bool) -> None:
    """Exactly ``chunked``, alone; another coding that is well formed is 501 (RFC 9112 6.1)."""
    if _CONTENT_LENGTH in text:
        raise RemoteProtocolError("The request has Transfer-Encoding and Content-Length.")
    if not is_current:
        raise RemoteProtocolError("The request has Transfer-Encoding, which HTTP/1.0 has not.")
    values = _values(text, _TRANSFER_ENCODING)
    if values == [b"chunked"]:
        return
    joined = b",".join(values)
    if not _CODINGS.fullmatch(joined):
        raise RemoteProtocolError("The Transfer-Encoding is malformed.")
    codings = [coding.strip(b" \t") for coding in joined.split(b",")]
    if b"chunked" in codings[:-1]:
        raise RemoteProtocolError("Chunked must be the last transfer coding, and once.")
    raise RemoteProtocolError("The only transfer coding supported is chunked.", 501)


def _expects_continue(text: bytes) -> bool:
    """Whether the client waits for 100 Continue; no other expectation exists (RFC 9110 10.1.1)."""
    if _values(text, _EXPECT) != [b"100-continue"]:
        raise RemoteProtocolError("The only expectation supported is 100-continue.", 417)
    return True


def _wants_close(text: bytes) -> bool:
    options = b",".join(_values(text, _CONNECTION)).split(b",")
    return any(option.strip(b" \t") == b"close" for option in options)
