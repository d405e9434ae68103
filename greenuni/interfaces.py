"""How an application is called, found out from its signature, and what an object is in words.

A module of its own because of inspect, which is a megabyte with all that it imports: `loader` does without
for the plainest of applications.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

from greenuni.errors import AppLoadError, ConfigError
from greenuni.shell import Interface

ARGUMENT_COUNTS = {Interface.WSGI: 2, Interface.ASGI3: 3, Interface.ASGI2: 1}


def detected(app: Callable[..., Any], target: str) -> Interface:
    """The interface that ``app`` shows. Raises `AppLoadError` when it shows none."""
    found = detect(app)
    if found is not None:
        return found
    if _accepts(app, 0) and not _accepts(app, 3):
        raise AppLoadError(
            f"{target!r} is {described(app)} that takes no arguments: if it returns the "
            "application, add --factory"
        )
    raise AppLoadError(
        f"{target!r} is {described(app)} that looks like neither WSGI nor ASGI: "
        "say which with --interface wsgi, asgi or asgi2"
    )


def check_given(given: Interface, app: Callable[..., Any], target: str) -> None:
    """Raise `ConfigError` if ``app`` shows another interface and cannot be called as ``given``.

    Where its signature allows both, as ``*args`` does, the user knows better.
    """
    found = detect(app)
    if found is None or found is given or _could_be(given, app):
        return
    raise ConfigError(
        f"--interface {given.value} does not fit {target!r}, which is {described(app)} and is called "
        f"as --interface {found.value}: leave --interface out, it is found by itself"
    )


def _could_be(interface: Interface, app: Any) -> bool:
    """Whether a server of ``interface`` could call ``app``, as far as its own signature tells."""
    is_function = inspect.isclass(app) or inspect.isroutine(app)
    call = app if is_function or isinstance(app, functools.partial) else app.__call__
    if interface is not Interface.ASGI3 and is_coroutine_function(call):
        return False  # WSGI would iterate the coroutine, ASGI 2 would call it
    return _accepts(call, ARGUMENT_COUNTS[interface], follow_wrapped=False)


def detect(app: Callable[..., Any]) -> Interface | None:
    """How ``app`` is called, or None if that cannot be told from the outside."""
    return _detect_class(app) if inspect.isclass(app) else detect_instance(app)


def _detect_class(app: type[Any]) -> Interface | None:
    """A class is an application when constructing it is the call.

    WSGI iterates the instance (PEP 3333), ASGI 3 awaits it, ASGI 2 calls it with ``receive, send``.
    """
    if hasattr(app, "__await__"):
        return Interface.ASGI3 if _accepts(app, 3) else None
    if hasattr(app, "__iter__"):
        return Interface.WSGI if _accepts(app, 2) else None
    instance_call = getattr(app, "__call__", None)  # noqa: B004  # the function, not a yes or no
    if _accepts(app, 1) and inspect.isfunction(instance_call) and _accepts(instance_call, 3):
        return Interface.ASGI2
    return None


def detect_instance(app: Any) -> Interface | None:
    """A function, a partial or an object that can be called: what it is called with decides."""
    if not callable(app):
        return None
    is_function = inspect.isroutine(app) or isinstance(app, functools.partial)
    call = app if is_function else app.__call__
    parameters = _parameters(call)
    if parameters is None:  # any number, or unknown
        return Interface.ASGI3 if is_coroutine_function(call) else None
    required, names = parameters
    if required == 3 or names[:3] == ["scope", "receive", "send"]:
        return Interface.ASGI3
    if required == 2 and not is_coroutine_function(call):
        return Interface.WSGI
    if required == 1 and (names[0] == "scope" or _holds_asgi2_instance(call)):
        return Interface.ASGI2
    return None


def _parameters(call: Callable[..., Any]) -> tuple[int, list[str]] | None:
    """How many positional parameters must be given, and the names of all; None if that says nothing.

    The parameters of ``call`` itself count. What a decorator wraps is looked at only when the
    decorator takes anything: one that adapts an interface is not what it wraps.
    """
    for follow_wrapped in (False, True):
        try:
            signature = inspect.signature(call, follow_wrapped=follow_wrapped)
        except (TypeError, ValueError):  # a builtin
            return None
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        positional = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        required = sum(parameter.default is parameter.empty for parameter in positional)
        if inspect.Parameter.VAR_POSITIONAL not in kinds or required >= 2:
            return required, [parameter.name for parameter in positional]
    return None


def _accepts(call: Callable[..., Any], count: int, *, follow_wrapped: bool = True) -> bool:
    """Whether ``call`` can be called with ``count`` positional arguments."""
    try:
        inspect.signature(call, follow_wrapped=follow_wrapped).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def is_coroutine_function(call: Callable[..., Any]) -> bool:
    """As asyncio would say, which is not imported for it: its marker counts, too (asgiref sets it)."""
    return inspect.iscoroutinefunction(call) or getattr(call, "_is_coroutine", None) is not None


def _holds_asgi2_instance(call: Callable[..., Any]) -> bool:
    """Whether a function defines a coroutine function of two parameters, ``receive`` and ``send``."""
    code = getattr(call, "__code__", None)
    return any(
        isinstance(constant, CodeType)
        and constant.co_flags & inspect.CO_COROUTINE
        and constant.co_argcount == 2
        for constant in getattr(code, "co_consts", ())
    )


# --- words for the banner -----------------------------------------------------------------------


def describe(found: object) -> str:
    """What an object is, in few words: "Flask instance", "async function"."""
    if isinstance(found, functools.partial):
        return f"partial of {described(found.func)}"
    if isinstance(found, ModuleType):
        return "module"
    if isinstance(found, type):
        return f"class {_class_name(found)}"
    if inspect.isroutine(found):
        kind = "method" if inspect.ismethod(found) else "function"
        return f"async {kind}" if is_coroutine_function(found) else kind
    return f"{_class_name(type(found))} instance"


def _class_name(found: type[Any]) -> str:
    """The short name if the top package exports it, as Flask's does; else with the module."""
    top = found.__module__.partition(".")[0]
    if top == "builtins" or getattr(sys.modules.get(top), found.__name__, None) is found:
        return found.__name__
    return f"{found.__module__}.{found.__qualname__}"


def described(found: object) -> str:
    """The description with its article: "a Flask instance"."""
    words = describe(found)
    return f"an {words}" if words[0].lower() in "aeiou" else f"a {words}"
