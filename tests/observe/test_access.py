"""The access log: atoms, escaping, JSON."""

from __future__ import annotations

import json
import logging
import os
import re

import pytest

from greenuni.errors import ConfigError
from greenuni.observe.access import AccessLog, Exchange, compile_format, escape

EXCHANGE = Exchange(
    client="192.0.2.7",
    method=b"GET",
    target=b"/a/b?x=1",
    http_version=b"1.1",
    headers=[
        (b"host", b"example.org"),
        (b"referer", b"http://example.org/"),
        (b"user-agent", b'curl "8"'),
        (b"authorization", b"Basic YWxpY2U6c2VjcmV0"),
    ],
    status=200,
    response_headers=[(b"Content-Type", b"text/plain")],
    body_bytes=5,
    seconds=1.234567,
    environ={"wsgi.url_scheme": "http"},
)

ATOM_CASES = {
    "%(h)s": "192.0.2.7",
    "%(l)s": "-",
    "%(u)s": "alice",
    "%(r)s": "GET /a/b?x=1 HTTP/1.1",
    "%(m)s": "GET",
    "%(U)s": "/a/b",
    "%(q)s": "x=1",
    "%(H)s": "HTTP/1.1",
    "%(s)s": "200",
    "%(B)s": "5",
    "%(b)s": "5",
    "%(f)s": "http://example.org/",
    "%(a)s": r"curl \"8\"",
    "%(T)s": "1",
    "%(M)s": "1234",
    "%(D)d": "1234567",
    "%(L)s": "1.234567",
    "%(p)s": f"<{os.getpid()}>",
    "%({Host}i)s": "example.org",
    "%({missing}i)s": "-",
    "%({content-type}o)s": "text/plain",
    "%({wsgi.url_scheme}e)s": "http",
    "%({missing}e)s": "-",
    "100%%": "100%",
    "[%(s)s] %(b)s.": "[200] 5.",
}


@pytest.mark.parametrize("template", ATOM_CASES)
def test_atom(template: str) -> None:
    assert compile_format(template)(EXCHANGE) == ATOM_CASES[template]


def test_time_is_in_common_log_format() -> None:
    rendered = compile_format("%(t)s")(EXCHANGE)
    assert re.fullmatch(r"\[\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}\]", rendered)


def test_empty_body_is_a_dash_and_a_zero() -> None:
    empty = EXCHANGE._replace(body_bytes=0, client="", headers=[], environ=None)
    assert compile_format("%(b)s %(B)s %(h)s %(u)s %({x}e)s")(empty) == "- 0 - - -"


@pytest.mark.parametrize("value", [b"Basic ???", b"Basic", b"Bearer abc", b"Basic Og=="])
def test_unusable_credentials_are_a_dash(value: bytes) -> None:
    exchange = EXCHANGE._replace(headers=[(b"authorization", value)])
    assert compile_format("%(u)s")(exchange) == "-"


@pytest.mark.parametrize("template", ["%(x)s", "%(s)", "%d", "%({name}z)s", "50% off"])
def test_unknown_directive_is_named(template: str) -> None:
    with pytest.raises(ConfigError, match="is not a directive"):
        compile_format(template)


def test_a_client_cannot_forge_a_line() -> None:
    hostile = b'/\r\n1.2.3.4 - - "GET /admin"\x1b[31m\\\xff'
    assert escape(hostile) == r"/\x0d\x0a1.2.3.4 - - \"GET /admin\"\x1b[31m\\\xff"


def test_json_is_one_parseable_line(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.access")
    with caplog.at_level(logging.INFO, "test.access"):
        AccessLog("json", logger).write(EXCHANGE._replace(target=b"/\n"))
    (record,) = caplog.records
    line = record.getMessage()
    assert "\n" not in line
    assert json.loads(line) == json.loads(line) | {
        "client": "192.0.2.7",
        "user": "alice",
        "method": "GET",
        "target": r"/\x0a",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 5,
        "seconds": 1.234567,
        "referer": "http://example.org/",
        "user_agent": r"curl \"8\"",
        "pid": os.getpid(),
    }
