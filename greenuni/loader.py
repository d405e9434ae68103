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

import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from greenuni.errors import (
    AppLoadError,
    BootError,
    NoApplicationError,
    has_user_frames,
    user_traceback,
)
from greenuni.shell import Application, Interface

APPLICATION_NAMES = ("application", "app")
FACTORY_NAMES = ("create_app", "make_app")
# Flags of a code object, as in inspect.
CO_VARARGS = 0x04
CO_VARKEYWORDS = 0x08
CO_COROUTINE = 0x80


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
    if interface in ("auto", Interface.WSGI.value) and _is_plain_wsgi(found):
        return Application(found, Interface.WSGI, target, "function")
    from greenuni.interfaces import check_given, describe, detected  # see _is_plain_wsgi

    if interface == "auto":
        how = detected(found, target)
    else:
        how = Interface(interface)
        check_given(how, found, target)
    return Application(found, how, target, describe(found))


def _is_plain_wsgi(found: object) -> bool:
    """Whether it is what PEP 3333 begins with: a function of two parameters, and nothing else about it.

    `interfaces` judges all others. It imports inspect, which is a megabyte that it may not need.
    """
    if not isinstance(found, FunctionType) or vars(found):  # a decorator or a mark left something
        return False
    code = found.__code__
    is_of_two = code.co_argcount == 2 and code.co_kwonlyargcount == 0 and not found.__defaults__
    return is_of_two and not code.co_flags & (CO_VARARGS | CO_VARKEYWORDS | CO_COROUTINE)


# --- the target ---------------------------------------------------------------------------------


class Target(NamedTuple):
    """What the user wrote, taken apart."""

    text: str
    module: str
    attribute: tuple[str, ...] = ()
    is_call: bool = False
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = {}


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
    names = tuple(name.strip() for name in expression.split("."))
    if all(name.isidentifier() for name in names):
        return Target(text, module, names)
    from greenuni.factorycall import parse_factory_call  # and ast, a quarter of a megabyte

    try:
        call = parse_factory_call(expression)
    except (SyntaxError, ValueError):
        raise AppLoadError(
            f"{expression!r} in {text!r} is neither a name nor a call with literal arguments"
        ) from None
    return Target(text, module, call.names, True, call.arguments, call.keywords)


def _without_path(module: str) -> str:
    """``./src/app.py`` as a module, ``src.app``; what is none of a path stays as it is."""
    name = module.removeprefix("./").rstrip("/")
    return name.removesuffix(".py").replace("/", ".").replace("\\", ".")


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
    here = os.getcwd()
    below = _directory_with(here, missing)
    if below:
        return f"there is no module {missing!r} here but one in {below!r}: add --app-dir {below}"
    guess = _nearest(missing, _importable([here]))
    hint = f"did you mean {guess!r}?" if guess else "--app-dir or --chdir say where it is"
    return f"there is no module {missing!r} in {here!r} or on the import path: {hint}"


def _not_in_package(target: Target, package: str, last: str) -> str:
    parent = sys.modules.get(package)
    if hasattr(parent, last) and not target.attribute:
        return f"there is no module {target.module!r}: write {package}:{last}"
    guess = _nearest(last, _importable(getattr(parent, "__path__", ())))
    hint = f": did you mean '{package}.{guess}'?" if guess else ""
    return f"there is no module {last!r} in {package!r}{hint}"


def _nearest(word: str, known: Iterable[str]) -> str | None:
    import difflib  # for mistakes only; no process that serves keeps it in memory

    found = difflib.get_close_matches(word, sorted(known), n=1)
    return found[0] if found else None


def _importable(directories: Iterable[str]) -> Iterator[str]:
    """Names of the modules and packages right in the directories."""
    for directory in directories:
        for name in os.listdir(directory):
            module, suffix = os.path.splitext(name)
            if suffix == ".py":
                yield module
            elif os.path.isfile(os.path.join(directory, name, "__init__.py")):
                yield name


def _directory_with(directory: str, module: str) -> str | None:
    """The subdirectory of ``directory`` that holds the module, if one does."""
    for name in sorted(os.listdir(directory)):
        for file in (f"{module}.py", os.path.join(module, "__init__.py")):
            if os.path.isfile(os.path.join(directory, name, file)):
                return name
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
    import inspect

    from greenuni.interfaces import detect_instance  # see _is_plain_wsgi

    name = module.__name__
    for factory in FACTORY_NAMES:
        if callable(getattr(module, factory, None)):
            return f"write {name}:{factory}()"
    for candidate, value in vars(module).items():
        is_instance = not isinstance(value, type) and not inspect.isroutine(value)
        if not candidate.startswith("_") and is_instance and detect_instance(value):
            return f"did you mean {name}:{candidate}?"
    return f"name the application, {name}:NAME"


def _call_factory(factory: Any, target: Target) -> Any:
    """What the factory returns, once its arguments are known to fit."""
    import inspect

    from greenuni.interfaces import described  # see _is_plain_wsgi

    name = repr(".".join(target.attribute)) if target.attribute else "the factory"
    if not callable(factory):
        raise AppLoadError(
            f"{name} in {target.text!r} cannot be called: it is {described(factory)}"
        )
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
    import inspect

    from greenuni.interfaces import described  # see _is_plain_wsgi

    if inspect.iscoroutine(found):
        found.close()
        return f"{target.text!r} is a coroutine: a factory is a plain function"
    return f"{target.text!r} is not an application: {described(found)} cannot be called"
