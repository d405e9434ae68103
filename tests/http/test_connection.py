"""The connection: order of events, states of both sides, refusals, 100 Continue."""

from __future__ import annotations

import h11
import pytest

from greenuni.errors import LocalProtocolError, RemoteProtocolError
from greenuni.http import (
    CLOSED,
    DONE,
    ERROR,
    IDLE,
    MUST_CLOSE,
    NEED_DATA,
    PAUSED,
    SEND_BODY,
    SEND_RESPONSE,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    Limits,
    Request,
    Responder,
)
from tests.http.conversation import DATE, TRAILING

pytestmark = pytest.mark.usefixtures("every_engine")

GET = b"GET /get HTTP/1.1\r\nHost: a.example\r\n\r\n"
POST = b"POST /post HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /post HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"


def connected(data: bytes = b"", limits: Limits | None = None) -> Connection:
    connection = Connection(limits or Limits())
    if data:
        connection.receive_data(data)
    return connection


def next_request(connection: Connection) -> Request:
    event = connection.next_event()
    assert isinstance(event, Request)
    return event


def answer(connection: Connection, request: Request) -> bytes:
    responder = Responder(connection, request)
    responder.start(200, [], date=DATE)
    return b"".join(responder.send(b"ok", more=False))


class TestReading:
    """What comes out, and when."""

    def test_nothing_yet(self) -> None:
        connection = connected()
        assert connection.next_event() is NEED_DATA
        assert (connection.our_state, connection.their_state) == (IDLE, IDLE)

    def test_a_cycle(self) -> None:
        connection = connected(POST + b"hel")
        request = next_request(connection)
        assert request.content_length == 5
        assert (connection.our_state, connection.their_state) == (SEND_RESPONSE, SEND_BODY)
        assert connection.next_event() == Data(b"hel")
        assert connection.next_event() is NEED_DATA
        connection.receive_data(b"lo")
        assert connection.next_event() == Data(b"lo")
        assert connection.next_event() == EndOfMessage([])
        assert connection.their_state is DONE
        assert connection.next_event() is NEED_DATA
        answer(connection, request)
        assert (connection.our_state, connection.their_state) == (DONE, DONE)
        connection.start_next_cycle()
        assert (connection.our_state, connection.their_state) == (IDLE, IDLE)

    def test_data_are_bytes(self) -> None:
        for data in (POST + b"hello", CHUNKED + b"5\r\nhello\r\n"):
            connection = connected(data)
            next_request(connection)
            event = connection.next_event()
            assert isinstance(event, Data)
            assert type(event.data) is bytes

    def test_chunks_that_are_there_come_as_one(self) -> None:
        connection = connected(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n4\r\nf")
        request = next_request(connection)
        assert request.content_length is None
        assert request.chunked
        assert connection.next_event() == Data(b"abcdef")
        assert connection.next_event() is NEED_DATA

    def test_the_next_request_waits(self) -> None:
        connection = connected(GET + TRAILING)
        request = next_request(connection)
        assert connection.next_event() == EndOfMessage([])
        assert connection.next_event() is PAUSED
        assert connection.trailing_data == (TRAILING, False)
        answer(connection, request)
        assert connection.next_event() is PAUSED
        connection.start_next_cycle()
        assert next_request(connection).target == b"/trailing"

    def test_nothing_of_a_request_stays_for_the_next(self) -> None:
        head = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        connection = connected(head + b"hello" + GET)
        request = next_request(connection)
        connection.next_event()
        connection.next_event()
        answer(connection, request)
        connection.start_next_cycle()
        second = next_request(connection)
        assert second.content_length == 0
        assert not second.expect_continue
        assert not connection.they_are_waiting_for_100_continue

    def test_a_response_may_end_before_the_request(self) -> None:
        connection = connected(POST + b"he")
        request = next_request(connection)
        answer(connection, request)
        assert (connection.our_state, connection.their_state) == (DONE, SEND_BODY)
        with pytest.raises(LocalProtocolError):
            connection.start_next_cycle()
        connection.receive_data(b"llo" + GET)
        while connection.next_event() != EndOfMessage([]):
            pass
        connection.start_next_cycle()
        assert next_request(connection).target == b"/get"

    def test_request_has_body(self) -> None:
        assert not next_request(connected(GET)).has_body
        assert next_request(connected(POST)).has_body
        assert next_request(connected(CHUNKED)).has_body


class TestEnd:
    """The peer's EOF."""

    @pytest.mark.parametrize("before", [b"", b"\r\n"])
    def test_between_requests(self, before: bytes) -> None:
        connection = connected(before)
        connection.receive_data(b"")
        assert connection.next_event() == ConnectionClosed()
        assert connection.next_event() == ConnectionClosed()
        assert (connection.our_state, connection.their_state) == (MUST_CLOSE, CLOSED)

    @pytest.mark.parametrize("data", [GET[:10], GET[:-2], POST + b"hel", CHUNKED + b"0\r\n"])
    def test_within_a_request(self, data: bytes) -> None:
        connection = connected(data)
        connection.receive_data(b"")
        with pytest.raises(RemoteProtocolError, match="closed the connection within") as caught:
            list(iter(connection.next_event, NEED_DATA))
        assert caught.value.status == 400
        assert connection.their_state is ERROR

    def test_behind_a_request_that_waits(self) -> None:
        connection = connected(GET + TRAILING)
        connection.receive_data(b"")
        request = next_request(connection)
        connection.next_event()
        assert connection.next_event() is PAUSED
        assert connection.trailing_data == (TRAILING, True)
        answer(connection, request)
        connection.start_next_cycle()
        second = next_request(connection)
        assert connection.next_event() == EndOfMessage([])
        assert connection.next_event() == ConnectionClosed()
        assert b"Connection: close\r\n" in answer(connection, second)
        assert connection.our_state is MUST_CLOSE

    def test_after_the_response(self) -> None:
        connection = connected(GET)
        request = next_request(connection)
        connection.next_event()
        answer(connection, request)
        connection.receive_data(b"")
        assert connection.next_event() == ConnectionClosed()
        assert connection.our_state is MUST_CLOSE
        with pytest.raises(LocalProtocolError):
            connection.start_next_cycle()

    def test_no_data_after_it(self) -> None:
        connection = connected()
        connection.receive_data(b"")
        connection.receive_data(b"")
        with pytest.raises(RuntimeError, match="after EOF"):
            connection.receive_data(b"x")


class TestFault:
    """After the peer broke HTTP."""

    def test_every_call_says_so(self) -> None:
        connection = connected(b"nonsense\r\n\r\n" + GET)
        for _ in range(3):
            with pytest.raises(RemoteProtocolError, match="METHOD target") as caught:
                connection.next_event()
            assert caught.value.status == 400
        assert connection.trailing_data == (b"", False)

    def test_nothing_more_is_kept(self) -> None:
        connection = connected(b"\x16\x03")
        with pytest.raises(RemoteProtocolError, match="TLS"):
            connection.next_event()
        connection.receive_data(b"x" * 100)
        assert connection.trailing_data == (b"", False)

    def test_a_response_that_was_begun_can_be_ended(self) -> None:
        connection = connected(CHUNKED)
        request = next_request(connection)
        responder = Responder(connection, request)
        responder.start(200, [], date=DATE)
        responder.send(b"a", more=True)
        connection.receive_data(b"x\r\n")
        with pytest.raises(RemoteProtocolError):
            connection.next_event()
        with pytest.raises(LocalProtocolError):
            connection.refuse(400, "", DATE)
        assert b"".join(responder.end()) == b"0\r\n\r\n"
        assert connection.our_state is MUST_CLOSE

    def test_what_h11_refuses_is_refused_without_quoting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_connection: h11.Connection) -> None:
            raise h11.RemoteProtocolError("what was sent: <script>", 431)

        monkeypatch.setattr(h11.Connection, "next_event", refuse)
        connection = connected(CHUNKED)
        with pytest.raises(RemoteProtocolError, match=r"^The request is malformed\.$") as caught:
            connection.next_event()
        assert caught.value.status == 431


