"""WSGI, ASGI 3 and ASGI 2 told apart, in every shape that an application comes in."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from greenuni.interfaces import describe, detect
from greenuni.shell import Interface

WSGI, ASGI3, ASGI2 = Interface.WSGI, Interface.ASGI3, Interface.ASGI2


def wsgi_function(environ: Any, start_response: Any) -> list[bytes]:
    return []


def wsgi_with_default(environ: Any, start_response: Any, debug: bool = False) -> list[bytes]:
    return []


def wsgi_with_odd_names(a: Any, b: Any, /) -> list[bytes]:
    return []


async def asgi_function(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_with_odd_names(a: Any, b: Any, c: Any) -> None: ...


async def asgi_with_defaults(scope: Any, receive: Any = None, send: Any = None) -> None: ...


async def asgi_variadic(*args: Any) -> None: ...


def asgi_without_async(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    return asgi_function(scope, receive, send)


def asgi2_function(scope: Any) -> Callable[..., Awaitable[None]]:
    async def instance(receive: Any, send: Any) -> None: ...

    return instance


def asgi2_with_odd_name(s: Any) -> Callable[..., Awaitable[None]]:
    async def instance(r: Any, s: Any) -> None: ...

    return instance


class WSGIObject:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    def method(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    async def asgi_method(self, scope: Any, receive: Any, send: Any) -> None: ...

    @classmethod
    def class_method(cls, environ: Any, start_response: Any) -> list[bytes]:
        return []

    @staticmethod
    def static_method(environ: Any, start_response: Any) -> list[bytes]:
        return []


class WSGIClass:
    """PEP 3333: a class whose instances are the iterable."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        yield b""


class ASGIObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class ASGIAwaitableClass:
    """As Starlette's endpoints: constructed with all three, then awaited."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Any:
        yield


class ASGI2Class:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class ASGI2Object:
    def __call__(self, scope: Any) -> Callable[..., Awaitable[None]]:
        return asgi2_function(scope)


class CallSetOnInstance:
    """As Sentry's ASGI middleware: the instance chooses its ``__call__``."""

    __slots__ = ("__call__",)

    def __init__(self) -> None:
        self.__call__ = self._run

    async def _run(self, scope: Any, receive: Any, send: Any) -> None: ...


class WSGIMiddleware:
    """Wraps without functools: what is called counts, not what is wrapped."""

    def __init__(self, app: Any) -> None:
        self.__wrapped__ = app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return []


def variadic_decorator(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def as_wsgi(asgi: Any) -> Any:
    """Adapts an interface, and wears the name of what it adapts."""

    @functools.wraps(asgi)
    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        return []

    return wsgi


def with_setting(setting: str, environ: Any, start_response: Any) -> list[bytes]:
    return []


async def asgi_with_setting(setting: str, scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_with_last_setting(scope: Any, receive: Any, send: Any, setting: str) -> None: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (wsgi_function, WSGI),
        (wsgi_with_default, WSGI),
        (wsgi_with_odd_names, WSGI),
        (lambda environ, start_response: [], WSGI),
        (WSGIObject(), WSGI),
        (WSGIObject().method, WSGI),
        (WSGIObject.class_method, WSGI),
        (WSGIObject.static_method, WSGI),
        (WSGIClass, WSGI),
        (WSGIMiddleware(asgi_function), WSGI),
        (as_wsgi(asgi_function), WSGI),
        (variadic_decorator(wsgi_function), WSGI),
        (functools.partial(with_setting, "x"), WSGI),
        (functools.partial(wsgi_with_default, debug=True), WSGI),
        (asgi_function, ASGI3),
        (asgi_with_odd_names, ASGI3),
        (asgi_with_defaults, ASGI3),
        (asgi_variadic, ASGI3),
        (asgi_without_async, ASGI3),
        (ASGIObject(), ASGI3),
        (WSGIObject().asgi_method, ASGI3),
        (ASGIAwaitableClass, ASGI3),
        (CallSetOnInstance(), ASGI3),
        (variadic_decorator(asgi_function), ASGI3),
        (functools.partial(asgi_with_setting, "x"), ASGI3),
        (functools.partial(asgi_with_last_setting, setting="x"), ASGI3),
        (functools.partial(functools.partial(asgi_with_setting), "x"), ASGI3),
        (asgi2_function, ASGI2),
        (asgi2_with_odd_name, ASGI2),
        (ASGI2Class, ASGI2),
        (ASGI2Object(), ASGI2),
    ],
)
def test_found(app: Any, interface: Interface) -> None:
    assert detect(app) is interface


def no_arguments() -> None: ...


def one_argument(config: Any) -> None: ...


def factory_with_inner_routes(config: Any) -> None:
    async def index(request: Any) -> None: ...


def four_arguments(a: Any, b: Any, c: Any, d: Any) -> None: ...


def anything(*args: Any, **kwargs: Any) -> None: ...


async def async_with_two(receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize(
    "app",
    [
        no_arguments,
        one_argument,
        factory_with_inner_routes,
        four_arguments,
        anything,
        async_with_two,
        WSGIObject,
        ASGIObject,
        object,
        dict,
        print,
    ],
)
def test_not_guessed(app: Any) -> None:
    assert detect(app) is None


def test_frameworks_in_their_own_process() -> None:
    """Django wants its settings once a process, and pytest's should not be loaded with them all."""
    script = """
import json
import django
from django.conf import settings
settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"])
django.setup()
from asgiref.sync import markcoroutinefunction
from asgiref.wsgi import WsgiToAsgi
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from greenuni.interfaces import describe, detect

def marked(*args): ...
apps = [Flask("a"), ProxyFix(Flask("a")), get_wsgi_application(), get_asgi_application(), FastAPI(),
        Starlette(), GZipMiddleware(Starlette()), WsgiToAsgi(Flask("a")), HTTPEndpoint,
        markcoroutinefunction(marked)]
print(json.dumps([[str(detect(app).value), describe(app)] for app in apps]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [
        ["wsgi", "Flask instance"],
        ["wsgi", "werkzeug.middleware.proxy_fix.ProxyFix instance"],
        ["wsgi", "django.core.handlers.wsgi.WSGIHandler instance"],
        ["asgi", "django.core.handlers.asgi.ASGIHandler instance"],
        ["asgi", "FastAPI instance"],
        ["asgi", "starlette.applications.Starlette instance"],
        ["asgi", "starlette.middleware.gzip.GZipMiddleware instance"],
        ["asgi", "asgiref.wsgi.WsgiToAsgi instance"],
        ["asgi", "class starlette.endpoints.HTTPEndpoint"],
        ["asgi", "async function"],
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (wsgi_function, "function"),
        (asgi_function, "async function"),
        (WSGIObject().method, "method"),
        (WSGIObject().asgi_method, "async method"),
        (functools.partial(asgi_function), "partial of an async function"),
        (WSGIObject(), f"{__name__}.WSGIObject instance"),
        (WSGIClass, f"class {__name__}.WSGIClass"),
        (sys, "module"),
        ({}, "dict instance"),
    ],
)
def test_described(found: Any, words: str) -> None:
    assert describe(found) == words
