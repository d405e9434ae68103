"""From ``module:attribute`` to an `Application`: import it, call its factory, find out how it is called.

The forms of a target::

    module                        its ``application``, else its ``app``
    module:attribute.of.it
    module:factory("text", key=1) called with literals; nothing is evaluated
    module:factory                with ``factory=True``, called without arguments

Whatever goes wrong is one `AppLoadError`: a sentence, and the user's traceback when user code raised. What is
named and no application is a `NoApplicationError`, and an interface that was given and does not fit a
`ConfigError`: the code is fine, the setting is not.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from greenuni.errors import (
    AppLoadError,
    BootError,
    ConfigError,
    NoApplicationError,
    has_user_frames,
    user_traceback,
)
from greenuni.shell import Application, Interface

APPLICATION_NAMES = ("application", "app")
FACTORY_NAMES = ("create_app", "make_app")
ARGUMENT_COUNTS = {Interface.WSGI: 2, Interface.ASGI3: 3, Interface.ASGI2: 1}


def prepare_imports(chdir: str | None, app_dir: str | None, pythonpath: str | None) -> None:
    """Enter ``chdir`` and put it, ``pythonpath`` and ``app_dir`` in front of the import path.

    ``pythonpath`` is comma separated; relative directories count from ``chdir``. Calling it twice
    changes nothing. Raises `BootError` if the directory cannot be entered.
    """
    if chdir is not None:
        try:
            os.chdir(chdir)
        except OSError as error:
            raise BootError(f"cannot enter {chdir!r}: {error.strerror}") from None
    wanted = [app_dir] if app_dir else []
    wanted += [path.strip() for path in (pythonpath or "").split(",") if path.strip()]
    for path in reversed([os.path.abspath(path) for path in [*wanted, os.curdir]]):
        if path not in sys.path:
            sys.path.insert(0, path)


def load(target: str, *, interface: str = "auto", factory: bool = False) -> Application:
    """Import ``target`` and say how it is called.

    Raises `AppLoadError`, and `ConfigError` when it cannot be called as ``interface`` says, or at all.
    """
    parsed = parse_target(target)
    if factory and parsed.is_call:
        raise AppLoadError(f"{target!r} calls its factory already: leave out --factory")
    module = _import(parsed)
    names = FACTORY_NAMES + APPLICATION_NAMES if factory else APPLICATION_NAMES
    found = _attribute(module, parsed) if parsed.attribute else _default(module, names)
    if parsed.is_call or factory:
        found = _call_factory(found, parsed)
    if not callable(found):
        # What a factory returned is a fault in the code, what was named is one in the setting.
        is_made = parsed.is_call or factory
        raise (AppLoadError if is_made else NoApplicationError)(_not_callable(found, parsed))
    if interface == "auto":
        how = _detected(found, parsed)
    else:
        how = Interface(interface)
        _check_given(how, found, parsed)
    return Application(found, how, target, describe(found))


# --- the target ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What the user wrote, taken apart."""

    text: str
    module: str
    attribute: tuple[str, ...] = ()
    is_call: bool = False
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


def parse_target(text: str) -> Target:
    """Take ``module:attribute`` apart. Raises `AppLoadError` with what to write instead."""
    module, colon, expression = text.strip().partition(":")
    suggestion = _without_path(module)
    if suggestion != module:
        raise AppLoadError(
            f"{text!r} names a file, not a module: write {suggestion + colon + expression!r}"
        )
    if not module or (colon and not expression):
        raise AppLoadError(f"{text!r} is not a target: write module:attribute, such as main:app")
    if not colon:
        return Target(text, module)
    try:
        node = ast.parse(expression, mode="eval").body
        if isinstance(node, ast.Call):
            arguments, keywords = _literals(node)
            return Target(text, module, tuple(_path(node.func)), True, arguments, keywords)
        return Target(text, module, tuple(_path(node)))
    except (SyntaxError, ValueError):
        raise AppLoadError(
            f"{expression!r} in {text!r} is neither a name nor a call with literal arguments"
        ) from None


def _without_path(module: str) -> str:
    """``./src/app.py`` as a module, ``src.app``; what is none of a path stays as it is."""
    name = module.removeprefix("./").rstrip("/")
    return name.removesuffix(".py").replace("/", ".").replace("\\", ".")


def _path(node: ast.expr) -> Iterator[str]:
    """The names of ``a.b.c``. Raises ``ValueError`` for anything else."""
    if isinstance(node, ast.Attribute):
        yield from _path(node.value)
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
    else:
        raise ValueError("not a dotted name")


