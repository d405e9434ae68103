"""``Connection.take``: whole requests in one step, and everything else as without it."""

from __future__ import annotations

import pytest

from greenuni.errors import RemoteProtocolError
from greenuni.http import (
    DONE,
    IDLE,
    MUST_CLOSE,
    NEED_DATA,
    SEND_RESPONSE,
    Connection,
    Data,
    EndOfMessage,
    Limits,
    Request,
    Responder,
    choose_engine,
)
from tests.http.conversation import DATE

GET = b"GET /get?a=b HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\n\r\n"
POST = b"POST /post HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello"


def connected(engine: str) -> Connection:
    return Connection(Limits(), choose_engine(engine))


def answer(connection: Connection, request: Request) -> None:
    responder = Responder(connection, request)
    responder.start(200, [], date=DATE)
    responder.send(b"ok", more=False)


@pytest.mark.parametrize(("data", "body"), [(GET, b""), (POST, b"hello")])
def test_a_whole_request(data: bytes, body: bytes, engine: str) -> None:
    connection = connected(engine)
    request = connection.take(data)
    assert request is not None
    assert request.body == body
    assert (connection.our_state, connection.their_state) == (SEND_RESPONSE, DONE)
    assert not connection.has_more
    assert connection.next_event() is NEED_DATA
    answer(connection, request)
    connection.start_next_cycle()
    assert connection.take(data) is not None


def test_the_last_request_of_a_connection(engine: str) -> None:
    connection = connected(engine)
    request = connection.take(GET.replace(b"X-A: 1", b"Connection: close"))
    assert request is not None
    assert connection.their_state is MUST_CLOSE
    answer(connection, request)
    assert connection.our_state is MUST_CLOSE


def test_what_stands_behind_it_waits(engine: str) -> None:
    connection = connected(engine)
    request = connection.take(POST + GET + POST[:10])
    assert request is not None
    assert request.body == b"hello"
    assert connection.has_more
    assert connection.trailing_data == (GET + POST[:10], False)
    answer(connection, request)
    connection.start_next_cycle()
    # There is something in the buffer, so what comes is not looked at alone.
    assert connection.take(POST[10:]) is None
    second = connection.next_event()
    assert isinstance(second, Request)
    assert second.target == b"/get?a=b"
    assert second.body is None


@pytest.mark.parametrize("data", [GET, POST])
def test_a_request_in_two_pieces(data: bytes, engine: str) -> None:
    for cut in range(1, len(data)):
        connection = connected(engine)
        assert connection.take(data[:cut]) is None
        event = connection.next_event()
        assert connection.take(data[cut:]) is None
        if event is NEED_DATA:
            event = connection.next_event()
        assert isinstance(event, Request)
        content = b""
        while isinstance(event := connection.next_event(), Data):
            content += event.data
        assert event == EndOfMessage([])
        assert content == data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    ],
)
def test_it_raises_nothing(data: bytes, engine: str) -> None:
    connection = connected(engine)
    assert connection.take(data) is None
    with pytest.raises(RemoteProtocolError):
        connection.next_event()
    assert connection.take(GET) is None
    with pytest.raises(RemoteProtocolError):
        connection.next_event()


def test_the_end_of_the_peer(engine: str) -> None:
    connection = connected(engine)
    assert connection.take(b"") is None
    assert connection.their_state is IDLE
    assert connection.trailing_data == (b"", True)
    with pytest.raises(RuntimeError, match="after EOF"):
        connection.take(GET)


NAMES = {
    b"host": "HTTP_HOST",
    b"x-a": "HTTP_X_A",
    b"cookie": "HTTP_COOKIE",
    b"x_a": "",
    b"content-type": "CONTENT_TYPE",
}


def test_variables(engine: str) -> None:
    request = connected(engine).take(
        b"GET / HTTP/1.1\r\nHost: a.example\r\nCookie: a=1\r\nX-A: caf\xe9\r\nx_a: 7\r\nX-a: 2\r\n"
        b"cookie: b=2\r\nContent-Type: \r\nX-A:3\r\n\r\n"
    )
    assert request is not None
    environ = {"wsgi.input": None}
    request.add_variables(environ, NAMES)
    assert environ == {
        "wsgi.input": None,
        "HTTP_HOST": "a.example",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_A": "caf\xe9,2,3",
        "CONTENT_TYPE": "",
    }
