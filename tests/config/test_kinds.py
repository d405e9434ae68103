"""Values as Python and TOML files hold them: what each kind takes, and how it shows what it took."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenuni.config import SETTINGS, Config
from greenuni.errors import ConfigError
from greenuni.http import TrustedProxies


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("workers", " 4 ", 4),
        ("workers", "auto", "auto"),
        ("max_requests", "+5", 5),
        ("timeout", 3, 3.0),
        ("timeout", " 2.5 ", 2.5),
        ("max_worker_rss", 1000, 1000),
        ("max_worker_rss", "1000", 1000),
        ("max_worker_rss", "1k", 1024),
        ("max_worker_rss", " 1.5 GiB ", 1610612736),
        ("max_worker_rss", "2MB", 2097152),
        ("reload", "yes", True),
        ("reload", "Off", False),
        ("reload", 0, False),
        ("umask", "0o27", 0o27),
        ("umask", "027", 0o27),
        ("umask", "18", 18),
        ("umask", 18, 18),
        ("bind", ["a:1, b:2", "c:3"], ("a:1", "b:2", "c:3")),
        ("bind", ("a:1",), ("a:1",)),
        ("mounts", [], ()),
        ("mounts", "/api = a:b", ("/api=a:b",)),
        ("mounts", ["/api/=a:b", "X.example/=c:d"], ("/api=a:b", "x.example/=c:d")),
        ("mounts", {"/api": "a:b", "/": "c:d('x=1')"}, ("/api=a:b", "/=c:d('x=1')")),
        ("raw_env", [], ()),
        ("raw_env", {"A": 1}, ("A=1",)),
        ("raw_env", "A=", ("A=",)),
        ("forwarded_allow_ips", ["::1", "10.0.0.0/8"], "::1,10.0.0.0/8"),
        ("forwarded_allow_ips", "", ""),
        ("root_path", "/", ""),
        ("user", 1000, "1000"),
        ("accesslog", None, None),
        ("host", "[::1]", "::1"),
        ("loglevel", "warn", "warning"),
        ("loglevel", "WARN", "warning"),
        ("interface", "asgi3", "asgi"),
        ("worker_class", "uvicorn_worker.UvicornWorker", "asgi"),
        ("logconfig_dict", {"version": 1}, {"version": 1}),
    ],
)
def test_taken(name: str, raw: object, value: Any) -> None:
    assert SETTINGS[name].parse(raw) == value


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        (
            "mounts",
            "main:app",
            "'main:app' has no application: write it as /prefix=module:attribute",
        ),
        ("mounts", "api=a:b", "'api' is not a mount"),
        ("mounts", {"/api": 3}, "3 is not a target: write module:attribute"),
        ("mounts", [3], "3 in the list is not text"),
        (
            "mounts",
            ["/a=a:b", "/a/=c:d"],
            "two applications are mounted at /a: a:b and c:d; give each",
        ),
        ("proc_name", 3, "3 is not text"),
        ("proc_name", "", "is empty"),
        ("max_worker_rss", "1 X", "'1 X' is not a size"),
        ("max_worker_rss", -1, "-1 is not a size"),
        ("max_worker_rss", True, "True is not a size"),
        ("max_worker_rss", "", "'' is not a size: write bytes, or 512M, or 1.5G"),
        ("workers", True, "True is not a whole number"),
        ("workers", 1.0, "1.0 is not a whole number"),
        ("workers", "٣", "is not a whole number"),
        ("workers", None, "None is not a whole number"),
        ("timeout", False, "False is not a number of seconds"),
        ("timeout", [3], "a list is not a number of seconds"),
        ("timeout", math.inf, "inf is not a number of seconds from 0 on"),
        ("reload", "maybe", "'maybe' is neither true nor false"),
        ("umask", "0o8", "is not a whole number"),
        ("umask", 0o1000, "512 is more than 511"),
        ("interface", 3, "3 is none of auto, wsgi, asgi, asgi2"),
        ("interface", "asg", "did you mean 'asgi'"),
        ("bind", 8000, "8000 is not a list of text"),
        ("bind", ["a:1", 2], "2 in the list is not text"),
        ("bind", "a:1,,b:2", "an address is empty"),
        ("raw_env", ["A=1", "B"], "'B' is not NAME=value"),
        ("raw_env", ["=1"], "'=1' is not NAME=value"),
        ("raw_env", ["A=\0"], "is not NAME=value"),
        ("forwarded_allow_ips", "10.0.0.0/33", "neither an address, a network"),
        ("forwarded_allow_ips", "::1/x", "neither an address, a network"),
        ("forwarded_allow_ips", "localhost", "neither an address, a network"),
        ("root_path", "api", "does not start with a slash: write '/api'"),
        ("user", True, "True is not a user name or number"),
        ("group", "", "'' is not a group name or number"),
        ("host", "", "is not a host alone"),
        ("host", "/run/x", "is not a host alone"),
        ("logconfig_dict", [], "an empty list is not a table"),
    ],
)
def test_refused(name: str, raw: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SETTINGS[name].parse(raw)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("timeout", 2.5, "2.5 s"),
        ("timeout", 30.0, "30 s"),
        ("limit_request_line", 4094, "4094 bytes"),
        ("umask", 0o27, "0o27"),
        ("umask", 0, "0"),
        ("reload", True, "true"),
        ("bind", ("a:1", "b:2"), "a:1, b:2"),
        ("raw_env", (), "none"),
        ("root_path", "", "''"),
        ("chdir", None, "none"),
        ("logconfig_dict", {}, "none"),
        ("logconfig_dict", {"version": 1}, "a table of version"),
    ],
)
def test_shown(name: str, value: object, shown: str) -> None:
    assert SETTINGS[name].display(value) == shown


def test_kinds_show_themselves() -> None:
    assert repr(SETTINGS["timeout"].kind) == "<Seconds>"


@pytest.mark.parametrize(
    "text",
    ["", "*", "unix", "127.0.0.1,::1", "10.0.0.1/8, fe80::/10", "0.0.0.0/0", "::ffff:1.2.3.4"],
)
def test_proxies_that_are_taken_are_understood_by_the_wire(text: str) -> None:
    TrustedProxies(SETTINGS["forwarded_allow_ips"].parse(text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def bind(): pass", "bind in greenuni.conf.py: a function is not a list of text"),
        ("bind = ['a:1', print]", "a builtin_function_or_method in the list is not text"),
        ("bind = ['a:1', 3]", "3 in the list is not text"),
        ("worker_class = object", "a class is none of auto, sync, gthread, asgi"),
        ("workers = object()", "an object is not a whole number"),
        ("forwarded_allow_ips = [len]", "a builtin_function_or_method is not text"),
        ("def timeout(): pass", "a function is not a number of seconds"),
    ],
)
def test_objects_are_named_by_their_type(
    text: str, sentence: str, read: Callable[..., Config], tmp_path: Path
) -> None:
    (tmp_path / "greenuni.conf.py").write_text(text)
    with pytest.raises(ConfigError) as refused:
        read()
    assert sentence in str(refused.value)
    assert " at 0x" not in str(refused.value)