class TestRefuse:
    """Error responses of the server itself."""

    def test_whole(self) -> None:
        connection = connected(GET)
        next_request(connection)
        assert connection.refuse(503, "The server is going down.", DATE) == (
            b"HTTP/1.1 503 Service Unavailable\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 50\r\n"
            b"Retry-After: 1\r\n"
            b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            b"Server: greenuni\r\n"
            b"Connection: close\r\n"
            b"\r\n"
            b"503 Service Unavailable\n"
            b"The server is going down.\n"
        )
        assert (connection.our_state, connection.their_state) == (MUST_CLOSE, MUST_CLOSE)

    def test_without_detail(self) -> None:
        assert connected().refuse(500, "", DATE).endswith(b"\r\n\r\n500 Internal Server Error\n")

    def test_without_a_request(self) -> None:
        connection = connected(b"GET / HT")
        assert connection.next_event() is NEED_DATA
        assert connection.refuse(408, "", DATE).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        connection.receive_data(b"TP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert connection.next_event() is PAUSED

    def test_to_head_without_content(self) -> None:
        connection = connected(GET.replace(b"GET", b"HEAD"))
        next_request(connection)
        assert connection.refuse(500, "x", DATE).endswith(b"Connection: close\r\n\r\n")

    def test_the_end_of_the_peer_after_it(self) -> None:
        connection = connected(POST + b"he")
        next_request(connection)
        connection.refuse(413, "", DATE)
        connection.receive_data(b"")
        assert connection.next_event() is PAUSED

    def test_not_twice(self) -> None:
        connection = connected()
        connection.refuse(408, "", DATE)
        with pytest.raises(LocalProtocolError, match="an error response cannot be sent now"):
            connection.refuse(408, "", DATE)

    def test_not_after_a_head(self) -> None:
        connection = connected(GET)
        answer(connection, next_request(connection))
        with pytest.raises(LocalProtocolError, match="our_state=DONE"):
            connection.refuse(500, "", DATE)


class TestContinue:
    """100 Continue."""

    def test_sent(self) -> None:
        connection = connected(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        next_request(connection)
        assert connection.they_are_waiting_for_100_continue
        assert connection.send_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not connection.they_are_waiting_for_100_continue
        assert connection.our_state is SEND_RESPONSE

    def test_too_late(self) -> None:
        connection = connected(GET)
        answer(connection, next_request(connection))
        with pytest.raises(LocalProtocolError, match="an interim response cannot be sent now"):
            connection.send_continue()

    def test_too_early(self) -> None:
        with pytest.raises(LocalProtocolError, match="an interim response cannot be sent now"):
            connected().send_continue()


class TestLimits:
    """Limits other than the default ones, which the corpus tests."""

    @pytest.mark.parametrize("name", ["request_line", "fields", "field_size", "body"])
    def test_never_negative(self, name: str) -> None:
        with pytest.raises(ValueError, match="negative"):
            Limits(**{name: -1})

    def test_no_limits(self) -> None:
        limits = Limits(request_line=0, fields=0, field_size=0, body=0)
        head = b"POST /%s HTTP/1.1\r\nHost: a\r\n%sX-B: %s\r\nContent-Length: %d\r\n\r\n" % (
            b"a" * 100_000,
            b"X-A: 1\r\n" * 10_000,
            b"b" * 100_000,
            2**63 - 1,
        )
        request = next_request(connected(head, limits))
        assert len(request.headers) == 10_003
        assert request.content_length == 2**63 - 1

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"GET /" + b"a" * 2_000_000, 414),
            (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 2_000_000, 431),
            (b"GET / HTTP/1.1\r\n" + b"X-A: 1\r\n" * 33_000, 431),
            (b"GET / HTTP/1.1\r\n" + (b"X-A: " + b"1" * 1000 + b"\r\n") * 2000, 431),
            (b"GET / HTTP/1.1\r\n" + (b"X-A: " + b"1" * 1000 + b"\r\n") * 2000 + b"\r\n", 431),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 413),
        ],
    )
    def test_no_limits_have_limits(self, data: bytes, status: int) -> None:
        limits = Limits(request_line=0, fields=0, field_size=0, body=0)
        with pytest.raises(RemoteProtocolError) as caught:
            connected(data, limits).next_event()
        assert caught.value.status == status

    def test_tight_ones(self) -> None:
        limits = Limits(request_line=14, fields=1, field_size=7, body=5)
        data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        assert next_request(connected(data, limits)).target == b"/"

    def test_body_met(self) -> None:
        limits = Limits(body=5)
        connection = connected(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", limits)
        next_request(connection)
        assert connection.next_event() == Data(b"hello")
        assert connection.next_event() == EndOfMessage([])
        assert next_request(connected(POST, limits)).content_length == 5


def test_state_is_shown() -> None:
    connection = connected(GET + b"GET")
    request = next_request(connection)
    assert repr(request) == "<Request GET /get HTTP/1.1>"
    expected = "<Connection our_state=SEND_RESPONSE their_state=SEND_BODY buffered=3>"
    assert repr(connection) == expected
    assert repr(NEED_DATA) == "NEED_DATA"
    connection.receive_data(b"")
    assert repr(connection).endswith(" buffered=3 eof>")


class TestUnread:
    """What somebody else would have to read to be where we are."""

    def test_part_of_a_head(self) -> None:
        connection = connected(b"GET / HT")
        assert connection.next_event() is NEED_DATA
        connection.receive_data(b"TP/1.1\r\n")
        assert connection.unread == b"GET / HTTP/1.1\r\n"

    @pytest.mark.parametrize("is_taken", [True, False])
    def test_a_head_and_part_of_its_content(self, is_taken: bool) -> None:
        sent = POST + b"he"
        connection = connected() if is_taken else connected(sent)
        if is_taken:
            assert connection.take(sent) is None
        next_request(connection)
        assert connection.unread == sent
        connection.receive_data(b"l")
        assert connection.unread == sent + b"l"

    def test_the_next_request(self) -> None:
        connection = connected(GET + POST)
        answer(connection, next_request(connection))
        connection.next_event()
        connection.start_next_cycle()
        assert connection.unread == POST
        next_request(connection)
        assert connection.unread == POST

    def test_nothing(self) -> None:
        assert connected().unread == b""
