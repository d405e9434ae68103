"""The environ of a request, without a socket."""

from __future__ import annotations

import io
import logging
import time
from typing import Any
from wsgiref.validate import check_environ

import pytest

from greenuni.config import Config
from greenuni.http import Connection, Limits, Request
from greenuni.observe.errorstream import ErrorStream
from greenuni.variables import CACHE_LIMIT
from greenuni.wsgi.environ import EnvironFactory, Peer

PEER = Peer("192.0.2.1", "1234", is_trusted=False)


def parsed(data: bytes, limits: Limits | None = None) -> Request:
    wire = Connection(limits or Limits())
    wire.receive_data(data)
    event = wire.next_event()
    assert isinstance(event, Request)
    return event


def factory(sockname: Any = ("127.0.0.1", 8000), **settings: Any) -> EnvironFactory:

    return EnvironFactory(Config(**settings), sockname, ErrorStream(logging.getLogger("test")))


def environ_of(
    head: str, peer: Peer = PEER, sockname: Any = ("127.0.0.1", 8000), **settings: Any
) -> dict[str, Any]:
    """``head`` without its end and without Host."""
    data = f"{head}\r\nHost: example.org:81\r\n\r\n".encode("latin-1")
    return factory(sockname, **settings).make(parsed(data), peer, io.BytesIO(), 0)


def test_a_plain_request() -> None:
    environ = environ_of("GET /a%20b/%e9?q=%20 HTTP/1.1\r\nAccept: */*")
    errors = environ.pop("wsgi.errors")
    assert errors.writable()
    del environ["wsgi.file_wrapper"]
    body = environ.pop("wsgi.input")
    assert body.read() == b""
    assert environ.pop("SERVER_SOFTWARE").startswith("greenuni/")
    assert environ == {
        "REQUEST_METHOD": "GET",
        "greenuni.request": None,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xe9",
        "QUERY_STRING": "q=%20",
        "RAW_URI": "/a%20b/%e9?q=%20",
        "REQUEST_URI": "/a%20b/%e9?q=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "1234",
        "HTTP_HOST": "example.org:81",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1",
        "POST /a?b HTTP/1.0\r\nContent-Length: 0\r\nContent-Type: text/plain",
        "OPTIONS * HTTP/1.1",
        "GET http://other.example/x?y HTTP/1.1",
    ],
)
@pytest.mark.parametrize("root_path", ["", "/api"])
def test_the_validator_has_nothing_to_say(head: str, root_path: str) -> None:
    check_environ(environ_of(head, root_path=root_path))


def test_environs_do_not_share_anything_that_changes() -> None:
    make = factory().make
    request = parsed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    first = make(request, PEER, io.BytesIO(), 0)
    first["wsgi.url_scheme"] = "changed"
    first["extra"] = 1
    second = make(request, PEER, io.BytesIO(), 0)
    assert second["wsgi.url_scheme"] == "http"
    assert "extra" not in second


def test_content_fields_have_no_prefix() -> None:
    environ = environ_of("POST / HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 3")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("a/b", "3")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & environ.keys()


def test_no_content_fields_without_content() -> None:
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH"} & environ_of("GET / HTTP/1.1").keys()


def test_a_field_name_with_an_underscore_is_dropped() -> None:
    environ = environ_of("GET / HTTP/1.1\r\nX-Auth-User: proxy\r\nX-Auth_User: evil\r\nX_A: 1")
    assert environ["HTTP_X_AUTH_USER"] == "proxy"
    assert "HTTP_X_A" not in environ


@pytest.mark.parametrize("name", ["Content_Length", "CONTENT_TYPE", "content_type"])
def test_content_fields_cannot_be_forged_with_an_underscore(name: str) -> None:
    assert (
        not {"CONTENT_TYPE", "CONTENT_LENGTH"} & environ_of(f"GET / HTTP/1.1\r\n{name}: 7").keys()
    )


def test_the_proxy_field_is_dropped() -> None:
    assert "HTTP_PROXY" not in environ_of("GET / HTTP/1.1\r\nProxy: evil:80")