def _literals(call: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, none of them evaluated. Raises ``ValueError`` for ``**`` and names."""
    keywords: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError("** is not a literal")
        keywords[keyword.arg] = ast.literal_eval(keyword.value)
    return tuple(ast.literal_eval(argument) for argument in call.args), keywords


# --- import and lookup --------------------------------------------------------------------------


def _import(target: Target) -> ModuleType:
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        # A module that the user's own module misses has a user's frame; the target has none.
        if not has_user_frames(error):
            raise AppLoadError(_not_found(target, error)) from None
        raise _failed(target, error) from None
    except SystemExit as error:
        sentence = f"module {target.module!r} ended the process while it was imported: {error!r}"
        raise AppLoadError(sentence, user_traceback(error)) from None
    except Exception as error:  # noqa: BLE001  # user code may raise anything
        raise _failed(target, error) from None


def _failed(target: Target, error: Exception) -> AppLoadError:
    sentence = f"module {target.module!r} cannot be imported: {_summary(error)}"
    return AppLoadError(sentence, user_traceback(error))


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _not_found(target: Target, error: ModuleNotFoundError) -> str:
    """What to do about a target whose module is not there."""
    missing = error.name or target.module
    package, dot, last = missing.rpartition(".")
    if dot:
        return _not_in_package(target, package, last)
    here = Path.cwd()
    below = _directory_with(here, missing)
    if below:
        return f"there is no module {missing!r} here but one in {below!r}: add --app-dir {below}"
    guess = _nearest(missing, _importable([here]))
    hint = f"did you mean {guess!r}?" if guess else "--app-dir or --chdir say where it is"
    return f"there is no module {missing!r} in {str(here)!r} or on the import path: {hint}"


def _not_in_package(target: Target, package: str, last: str) -> str:
    parent = sys.modules.get(package)
    if hasattr(parent, last) and not target.attribute:
        return f"there is no module {target.module!r}: write {package}:{last}"
    directories = [Path(directory) for directory in getattr(parent, "__path__", ())]
    guess = _nearest(last, _importable(directories))
    hint = f": did you mean '{package}.{guess}'?" if guess else ""
    return f"there is no module {last!r} in {package!r}{hint}"


def _nearest(word: str, known: Iterable[str]) -> str | None:
    import difflib  # for mistakes only; no process that serves keeps it in memory

    found = difflib.get_close_matches(word, sorted(known), n=1)
    return found[0] if found else None


def _importable(directories: Iterable[Path]) -> Iterator[str]:
    """Names of the modules and packages right in the directories."""
    for entry in (entry for directory in directories for entry in directory.iterdir()):
        if entry.suffix == ".py":
            yield entry.stem
        elif (entry / "__init__.py").is_file():
            yield entry.name


def _directory_with(directory: Path, module: str) -> str | None:
    """The subdirectory of ``directory`` that holds the module, if one does."""
    for entry in sorted(directory.iterdir()):
        if (entry / f"{module}.py").is_file() or (entry / module / "__init__.py").is_file():
            return entry.name
    return None


def _attribute(module: ModuleType, target: Target) -> Any:
    """The object at the end of the attribute path."""
    found: Any = module
    for depth, name in enumerate(target.attribute):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            path = ".".join(target.attribute[:depth])
            owner = repr(path) if path else f"module {target.module!r}"
            guess = _nearest(name, _public_names(found))
            hint = f": did you mean {guess!r}?" if guess else ""
            # A property or a module's __getattr__ may have raised it, which is worth a look.
            details = user_traceback(error) if has_user_frames(error) else ""
            raise AppLoadError(f"{owner} has no attribute {name!r}{hint}", details) from None
        except Exception as error:  # noqa: BLE001  # user code may raise anything
            raise _failed(target, error) from None
    return found


def _public_names(owner: object) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def _default(module: ModuleType, names: Iterable[str]) -> Any:
    """The first of the names under which an application usually stands."""
    for name in names:
        found = getattr(module, name, None)
        if found is not None and not isinstance(found, ModuleType):
            return found
    wanted = " or ".join(repr(name) for name in names)
    raise AppLoadError(f"module {module.__name__!r} has no {wanted}: {_candidate_hint(module)}")


def _candidate_hint(module: ModuleType) -> str:
    """Which object of a module could be meant."""
    name = module.__name__
    for factory in FACTORY_NAMES:
        if callable(getattr(module, factory, None)):
            return f"write {name}:{factory}()"
    for candidate, value in vars(module).items():
        is_instance = not isinstance(value, type) and not inspect.isroutine(value)
        if not candidate.startswith("_") and is_instance and _detect_instance(value):
            return f"did you mean {name}:{candidate}?"
    return f"name the application, {name}:NAME"


def _call_factory(factory: Any, target: Target) -> Any:
    """What the factory returns, once its arguments are known to fit."""
    name = repr(".".join(target.attribute)) if target.attribute else "the factory"
    if not callable(factory):
        raise AppLoadError(f"{name} in {target.text!r} cannot be called: it is {_a(factory)}")
    if inspect.iscoroutinefunction(factory):
        raise AppLoadError(
            f"{name} in {target.text!r} is an async function: a factory is a plain one"
        )
    try:
        inspect.signature(factory).bind(*target.arguments, **target.keywords)
    except TypeError as error:
        raise AppLoadError(
            f"{name} in {target.text!r} cannot be called like this: {error}"
        ) from None
    except ValueError:
        pass  # a builtin without a signature
    try:
        application = factory(*target.arguments, **target.keywords)
    except SystemExit as error:
        sentence = f"{name} in {target.text!r} ended the process: {error!r}"
        raise AppLoadError(sentence, user_traceback(error)) from None
    except Exception as error:  # noqa: BLE001  # user code may raise anything
        sentence = f"{name} in {target.text!r} raised {_summary(error)}"
        raise AppLoadError(sentence, user_traceback(error)) from None
    if application is None:
        raise AppLoadError(
            f"{name} in {target.text!r} returned None: is a return statement missing?"
        )
    return application


def _not_callable(found: object, target: Target) -> str:
    if inspect.iscoroutine(found):
        found.close()
        return f"{target.text!r} is a coroutine: a factory is a plain function"
    return f"{target.text!r} is not an application: {_a(found)} cannot be called"


# --- the interface ------------------------------------------------------------------------------


def _detected(app: Callable[..., Any], target: Target) -> Interface:
    """The interface that ``app`` shows. Raises `AppLoadError` when it shows none."""
    found = detect(app)
    if found is not None:
        return found
    if _accepts(app, 0) and not _accepts(app, 3):
        raise AppLoadError(
            f"{target.text!r} is {_a(app)} that takes no arguments: if it returns the "
            "application, add --factory"
        )
    raise AppLoadError(
        f"{target.text!r} is {_a(app)} that looks like neither WSGI nor ASGI: "
        "say which with --interface wsgi, asgi or asgi2"
    )


def _check_given(given: Interface, app: Callable[..., Any], target: Target) -> None:
    """Raise `ConfigError` if ``app`` shows another interface and cannot be called as ``given``.

    Where its signature allows both, as ``*args`` does, the user knows better.
    """
    found = detect(app)
    if found is None or found is given or _could_be(given, app):
        return
    raise ConfigError(
        f"--interface {given.value} does not fit {target.text!r}, which is {_a(app)} and is called "
        f"as --interface {found.value}: leave --interface out, it is found by itself"
    )


def _could_be(interface: Interface, app: Any) -> bool:
    """Whether a server of ``interface`` could call ``app``, as far as its own signature tells."""
    is_function = inspect.isclass(app) or inspect.isroutine(app)
    call = app if is_function or isinstance(app, functools.partial) else app.__call__
    if interface is not Interface.ASGI3 and _is_coroutine_function(call):
        return False  # WSGI would iterate the coroutine, ASGI 2 would call it
    return _accepts(call, ARGUMENT_COUNTS[interface], follow_wrapped=False)


def detect(app: Callable[..., Any]) -> Interface | None:
    """How ``app`` is called, or None if that cannot be told from the outside."""
    return _detect_class(app) if inspect.isclass(app) else _detect_instance(app)


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


def _detect_instance(app: Any) -> Interface | None:
    """A function, a partial or an object that can be called: what it is called with decides."""
    if not callable(app):
        return None
    is_function = inspect.isroutine(app) or isinstance(app, functools.partial)
    call = app if is_function else app.__call__
    parameters = _parameters(call)
    if parameters is None:  # any number, or unknown
        return Interface.ASGI3 if _is_coroutine_function(call) else None
    required, names = parameters
    if required == 3 or names[:3] == ["scope", "receive", "send"]:
        return Interface.ASGI3
    if required == 2 and not _is_coroutine_function(call):
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


def _is_coroutine_function(call: Callable[..., Any]) -> bool:
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
        return f"partial of {_a(found.func)}"
    if isinstance(found, ModuleType):
        return "module"
    if isinstance(found, type):
        return f"class {_class_name(found)}"
    if inspect.isroutine(found):
        kind = "method" if inspect.ismethod(found) else "function"
        return f"async {kind}" if _is_coroutine_function(found) else kind
    return f"{_class_name(type(found))} instance"


def _class_name(found: type[Any]) -> str:
    """The short name if the top package exports it, as Flask's does; else with the module."""
    top = found.__module__.partition(".")[0]
    if top == "builtins" or getattr(sys.modules.get(top), found.__name__, None) is found:
        return found.__name__
    return f"{found.__module__}.{found.__qualname__}"


def _a(found: object) -> str:
    """The description with its article."""
    words = describe(found)
    return f"an {words}" if words[0].lower() in "aeiou" else f"a {words}"
