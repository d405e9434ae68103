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
from typing import Any

from greenuni.errors import RemoteProtocolError
from greenuni.http.events import Headers
from greenuni.http.grammar import HOST, LENGTH, TOKEN_TEXT
from greenuni.http.limits import Limits
from greenuni.http.message import Message
from greenuni.http.target import parse_target

_CODINGS = re.compile(TOKEN_TEXT + rb"(?:[ \t]*,[ \t]*" + TOKEN_TEXT + rb")*")

_HOST = b"\r\nhost:"
_CONTENT_LENGTH = b"\r\ncontent-length:"
_CONTENT_TYPE = b"\r\ncontent-type:"
TRANSFER_ENCODING = b"\r\ntransfer-encoding:"
_EXPECT = b"\r\nexpect:"
_CONNECTION = b"\r\nconnection:"
_UPGRADE = b"\r\nupgrade:"


class Fields:
    """The header fields of one request: a list, or what can make one when somebody asks."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Headers) -> None:
        self._pairs = pairs

    def pairs(self) -> Headers:
        """``Request.headers``."""
        return self._pairs

    def add_variables(self, environ: dict[str, Any], names: Mapping[bytes, str]) -> None:
        """``Request.add_variables``."""
        repeated: dict[str, list[str]] = {}
        for name, value in self._pairs:
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


class Request:
    """One request head, judged. Attributes as in h11, and what the policy found.

    ::

        method          b"GET"
        target          as sent
        http_version    b"1.1" or b"1.0"
        raw_path        percent-encoded, without query; b"*" for OPTIONS *
        path            percent-decoded
        query           after "?", without it
        content_length  None when chunked, 0 when there is no body
        chunked         whether the body comes in chunks
        has_body        whether any octet of a body may follow the head
        expect_continue whether the client may wait for 100 Continue
        keep_alive      whether the connection may go on after it
        is_websocket    whether it is a handshake by which a WebSocket could begin (RFC 6455 4.1)
        body            the whole content, when ``Connection.take`` returned the request, else None
        size            octets that were read of it: of the head, and of the body if that is here
    """

    __slots__ = (
        "body",
        "chunked",
        "content_length",
        "expect_continue",
        "fields",
        "has_body",
        "http_version",
        "is_websocket",
        "keep_alive",
        "method",
        "path",
        "query",
        "raw_path",
        "size",
        "target",
    )

    def __init__(self, method: bytes, target: bytes, http_version: bytes, fields: Fields) -> None:
        self.method = method
        self.target = target
        self.http_version = http_version
        self.fields = fields
        self.raw_path = self.path = self.query = b""
        self.content_length: int | None = 0
        self.chunked = False
        self.has_body = False
        self.expect_continue = False
        self.keep_alive = False
        self.is_websocket = False
        self.body: bytes | None = None
        self.size = 0

    @property
    def headers(self) -> Headers:
        """Lower-case names, values without outer white space, in the order in which they came.

        With a target in absolute form ``host`` is the target's authority (RFC 9112 3.2.2).
        """
        return self.fields.pairs()

    @property
    def host(self) -> bytes:
        """The value of ``host`` in ``headers``, empty when there is none."""
        for name, value in self.headers:
            if name == b"host":
                return value
        return b""

    def add_variables(self, environ: dict[str, Any], names: Mapping[bytes, str]) -> None:
        """Put the fields into a WSGI environ, values as latin-1 text (PEP 3333).

        ``names`` maps field names in lower case to variables, "" for what is left out. Fields of
        one variable are joined, as if they had been one (RFC 9110 5.3, RFC 6265 5.4 for cookies).
        """
        self.fields.add_variables(environ, names)

    def find_body(self, data: bytes) -> None:
        """Set ``body`` if it is whole in ``data``, which begin with this request; not for chunks."""
        if not self.has_body:
            self.body = b""
            return
        end = self.size + (self.content_length or 0)
        if len(data) >= end:
            self.body = data[self.size : end]
            self.size = end

    def __repr__(self) -> str:
        method, target = self.method.decode("ascii"), self.target.decode("ascii")
        return f"<Request {method} {target} HTTP/{self.http_version.decode('ascii')}>"


def read_request(head: bytes, message: Message, limits: Limits) -> Request:
    """Judge and parse one whole head that the guard has let through; ``message`` reads it.

    Raises RemoteProtocolError: 400, 413, 417 or 501.
    """
    text = head.lower()
    is_current = head[head.index(b"\r\n") - 1] == ord("1")  # HTTP/1.1 and not HTTP/1.0
    _check_single_fields(text, is_current)
    content_length = _read_content_length(text, limits)
    chunked = TRANSFER_ENCODING in text
    if chunked:
        _check_transfer_encoding(text, is_current)
    method, target, version, headers = message.read_head(head)
    raw_path, path, query, authority = parse_target(method, target)
    if authority is not None:
        headers = [(b"host", authority)] + [item for item in headers if item[0] != b"host"]
    request = Request(method, target, version, Fields(headers))
    request.raw_path, request.path, request.query = raw_path, path, query
    request.content_length = None if chunked else content_length
    request.chunked = chunked
    request.has_body = chunked or content_length > 0
    request.expect_continue = _EXPECT in text and is_current and _expects_continue(text)
    request.keep_alive = is_current and not (_CONNECTION in text and _wants_close(text))
    request.is_websocket = (
        _UPGRADE in text and is_current and method == b"GET" and _names_websocket(text)
    )
    request.size = len(head)
    return request


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
    values = _values(text, TRANSFER_ENCODING)
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


def _names_websocket(text: bytes) -> bool:
    """Whether one of the protocols in Upgrade is it. HTTP/1.0 has none (RFC 9110 7.8)."""
    protocols = b",".join(_values(text, _UPGRADE)).split(b",")
    return any(protocol.strip(b" \t") == b"websocket" for protocol in protocols)