def test_repeated_fields_are_joined_in_order() -> None:
    environ = environ_of("GET / HTTP/1.1\r\nA: 1\r\nCookie: x=1\r\na: 2\r\nCookie: y=2\r\nA: 3")
    assert environ["HTTP_A"] == "1,2,3"
    assert environ["HTTP_COOKIE"] == "x=1; y=2"


def test_joining_is_linear() -> None:
    limits = Limits(fields=32768)
    make = factory().make

    def seconds_for(count: int) -> float:
        fields = b"a: %s\r\n" % (b"x" * 20) * count
        request = parsed(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n", limits)
        best = 10.0
        for _ in range(3):
            started = time.process_time()
            make(request, PEER, io.BytesIO(), 0)
            best = min(best, time.process_time() - started)
        return best

    assert seconds_for(24_000) < 8 * 3 * seconds_for(3_000)


def test_values_are_latin_1() -> None:
    assert environ_of("GET / HTTP/1.1\r\nA: caf\xe9")["HTTP_A"] == "caf\xe9"


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/a", "", "/a"),
        ("/", "/a", "", "/a"),
        ("/api", "/api/users", "/api", "/users"),
        ("/api/", "/api/users", "/api", "/users"),
        ("/api", "/api", "/api", ""),
        ("/api", "/api/", "/api", "/"),
        ("/api", "/apis", "/api", "/apis"),
        ("/api", "/users", "/api", "/users"),  # a proxy has removed the prefix
        ("/a/b", "/a/b/c", "/a/b", "/c"),
        ("/caf\xe9", "/caf%c3%a9/x", "/caf\xc3\xa9", "/x"),
    ],
)
def test_the_root_path(root_path: str, path: str, script_name: str, path_info: str) -> None:
    environ = environ_of(f"GET {path} HTTP/1.1", root_path=root_path)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_a_target_in_absolute_form() -> None:
    environ = environ_of("GET http://other.example/x?y HTTP/1.1")
    assert environ["HTTP_HOST"] == "other.example"
    assert environ["PATH_INFO"] == "/x"
    assert environ["RAW_URI"] == "http://other.example/x?y"


def test_the_server_as_a_whole_has_no_path() -> None:
    environ = environ_of("OPTIONS * HTTP/1.1")
    assert (environ["PATH_INFO"], environ["RAW_URI"]) == ("", "*")


def test_workers_and_threads_show() -> None:
    environ = environ_of("GET / HTTP/1.1", workers=2, threads=4)
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is True


@pytest.mark.parametrize(
    ("sockname", "address"),
    [(("::1", 80, 0, 0), ("::1", "80")), ("/run/app.sock", ("localhost", "80"))],
)
def test_server_addresses(sockname: Any, address: tuple[str, str]) -> None:
    environ = environ_of("GET / HTTP/1.1", sockname=sockname)
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == address


def test_peers() -> None:
    environs = factory(forwarded_allow_ips="10.0.0.0/8")
    for _ in range(2):  # the second time from memory
        assert values(environs.peer(("10.1.1.1", 5))) == ("10.1.1.1", "5", True)
        assert values(environs.peer(("::1", 5, 0, 0))) == ("::1", "5", False)
        assert values(environs.peer("")) == (None, "", False)
        assert repr(environs.peer("")) == "<Peer unix>"


def values(peer: Peer) -> tuple[str | None, str, bool]:
    return peer.address, peer.port, peer.is_trusted


def test_forwarding_fields_of_a_trusted_peer() -> None:
    trusted = Peer("192.0.2.1", "1234", is_trusted=True)
    head = "GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https"
    environ = environ_of(head, trusted)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("203.0.113.9", "https")
    assert "REMOTE_PORT" not in environ
    environ = environ_of("GET / HTTP/1.1", trusted)
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.1", "1234")
    environ = environ_of(head, PEER)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("192.0.2.1", "http")


def test_field_names_that_clients_choose_do_not_fill_the_memory() -> None:
    environs = factory()
    for number in range(0, 2 * CACHE_LIMIT, 50):
        fields = "".join(f"x-{number + index}: a\r\n" for index in range(50))
        request = parsed(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
        assert f"HTTP_X_{number}" in environs.make(request, PEER, io.BytesIO(), 0)
    assert len(environs._names) == CACHE_LIMIT
