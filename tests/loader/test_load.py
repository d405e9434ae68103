"""Targets, factories and everything that can go wrong on the way to an application."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.errors import AppLoadError, BootError, ConfigError, NoApplicationError
from greenuni.loader import load, parse_target, prepare_imports
from greenuni.shell import Interface

Project = Callable[..., str]

WSGI_APP = "def {name}(environ, start_response):\n    return []\n"


# --- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "module", "attribute", "arguments", "keywords"),
    [
        ("main", "main", (), None, None),
        ("shop.main:app", "shop.main", ("app",), None, None),
        ("main:site.api.app", "main", ("site", "api", "app"), None, None),
        ("main:make()", "main", ("make",), (), {}),
        ("main:make('a', -1, debug=True)", "main", ("make",), ("a", -1), {"debug": True}),
        ('main:Site.make({"a": [1]})', "main", ("Site", "make"), ({"a": [1]},), {}),
        ("main:make('a:b')", "main", ("make",), ("a:b",), {}),
        ("my-app:app", "my-app", ("app",), None, None),
    ],
)
def test_target(
    text: str,
    module: str,
    attribute: tuple[str, ...],
    arguments: tuple[object, ...] | None,
    keywords: dict[str, object] | None,
) -> None:
    target = parse_target(text)
    assert (target.module, target.attribute) == (module, attribute)
    assert target.is_call is (arguments is not None)
    assert target.arguments == (arguments or ())
    assert target.keywords == (keywords or {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("app.py", "'app.py' names a file, not a module: write 'app'"),
        ("app.py:app", "write 'app:app'"),
        ("src/app:app", "write 'src.app:app'"),
        ("./src/app.py:app", "write 'src.app:app'"),
        ("main:", "is not a target: write module:attribute, such as main:app"),
        (":app", "is not a target"),
        ("", "is not a target"),
        ("main:app:app", "'app:app' in 'main:app:app' is neither a name nor a call"),
        ("main:make(open('x'))", "is neither a name nor a call with literal arguments"),
        ("main:make(**{'a': 1})", "is neither a name nor a call with literal arguments"),
        ("main:make(*[1])", "is neither a name nor a call with literal arguments"),
        ("main:apps[0]", "is neither a name nor a call with literal arguments"),
        ("main:make()()", "is neither a name nor a call with literal arguments"),
        ("main:1", "is neither a name nor a call with literal arguments"),
        ("main:__import__('os').system('x')", "is neither a name nor a call"),
    ],
)
def test_bad_target(text: str, sentence: str) -> None:
    with pytest.raises(AppLoadError) as refused:
        parse_target(text)
    assert sentence in str(refused.value)
    assert refused.value.exit_status == 3


# --- what is loaded -----------------------------------------------------------------------------


def test_module_with_attribute(project: Project) -> None:
    name = project(WSGI_APP.format(name="app"))
    app = load(f"{name}:app")
    assert app.callable is sys.modules[name].app
    assert (app.interface, app.target) == (Interface.WSGI, f"{name}:app")
    assert app.description == "function"


def test_application_comes_before_app(project: Project) -> None:
    both = project(WSGI_APP.format(name="app") + WSGI_APP.format(name="application"))
    assert load(both).callable is sys.modules[both].application
    only_app = project(WSGI_APP.format(name="app"))
    assert load(only_app).callable is sys.modules[only_app].app


def test_module_called_app_is_no_application(project: Project) -> None:
    project("", "shop_one.app")
    project("import shop_one.app\n", "shop_one.__init__")
    with pytest.raises(AppLoadError, match="module 'shop_one' has no 'application' or 'app'"):
        load("shop_one")


def test_attribute_path(project: Project) -> None:
    name = project(
        "class site:\n    class api:\n        @staticmethod\n"
        "        def app(environ, start_response): ...\n"
    )
    assert load(f"{name}:site.api.app").interface is Interface.WSGI


def test_factory_with_arguments(project: Project) -> None:
    name = project(
        "def make(title, *, debug=False):\n"
        "    def app(environ, start_response): ...\n"
        "    app.made_with = title, debug\n"
        "    return app\n"
    )
    assert load(f"{name}:make('a', debug=True)").callable.made_with == ("a", True)


def test_factory_flag(project: Project) -> None:
    name = project(
        "def create_app():\n    async def app(scope, receive, send): ...\n    return app\n"
    )
    assert load(f"{name}:create_app", factory=True).interface is Interface.ASGI3
    assert load(name, factory=True).interface is Interface.ASGI3
    with pytest.raises(AppLoadError, match="calls its factory already: leave out --factory"):
        load(f"{name}:create_app()", factory=True)


def test_class_as_factory(project: Project) -> None:
    name = project("class Site:\n    def __call__(self, environ, start_response): ...\n")
    app = load(f"{name}:Site", factory=True)
    assert (app.interface, app.description) == (Interface.WSGI, "Site instance")


@pytest.mark.parametrize("interface", ["wsgi", "asgi", "asgi2"])
def test_interface_that_is_given_is_believed(interface: str, project: Project) -> None:
    name = project("def app(*args): ...\n")
    assert load(f"{name}:app", interface=interface).interface == interface


ASGI_FUNCTION = "async def app(scope, receive, send): ...\n"
WSGI_FUNCTION = "def app(environ, start_response): ...\n"


@pytest.mark.parametrize(
    ("source", "given", "found"),
    [
        (ASGI_FUNCTION, "wsgi", "asgi"),
        (ASGI_FUNCTION, "asgi2", "asgi"),
        (WSGI_FUNCTION, "asgi", "wsgi"),
        ("import flask\napp = flask.Flask('x')\n", "asgi", "wsgi"),
        ("import fastapi\napp = fastapi.FastAPI()\n", "wsgi", "asgi"),
        (
            "class app:\n    def __init__(self, a, b): ...\n    def __iter__(self): ...",
            "asgi",
            "wsgi",
        ),
    ],
)
def test_interface_that_contradicts_the_application_is_refused(
    source: str, given: str, found: str, project: Project
) -> None:
    name = project(source)
    with pytest.raises(ConfigError) as refused:
        load(f"{name}:app", interface=given)
    sentence = str(refused.value)
    assert sentence.startswith(f"--interface {given} does not fit '{name}:app', which is a")
    assert sentence.endswith(
        f"as --interface {found}: leave --interface out, it is found by itself"
    )
    assert load(f"{name}:app").interface.value == found


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("def app(environ, start_response, scope=None): ...", "asgi"),  # reads as WSGI, allows both
        (
            "import functools\nasync def inner(scope, receive, send): ...\n"
            "@functools.wraps(inner)\ndef app(*args): ...",  # an adapter that looks like its inside
            "wsgi",
        ),
    ],
)
def test_given_interface_decides_where_the_signature_allows_it(
    source: str, given: str, project: Project
) -> None:
    name = project(source)
    assert load(f"{name}:app").interface.value != given
    assert load(f"{name}:app", interface=given).interface.value == given


# --- what cannot be told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "def app(*args): ...",
            "is a function that looks like neither WSGI nor ASGI: say which with",
        ),
        ("async def app(a, b): ...", "is an async function that looks like neither"),
        (
            "def app(): ...",
            "is a function that takes no arguments: if it returns the application, add",
        ),
        ("class app: ...", "that takes no arguments: if it returns the application, add --factory"),
    ],
)
def test_no_application(source: str, sentence: str, project: Project) -> None:
    with pytest.raises(AppLoadError) as refused:
        load(f"{project(source)}:app")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.details == ""


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("app = {}", "is not an application: a dict instance cannot be called"),
        ("app = 3", "is not an application: an int instance cannot be called"),
        ("import json as app", "is not an application: a module cannot be called"),
    ],
)
def test_what_is_named_and_is_none_is_a_fault_of_the_setting(
    source: str, sentence: str, project: Project
) -> None:
    with pytest.raises(NoApplicationError) as refused:
        load(f"{project(source)}:app")
    assert sentence in str(refused.value)


# --- what goes wrong ----------------------------------------------------------------------------


def test_module_that_is_not_there_names_the_nearest(project: Project) -> None:
    project("", "storefront")
    with pytest.raises(AppLoadError, match=r"no module 'storefrnt' .* did you mean 'storefront'\?"):
        load("storefrnt:app")


def test_module_in_a_subdirectory_names_the_flag(project: Project, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "warehouse.py").touch()
    with pytest.raises(AppLoadError, match="one in 'src': add --app-dir src"):
        load("warehouse:app")
    (tmp_path / "lib" / "depot").mkdir(parents=True)
    (tmp_path / "lib" / "depot" / "__init__.py").touch()
    with pytest.raises(AppLoadError, match="one in 'lib': add --app-dir lib"):
        load("depot.main:app")


def test_module_that_is_nowhere(project: Project, tmp_path: Path) -> None:
    project("")
    with pytest.raises(AppLoadError) as refused:
        load("qqqqqqqq:app")
    assert str(refused.value) == (
        f"there is no module 'qqqqqqqq' in {str(tmp_path)!r} or on the import path: "
        "--app-dir or --chdir say where it is"
    )
    assert refused.value.details == ""


def test_module_missing_in_a_package(project: Project) -> None:
    project("", "shop_two.__init__")
    project("", "shop_two.checkout")
    with pytest.raises(AppLoadError) as refused:
        load("shop_two.chekout:app")
    assert str(refused.value) == (
        "there is no module 'chekout' in 'shop_two': did you mean 'shop_two.checkout'?"
    )


def test_dot_for_colon(project: Project) -> None:
    name = project(WSGI_APP.format(name="app"))
    with pytest.raises(AppLoadError, match=f"there is no module '{name}.app': write {name}:app"):
        load(f"{name}.app")


def test_module_that_the_users_module_misses_is_not_the_target(project: Project) -> None:
    name = project("import a_dependency_that_is_not_there\n")
    with pytest.raises(AppLoadError) as refused:
        load(f"{name}:app")
    assert str(refused.value) == (
        f"module {name!r} cannot be imported: "
        "ModuleNotFoundError: No module named 'a_dependency_that_is_not_there'"
    )
    assert f'{name}.py", line 1, in <module>' in refused.value.details


def test_package_that_misses_its_own_module_is_not_the_target(project: Project) -> None:
    project("import shop_three.main\n", "shop_three.__init__")
    with pytest.raises(AppLoadError) as refused:
        load("shop_three.main:app")
    assert "module 'shop_three.main' cannot be imported" in str(refused.value)
    assert 'shop_three/__init__.py", line 1' in refused.value.details


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("x = 1\n1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("app = (", "cannot be imported: SyntaxError"),
        ("import sys\nsys.exit(5)", "ended the process while it was imported: SystemExit(5)"),
        ("raise KeyError", "cannot be imported: KeyError"),
    ],
)
def test_error_at_import_shows_the_users_frames_only(
    source: str, summary: str, project: Project
) -> None:
    name = project(source)
    with pytest.raises(AppLoadError) as refused:
        load(f"{name}:app")
    assert summary in str(refused.value)
    assert f'{name}.py", line ' in refused.value.details
    assert "greenuni/loader.py" not in refused.value.details
    assert "importlib" not in refused.value.details


def test_cause_of_an_error_is_shown_without_our_frames(project: Project) -> None:
    name = project(
        "import importlib\n"
        "try:\n    importlib.import_module('not_there_at_all')\n"
        "except ImportError as error:\n    raise RuntimeError('settings') from error\n"
    )
    with pytest.raises(AppLoadError) as refused:
        load(f"{name}:app")
    details = refused.value.details
    assert details.index("not_there_at_all") < details.index("direct cause")
    assert "frozen" not in details
    assert "importlib/__init__" not in details


def test_attribute_that_is_not_there_names_the_nearest(project: Project) -> None:
    name = project("class site:\n    application = None\n")
    with pytest.raises(
        AppLoadError, match=f"module '{name}' has no attribute 'sit': did you mean 'site'"
    ):
        load(f"{name}:sit")
    with pytest.raises(
        AppLoadError, match=r"^'site' has no attribute 'aplication': did you mean 'application'"
    ):
        load(f"{name}:site.aplication")
    with pytest.raises(AppLoadError, match=r"has no attribute 'qqqq'$"):
        load(f"{name}:qqqq")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("def create_app(): ...", "write {name}:create_app()"),
        (
            "class Site:\n    def __call__(self, e, s): ...\nsite = Site()",
            "did you mean {name}:site?",
        ),
        ("x = 1", "name the application, {name}:NAME"),
    ],
)
def test_module_without_a_usual_name(source: str, hint: str, project: Project) -> None:
    name = project(source)
    with pytest.raises(AppLoadError) as refused:
        load(name)
    assert str(refused.value) == (
        f"module {name!r} has no 'application' or 'app': {hint.format(name=name)}"
    )


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def make(): 1 / 0", "raised ZeroDivisionError: division by zero"),
        ("def make(): raise SystemExit('no')", "ended the process: SystemExit('no')"),
        ("def make(): pass", "returned None: is a return statement missing?"),
        ("def make(name): pass", "cannot be called like this: missing a required argument: 'name'"),
        ("async def make(): pass", "is an async function: a factory is a plain one"),
        ("make = 3", "cannot be called: it is an int instance"),
        ("async def app(): ...\ndef make(): return app()", "is a coroutine: a factory is a plain"),
        ("def make(): return 3", "is not an application: an int instance cannot be called"),
    ],
)
def test_factory_that_fails(source: str, sentence: str, project: Project) -> None:
    name = project(source)
    with pytest.raises(AppLoadError) as refused:
        load(f"{name}:make()")
    assert sentence in str(refused.value)
    raised = "raised" in sentence or "ended" in sentence
    assert (f'{name}.py", line 1, in make' in refused.value.details) is raised
    assert "loader.py" not in refused.value.details


def test_type_error_inside_a_factory_is_the_users(project: Project) -> None:
    name = project("def make():\n    return len(3)\n")
    with pytest.raises(
        AppLoadError, match=rf"^'make' in '{name}:make\(.*\)' raised TypeError"
    ) as refused:
        load(f"{name}:make()")
    assert "line 2, in make" in refused.value.details


def test_lazy_attribute_that_raises(project: Project) -> None:
    name = project("def __getattr__(name):\n    raise RuntimeError('no database')\n")
    with pytest.raises(AppLoadError, match="RuntimeError: no database") as refused:
        load(f"{name}:app")
    assert "line 2, in __getattr__" in refused.value.details


# --- the import path ----------------------------------------------------------------------------


def test_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "site").mkdir()
    for _ in range(2):
        prepare_imports(str(tmp_path / "site"), "src", "lib, more")
        assert os.getcwd() == str(tmp_path / "site")
        expected = [str(tmp_path / "site" / name) for name in ("src", "lib", "more")]
        assert sys.path[:4] == [*expected, str(tmp_path / "site")]
    assert sys.path.count(str(tmp_path / "site")) == 1


def test_directory_that_cannot_be_entered(tmp_path: Path) -> None:
    with pytest.raises(BootError, match=r"cannot enter '.*nowhere': No such file or directory"):
        prepare_imports(str(tmp_path / "nowhere"), None, None)
