"""Responses: every framing, the Content-Length held to, and nothing split."""

from __future__ import annotations

import re
from collections.abc import Iterable

import h11
import pytest

from greenuni.errors import LocalProtocolError
from greenuni.http import (
    CLOSED,
    DONE,
    ERROR,
    MUST_CLOSE,
    SEND_RESPONSE,
    Connection,
    ConnectionClosed,
    EndOfMessage,
    Limits,
    Request,
    Responder,
    ResponderState,
)
from tests.http.conversation import DATE

pytestmark = pytest.mark.usefixtures("every_engine")

Field = tuple[bytes, bytes]

LENGTH_5 = (b"Content-Length", b"5")
CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"


def request(raw: bytes) -> tuple[Connection, Request]:
    """A connection that has read ``raw``, one whole request without a body."""
    connection = Connection(Limits())
    connection.receive_data(raw)
    event = connection.next_event()
    assert isinstance(event, Request)
    assert isinstance(connection.next_event(), EndOfMessage)
    return connection, event


def responder(method: str = "GET", version: str = "1.1", fields: str = "") -> Responder:
    raw = f"{method} / HTTP/{version}\r\nHost: a.example\r\n{fields}\r\n".encode()
    return Responder(*request(raw))


def split(octets: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Status line, field lines without Date and Server, and what follows the head."""
    head, _, body = octets.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, [field for field in fields if not field.startswith((b"Date:", b"Server:"))], body


def respond(response: Responder, chunks: list[bytes]) -> bytes:
    """All octets of a response of these chunks, the last of which is known to be the last."""
    out = []
    for number, chunk in enumerate(chunks, start=1):
        out += response.send(chunk, more=number < len(chunks))
    return b"".join(out)


class TestFraming:
    """What the head says of the end of the body, and what follows it."""

    @pytest.mark.parametrize(
        ("method", "version", "status", "fields", "chunks", "framing", "body"),
        [
            # The first chunk is the last: a computed length.
            ("GET", "1.1", 200, [], [b"hello"], [b"Content-Length: 5"], b"hello"),
            ("GET", "1.1", 200, [], [b""], [b"Content-Length: 0"], b""),
            ("GET", "1.1", 404, [], [b"no"], [b"Content-Length: 2"], b"no"),
            ("GET", "1.0", 200, [], [b"hello"], [b"Content-Length: 5", CLOSE], b"hello"),
            # Declared: as declared, however the chunks fall.
            ("GET", "1.1", 200, [LENGTH_5], [b"hello"], [b"Content-Length: 5"], b"hello"),
            ("GET", "1.1", 200, [LENGTH_5], [b"he", b"llo"], [b"Content-Length: 5"], b"hello"),
            ("GET", "1.1", 200, [LENGTH_5], [b"", b"hello", b""], [b"Content-Length: 5"], b"hello"),
            (
                "GET",
                "1.0",
                200,
                [LENGTH_5],
                [b"he", b"llo"],
                [b"Content-Length: 5", CLOSE],
                b"hello",
            ),
            # Not known: chunked, or until close for those who know no chunks.
            (
                "GET",
                "1.1",
                200,
                [],
                [b"he", b"llo"],
                [CHUNKED],
                b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            ),
            ("GET", "1.1", 200, [], [b"", b""], [CHUNKED], b"0\r\n\r\n"),
            (
                "GET",
                "1.1",
                200,
                [],
                [b"a" * 26, b""],
                [CHUNKED],
                b"1a\r\n%s\r\n0\r\n\r\n" % (b"a" * 26),
            ),
            ("GET", "1.0", 200, [], [b"he", b"", b"llo"], [CLOSE], b"hello"),
            # HEAD: what GET would have had, if that is known (RFC 9110 9.3.2), and no body.
            ("HEAD", "1.1", 200, [], [b"hello"], [b"Content-Length: 5"], b""),
            ("HEAD", "1.1", 200, [LENGTH_5], [b"hello"], [b"Content-Length: 5"], b""),
            ("HEAD", "1.1", 200, [LENGTH_5], [b""], [b"Content-Length: 5"], b""),
            ("HEAD", "1.1", 200, [], [b""], [], b""),
            ("HEAD", "1.1", 200, [], [b"he", b"llo"], [], b""),
            ("HEAD", "1.0", 200, [], [b"he", b"llo"], [CLOSE], b""),
            # No content, whatever the application gives (RFC 9110 8.6, 15.3.5, 15.3.6, 15.4.5).
            ("GET", "1.1", 204, [], [b""], [], b""),
            ("GET", "1.1", 204, [LENGTH_5], [b"hello"], [], b""),
            ("GET", "1.1", 205, [], [b"hello"], [b"Content-Length: 0"], b""),
            ("GET", "1.1", 205, [LENGTH_5], [b"hello"], [b"Content-Length: 0"], b""),
            ("GET", "1.1", 304, [], [b"hello"], [], b""),
            ("GET", "1.1", 304, [LENGTH_5], [b""], [b"Content-Length: 5"], b""),
            ("GET", "1.0", 304, [], [b""], [CLOSE], b""),
        ],
    )
    def test_table(
        self,
        method: str,
        version: str,
        status: int,
        fields: list[Field],
        chunks: list[bytes],
        framing: list[bytes],
        body: bytes,
    ) -> None:
        response = responder(method, version)
        response.start(status, fields, date=DATE)
        line, sent_fields, sent_body = split(respond(response, chunks))
        assert line.startswith(b"HTTP/1.1 %d " % status)
        assert sent_fields == framing
        assert sent_body == body
        assert response.ended
        has_content = method != "HEAD" and status not in (204, 205, 304)
        assert response.wants_body == has_content
        assert response.body_bytes == (len(b"".join(chunks)) if has_content else 0)

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("status", [200, 204, 205, 304, 500])
    @pytest.mark.parametrize("fields", [[], [LENGTH_5]], ids=["", "declared"])
    @pytest.mark.parametrize("chunks", [[b"hello"], [b"he", b"llo"], [b"", b"hello", b""]], ids=str)
    def test_a_client_understands_it(
        self, method: str, status: int, fields: list[Field], chunks: list[bytes]
    ) -> None:
        response = responder(method)
        response.start(status, fields, date=DATE)
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "a.example")]))
        client.send(h11.EndOfMessage())
        client.receive_data(respond(response, chunks))
        received = client.next_event()
        assert isinstance(received, h11.Response)
        assert received.status_code == status
        content = b""
        while isinstance(event := client.next_event(), h11.Data):
            content += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert content == (b"hello" if response.wants_body else b"")
        client.start_next_cycle()  # raises where the two do not agree that it can go on

    def test_the_head_goes_out_with_the_first_chunk(self) -> None:
        response = responder()
        response.start(200, [], date=DATE)
        assert not response.head_sent
        [octets] = response.send(b"hello", more=True)
        assert octets.startswith(b"HTTP/1.1 200 OK\r\n")
        assert octets.endswith(b"\r\n\r\n5\r\nhello\r\n")
        assert response.head_sent

    @pytest.mark.parametrize("size", [1, 16 * 1024])
    @pytest.mark.parametrize("more", [False, True])
    def test_what_is_small_is_one_write(self, size: int, more: bool) -> None:
        response = responder()
        response.start(200, [], date=DATE)
        assert len(response.send(b"x" * size, more=more)) == 1

    def test_large_chunks_are_not_copied(self) -> None:
        response = responder()
        response.start(200, [], date=DATE)
        chunk = b"x" * 100_000
        assert any(part is chunk for part in response.send(chunk, more=True))


class TestHead:
    """Status line and fields."""

    def test_whole(self) -> None:
        response = responder()
        response.start(200, [(b"Content-Type", b"text/plain"), (b"x-a", b"1")], date=DATE)
        assert respond(response, [b"hello"]) == (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/plain\r\n"
            b"x-a: 1\r\n"
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            b"Server: greenuni\r\n"
            b"Content-Length: 5\r\n"
            b"\r\n"
            b"hello"
        )

    @pytest.mark.parametrize(
        ("status", "reason", "line"),
        [
            (200, b"", b"HTTP/1.1 200 OK"),
            (200, b"Fine", b"HTTP/1.1 200 Fine"),
            (413, b"", b"HTTP/1.1 413 Content Too Large"),
            (299, b"", b"HTTP/1.1 299 "),
            (299, b"caf\xe9\tau lait", b"HTTP/1.1 299 caf\xe9\tau lait"),
            (999, b"", b"HTTP/1.1 999 "),
        ],
    )
    def test_status_line(self, status: int, reason: bytes, line: bytes) -> None:
        response = responder()
        response.start(status, [], reason, date=DATE)
        assert split(respond(response, [b""]))[0] == line
        assert response.status == status

    @pytest.mark.parametrize("name", [b"Date", b"date", b"Server", b"SERVER"])
    def test_the_application_may_give_date_and_server(self, name: bytes) -> None:
        response = responder()
        response.start(200, [(name, b"mine")], date=DATE)
        octets = respond(response, [b""])
        assert octets.lower().count(b"\r\n%s:" % name.lower()) == 1
        assert b"\r\n%s: mine\r\n" % name in octets

    def test_repeated_fields_stay_apart_and_in_order(self) -> None:
        response = responder()
        cookies = [(b"Set-Cookie", b"a=1"), (b"Vary", b"x"), (b"Set-Cookie", b"b=2")]
        response.start(200, cookies, date=DATE)
        assert response.headers == cookies
        assert split(respond(response, [b""]))[1][:3] == [
            b"Set-Cookie: a=1",
            b"Vary: x",
            b"Set-Cookie: b=2",
        ]

    @pytest.mark.parametrize(
        "field",
        [
            (b"Connection", b"keep-alive"),
            (b"Connection", b"X-Foo, Upgrade"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Proxy-Connection", b"keep-alive"),
            (b"TE", b"trailers"),
            (b"transfer-encoding", b"chunked"),
            (b"Transfer-Encoding", b"gzip"),
            (b"Upgrade", b"h2c"),
        ],
        ids=str,
    )
    def test_hop_by_hop_fields_are_the_servers(self, field: Field) -> None:
        response = responder()
        response.start(200, [field, LENGTH_5], date=DATE)
        assert split(respond(response, [b"hello"])) == (
            b"HTTP/1.1 200 OK",
            [b"Content-Length: 5"],
            b"hello",
        )

    def test_white_space_around_a_value_is_cut_off(self) -> None:
        response = responder()
        response.start(200, [(b"X-A", b"\t a; \t"), (b"Content-Length", b" 5 ")], date=DATE)
        assert split(respond(response, [b"hello"]))[1] == [b"X-A: a;", b"Content-Length: 5"]


class TestText:
    """Fields as strings, for WSGI (PEP 3333, "Unicode Issues")."""

    def test_they_are_latin_1(self) -> None:
        response = responder()
        response.start(200, [("X-A", "caf\xe9 "), ("Content-Length", "2")], date=DATE, text=True)
        assert response.headers == [(b"X-A", b"caf\xe9")]
        assert split(respond(response, [b"ok"]))[1] == [b"X-A: caf\xe9", b"Content-Length: 2"]

    @pytest.mark.parametrize(
        ("field", "message"),
        [
            (("X-Foo", "\u20ac"), "'\u20ac' is not latin-1"),
            (("X-\u20ac", "a"), "'X-\u20ac' is not latin-1"),
            (("X-Foo", "a\r\nSet-Cookie: b"), "'X-Foo' has a control character in its value"),
            (("X Foo", "a"), "'X Foo' is not a token"),
            (("", "a"), "'' is not a token"),
            ((b"X-Foo", "a"), "not pairs of strings"),
            (("X-Foo", b"a"), "not pairs of strings"),
            (("X-Foo", None), "not pairs of strings"),
            (("X-Foo", "a", "b"), "not pairs of strings"),
        ],
        ids=repr,
    )
    def test_refused(self, field: tuple[str, str], message: str) -> None:
        response = responder()
        with pytest.raises(LocalProtocolError, match=re.escape(message)):
            response.start(200, [field], date=DATE, text=True)
        assert not response.started


class TestRefusedHeads:
    """Nothing leaves that a recipient could read as something else."""

    @pytest.mark.parametrize(
        ("field", "message"),
        [
            ((b"X-Foo", b"a\r\nSet-Cookie: b"), "'X-Foo' has a control character in its value"),
            ((b"X-Foo", b"a\nb"), "'X-Foo' has a control character"),
            ((b"X-Foo", b"a\rb"), "'X-Foo' has a control character"),
            ((b"X-Foo", b"a\0b"), "'X-Foo' has a control character"),
            ((b"X-Foo", b"a\x0bb"), "'X-Foo' has a control character"),
            ((b"X-Foo", b"a\x7f"), "'X-Foo' has a control character"),
            ((b"X-Foo", b"a\r\n"), "'X-Foo' has a control character"),
            ((b"X-Foo", b"\r\n\r\n<html>"), "'X-Foo' has a control character"),
            ((b"X-Foo\r\nSet-Cookie", b"a"), "is not a token"),
            ((b"X-Foo: a\r\nSet-Cookie", b"a"), "is not a token"),
            ((b"X-Foo:", b"a"), "'X-Foo:' is not a token"),
            ((b"X Foo", b"a"), "'X Foo' is not a token"),
            ((b" X-Foo", b"a"), "' X-Foo' is not a token"),
            ((b"", b"a"), "'' is not a token"),
            ((b"X-F\xf6\xf6", b"a"), "'X-Föö' is not a token"),
            ((b"Content-Length", b"+5"), "'Content-Length' is not a number"),
            ((b"Content-Length", b"-5"), "'Content-Length' is not a number"),
            ((b"Content-Length", b"5, 5"), "'Content-Length' is not a number"),
            ((b"Content-Length", b""), "'Content-Length' is not a number"),
            ((b"Content-Length", b"9" * 20), "'Content-Length' is not a number"),
            (("X-Foo", b"a"), "'X-Foo' is not bytes"),
            ((b"X-Foo", "a"), "not pairs of bytes"),
            ((b"X-Foo", None), "not pairs of bytes"),
            ((bytearray(b"X-Foo"), b"a"), "not pairs of bytes"),
            ((b"X-Foo", b"a", b"b"), "not pairs of bytes"),
        ],
        ids=repr,
    )
    def test_field(self, field: Field, message: str) -> None:
        response = responder()
        with pytest.raises(LocalProtocolError, match=re.escape(message)):
            response.start(200, [field], date=DATE)
        assert not response.started

    @pytest.mark.parametrize("second", [b"5", b"6"])
    def test_two_content_lengths(self, second: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="more than one 'Content-Length'"):
            responder().start(200, [LENGTH_5, (b"content-length", second)], date=DATE)

    @pytest.mark.parametrize("status", [-1, 0, 99, 100, 101, 103, 199, 1000])
    def test_status(self, status: int) -> None:
        with pytest.raises(LocalProtocolError, match="not the status of a final response"):
            responder().start(status, [], date=DATE)

    @pytest.mark.parametrize("reason", [b"OK\r\nX: y", b"OK\n", b"O\0K", b"\x1b[31m"])
    def test_reason(self, reason: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="reason phrase"):
            responder().start(200, [], reason, date=DATE)

    def test_headers_that_are_none(self) -> None:
        broken: Iterable[Field] = None  # type: ignore[assignment]
        with pytest.raises(LocalProtocolError, match="not pairs of bytes"):
            responder().start(200, broken, date=DATE)

    def test_a_refused_head_leaves_the_one_before(self) -> None:
        response = responder()
        response.start(404, [(b"X-A", b"1")], date=DATE)
        with pytest.raises(LocalProtocolError):
            response.start(500, [(b"X-A", b"\0")], date=DATE)
        assert response.status == 404
        assert respond(response, [b""]).startswith(b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\n")


class TestContentLength:
    """The application is held to what it declared (RFC 9110 8.6)."""

    def test_more_in_the_first_chunk(self) -> None:
        connection, get = request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = Responder(connection, get)
        response.start(200, [LENGTH_5], date=DATE)
        with pytest.raises(LocalProtocolError, match="more content than"):
            response.send(b"hello!", more=False)
        assert not response.head_sent
        assert connection.our_state is SEND_RESPONSE
        assert connection.refuse(500, "", DATE).startswith(b"HTTP/1.1 500 ")

    def test_what_was_refused_does_not_count(self) -> None:
        response = responder()
        response.start(200, [LENGTH_5], date=DATE)
        with pytest.raises(LocalProtocolError, match="more content than"):
            response.send(b"hello!", more=False)
        response.start(500, [LENGTH_5], date=DATE)
        assert response.remaining == 5
        assert split(respond(response, [b"sorry"]))[2] == b"sorry"

    def test_less_in_the_only_chunk(self) -> None:
        response = responder()
        response.start(200, [LENGTH_5], date=DATE)
        with pytest.raises(LocalProtocolError, match="less content than"):
            response.send(b"hell", more=False)
        response.start(500, [], date=DATE)
        assert split(respond(response, [b"sorry"]))[1] == [b"Content-Length: 5"]

    def test_more_later(self) -> None:
        connection, get = request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = Responder(connection, get)
        response.start(200, [LENGTH_5], date=DATE)
        response.send(b"he", more=True)
        assert response.remaining == 3
        with pytest.raises(LocalProtocolError, match="more content than"):
            response.send(b"llo!", more=True)
        assert response.body_bytes == 2
        assert response.state is ResponderState.BROKEN
        assert connection.our_state is ERROR
        with pytest.raises(LocalProtocolError, match="nothing can be sent"):
            response.send(b"", more=True)

    def test_less_at_the_end(self) -> None:
        connection, get = request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = Responder(connection, get)
        response.start(200, [LENGTH_5], date=DATE)
        response.send(b"he", more=True)
        with pytest.raises(LocalProtocolError, match="less content than"):
            response.end()
        assert connection.our_state is ERROR

    def test_remaining(self) -> None:
        response = responder()
        assert response.remaining is None
        response.start(200, [], date=DATE)
        assert response.remaining is None
        response.start(200, [LENGTH_5], date=DATE)
        assert response.remaining == 5
        response.send(b"hello", more=True)
        assert response.remaining == 0
        assert b"".join(response.end()) == b""


class TestOrder:
    """What may follow what."""

    def test_start_again_until_the_head_is_sent(self) -> None:
        response = responder()
        assert not response.started
        response.start(200, [LENGTH_5], date=DATE)
        response.start(500, [(b"X-A", b"1")], date=DATE)
        octets = respond(response, [b"sorry!"])
        assert octets.startswith(b"HTTP/1.1 500 Internal Server Error\r\nX-A: 1\r\n")
        assert octets.endswith(b"sorry!")
        with pytest.raises(LocalProtocolError, match="already been sent"):
            response.start(200, [], date=DATE)

    def test_send_before_start(self) -> None:
        with pytest.raises(LocalProtocolError, match="the response is pending"):
            responder().send(b"", more=True)

    def test_send_after_the_end(self) -> None:
        response = responder()
        response.start(200, [], date=DATE)
        respond(response, [b""])
        for late in (
            lambda: response.send(b"x", more=True),
            response.end,
            lambda: response.passthrough(1),
        ):
            with pytest.raises(LocalProtocolError, match="the response is ended"):
                late()

    def test_state_is_shown(self) -> None:
        response = responder()
        assert repr(response) == "<Responder pending status=0 body_bytes=0>"
        response.start(200, [], date=DATE)
        response.send(b"abc", more=True)
        assert repr(response) == "<Responder head sent status=200 body_bytes=3>"


class TestPersistence:
    """Whether the connection goes on, and that the head tells the truth about it."""

    @pytest.mark.parametrize(
        ("version", "asked", "fields", "close", "persists"),
        [
            ("1.1", "", [], False, True),
            ("1.1", "Connection: close\r\n", [], False, False),
            ("1.1", "", [(b"Connection", b"close")], False, False),
            ("1.1", "", [(b"connection", b"keep-alive, Close")], False, False),
            ("1.1", "", [], True, False),
            ("1.0", "", [], False, False),
            ("1.0", "Connection: keep-alive\r\n", [], False, False),
        ],
    )
    def test_table(
        self, version: str, asked: str, fields: list[Field], close: bool, persists: bool
    ) -> None:
        raw = f"GET / HTTP/{version}\r\nHost: a\r\n{asked}\r\n".encode()
        connection, get = request(raw)
        response = Responder(connection, get)
        response.start(200, fields, date=DATE, close=close)
        octets = respond(response, [b"x"])
        assert octets.count(b"Connection: close\r\n") == (not persists)
        assert connection.our_state is (DONE if persists else MUST_CLOSE)
        assert connection.their_state is (DONE if persists else MUST_CLOSE)

    def test_a_body_that_is_waited_for(self) -> None:
        connection = Connection(Limits())
        connection.receive_data(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        post = connection.next_event()
        assert isinstance(post, Request)
        assert connection.they_are_waiting_for_100_continue
        response = Responder(connection, post)
        response.start(403, [], date=DATE)
        assert CLOSE in split(respond(response, [b"no"]))[1]
        assert connection.our_state is MUST_CLOSE
        assert not connection.they_are_waiting_for_100_continue

    @pytest.mark.parametrize("come", ["after 100", "unasked", "buffered"])
    def test_a_body_that_was_waited_for(self, come: str) -> None:
        connection = Connection(Limits())
        connection.receive_data(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        post = connection.next_event()
        assert isinstance(post, Request)
        response = Responder(connection, post)
        if come == "after 100":
            assert response.informational(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert not connection.they_are_waiting_for_100_continue
        connection.receive_data(b"abc")
        if come == "unasked":
            connection.next_event()
        assert not connection.they_are_waiting_for_100_continue
        response.start(200, [], date=DATE)
        assert CLOSE not in split(respond(response, [b"ok"]))[1]
        assert connection.our_state is DONE

    def test_a_peer_that_will_send_nothing_more(self) -> None:
        connection, get = request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.receive_data(b"")
        assert isinstance(connection.next_event(), ConnectionClosed)
        assert connection.their_state is CLOSED
        response = Responder(connection, get)
        response.start(200, [], date=DATE)
        assert CLOSE in split(respond(response, [b"ok"]))[1]
        assert connection.our_state is MUST_CLOSE


class TestTrailers:
    """Trailer sections of responses."""

    def test_sent(self) -> None:
        response = responder()
        response.start(200, [(b"Trailer", b"X-Sum")], date=DATE, trailers=True)
        out = response.send(b"hello", more=True) + response.end(
            [(b"X-Sum", b"1"), (b"X-B", b" 2 ")]
        )
        assert split(b"".join(out)) == (
            b"HTTP/1.1 200 OK",
            [b"Trailer: X-Sum", CHUNKED],
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n",
        )

    def test_the_coding_wins_over_a_declared_length(self) -> None:
        response = responder()
        response.start(200, [LENGTH_5], date=DATE, trailers=True)
        out = response.send(b"hello", more=True) + response.end([(b"X-Sum", b"1")])
        assert split(b"".join(out))[1:] == ([CHUNKED], b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")

    @pytest.mark.parametrize(
        ("method", "version", "fields"),
        [("GET", "1.0", []), ("HEAD", "1.1", []), ("GET", "1.1", [LENGTH_5])],
    )
    def test_left_out(self, method: str, version: str, fields: list[Field]) -> None:
        response = responder(method, version)
        response.start(200, fields, date=DATE, trailers=not fields)
        octets = b"".join(response.send(b"hello", more=True) + response.end([(b"X-Sum", b"1")]))
        assert b"X-Sum" not in octets
        assert octets.endswith(b"hello" if method == "GET" else b"\r\n\r\n")

    @pytest.mark.parametrize(
        "field",
        [
            (b"X-A", b"a\r\nb"),
            (b"X A", b"a"),
            (b"Content-Length", b"5"),
            (b"transfer-encoding", b"chunked"),
            (b"Host", b"a"),
            (b"Trailer", b"X-A"),
        ],
        ids=repr,
    )
    def test_refused(self, field: Field) -> None:
        response = responder()
        response.start(200, [], date=DATE, trailers=True)
        response.send(b"hello", more=True)
        with pytest.raises(LocalProtocolError):
            response.end([field])
        assert b"".join(response.end()) == b"0\r\n\r\n"


class TestPassthrough:
    """The head of a response whose body the caller writes."""

    @pytest.mark.parametrize(
        ("method", "fields", "framing", "counted"),
        [
            ("GET", [], [b"Content-Length: 5"], 5),
            ("GET", [LENGTH_5], [b"Content-Length: 5"], 5),
            ("HEAD", [], [b"Content-Length: 5"], 0),
        ],
    )
    @pytest.mark.parametrize("trailers", [False, True])
    def test_head(
        self, method: str, fields: list[Field], framing: list[bytes], counted: int, trailers: bool
    ) -> None:
        response = responder(method)
        response.start(200, fields, date=DATE, trailers=trailers)
        octets = b"".join(response.passthrough(5))
        assert split(octets)[1:] == (framing, b"")
        assert response.ended
        assert response.body_bytes == counted

    @pytest.mark.parametrize("count", [4, 6])
    def test_another_length_than_declared(self, count: int) -> None:
        response = responder()
        response.start(200, [LENGTH_5], date=DATE)
        with pytest.raises(LocalProtocolError, match="content than"):
            response.passthrough(count)
        assert not response.head_sent

    def test_too_late(self) -> None:
        response = responder()
        response.start(200, [], date=DATE)
        response.send(b"", more=True)
        with pytest.raises(LocalProtocolError, match="already been sent"):
            response.passthrough(5)

    def test_before_start(self) -> None:
        with pytest.raises(LocalProtocolError, match="pending"):
            responder().passthrough(5)


class TestInformational:
    """Interim responses."""

    def test_early_hints(self) -> None:
        response = responder()
        hints = response.informational(103, [(b"Link", b"</a.css>; rel=preload")])
        assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        assert not response.started
        response.start(200, [], date=DATE)
        assert response.informational(102) == b"HTTP/1.1 102 Processing\r\n\r\n"
        assert respond(response, [b"x"]).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_never_to_http10(self) -> None:
        assert responder(version="1.0").informational(103, [(b"Link", b"x")]) == b""

    @pytest.mark.parametrize("status", [99, 101, 200])
    def test_other_statuses(self, status: int) -> None:
        with pytest.raises(LocalProtocolError, match="interim"):
            responder().informational(status)

    def test_fields_are_judged(self) -> None:
        with pytest.raises(LocalProtocolError, match="'Link' has a control character"):
            responder().informational(103, [(b"Link", b"a\r\n\r\nHTTP/1.1 200 OK")])

    def test_not_after_the_head(self) -> None:
        response = responder()
        response.start(200, [], date=DATE)
        response.send(b"", more=True)
        with pytest.raises(LocalProtocolError, match="already been sent"):
            response.informational(103)
