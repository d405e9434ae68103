"""The directions of the house: who may import whom, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenuni.build import compiled
from tests.support.cimports import cimports_of

PACKAGE = Path(__file__).parent.parent / "greenuni"

SHELL = {
    "clock",
    "config",
    "deadlines",
    "disconnects",
    "errors",
    "eventstream",
    "failure",
    "handoff",
    "http",
    "lifespan",
    "loops",
    "observe",
    "poller",
    "pulse",
    "readiness",
    "routing",
    "shell",
    "siblings",
    "sockets",
    "threadsignals",
    "transfer",
}
# room -> rooms it may import. A room is a module or a folder right under greenuni/.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "build": set(),
    "clock": set(),
    "handoff": set(),
    "poller": set(),
    "pulse": set(),
    "readiness": {"poller"},
    "siblings": set(),
    "sockets": set(),
    "threadsignals": set(),
    "transfer": set(),
    "config": {"build", "disconnects", "errors", "modules", "routing"},
    "observe": {"clock", "config", "errors"},
    "shell": {"config", "handoff", "observe", "pulse", "routing", "siblings"},
    "routing": set(),
    "variables": set(),
    "modules": set(),
    "factorycall": set(),
    "interfaces": {"errors", "shell"},
    "loader": {"errors", "factorycall", "interfaces", "shell"},
    "lifespan": {"errors"},
    "loops": {"config", "errors"},
    "deadlines": {"config"},
    "disconnects": set(),
    "eventstream": set(),
    "failure": {"errors", "observe"},
    "http": {"errors", "variables"},
    "arbiter": {
        "build",
        "clock",
        "config",
        "errors",
        "modules",
        "observe",
        "routing",
        "shell",
        "siblings",
    },
    "bridge": {"errors", "lifespan", "routing", "variables"},
    "ws": {"errors", "http"},
    "wsgi": SHELL | {"variables"},
    "asgi": SHELL | {"ws"},
    "worker": {
        "arbiter",
        "asgi",
        "bridge",
        "clock",
        "config",
        "errors",
        "loader",
        "loops",
        "observe",
        "pulse",
        "routing",
        "shell",
        "threadsignals",
        "wsgi",
    },
    "cli": {"arbiter", "config", "errors", "loader", "observe", "shell", "worker"},
    "testing": {"config", "http", "observe", "pulse", "routing", "shell"},
    "__main__": {"cli"},
    "__init__": {"_finders"},
    "_finders": {"_library"},
    "_library": set(),
}
# What costs every process memory and is needed by few: imported where it is used.
SELDOM_NEEDED = {
    "argparse",
    "ast",
    "base64",
    "dataclasses",
    "difflib",
    "greenuni.config.files",
    "greenuni.config.unsupported",
    "email",
    "inspect",
    "ipaddress",
    "json",
    "logging.config",
    "logging.handlers",
    "pathlib",
    "pickle",
    "random",
    "shlex",
    "sysconfig",
    "tempfile",
    "tomllib",
    "urllib",
}
NEEDED_BY_ASYNCIO = {"ast", "base64", "inspect"}
NO_IO_IN_HTTP = {"asyncio", "logging", "os", "select", "socket", "ssl", "threading", "time"}


def modules() -> Iterator[tuple[str, Path]]:
    """Room and path of every source: Python's, and what Cython reads."""
    for pattern in ("*.py", "*.pxd", "*.pyx"):
        for path in sorted(PACKAGE.rglob(pattern)):
            yield path.relative_to(PACKAGE).with_suffix("").parts[0], path


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or any(path.with_suffix(end).exists() for end in (".py", ".pyx", ".pxd"))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every module name imported or cimported anywhere in the file, absolute, with its line."""
    if path.suffix != ".py":
        yield from cimports_of(path)
        return
    package = ("greenuni", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = [node.module] if node.module else []
            prefix = ".".join(base + module)
            for alias in node.names:
                name = f"{prefix}.{alias.name}"
                yield node.lineno, name if is_module(name) else prefix


def room_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "greenuni" or len(parts) == 1:
        return None
    return parts[1] if parts[1] in ALLOWED else None


def test_every_room_is_on_the_map() -> None:
    assert {room for room, _ in modules()} <= set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {target}"
        for name, path in modules()
        if name == room
        for line, module in imports_of(path)
        if (target := room_of(module)) and target != room and target not in ALLOWED[room]
    ]
    assert not wrong


def test_the_map_has_no_cycle() -> None:
    def reach(room: str, seen: tuple[str, ...]) -> None:
        assert room not in seen, " -> ".join([*seen, room])
        for target in ALLOWED[room]:
            reach(target, (*seen, room))

    for room in ALLOWED:
        reach(room, ())


def test_modules_of_one_room_have_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for _, path in modules():
        name = ".".join(("greenuni", *path.relative_to(PACKAGE).with_suffix("").parts))
        name = name.removesuffix(".__init__")
        graph.setdefault(name, set()).update(module for _, module in imports_of(path))

    acyclic: set[str] = set()  # once known, not walked again: there are more ways than modules

    def reach(module: str, seen: tuple[str, ...]) -> None:
        if module in acyclic:
            return
        assert module not in seen, " -> ".join([*seen[seen.index(module) :], module])
        for target in graph.get(module, set()):
            if target in graph:
                reach(target, (*seen, module))
        acyclic.add(module)

    for module in graph:
        reach(module, ())


def test_http_does_no_io() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {module}"
        for room, path in modules()
        if room == "http"
        for line, module in imports_of(path)
        if module.split(".")[0] in NO_IO_IN_HTTP
    ]
    assert not wrong


def loaded_by(statement: str) -> set[str]:
    """Names that ``statement`` adds to sys.modules in a fresh interpreter."""
    script = (
        f"import sys; before = {{*sys.modules}}; {statement}; print(*{{*sys.modules}} - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import greenuni.wsgi", {"asyncio", "anyio", "greenuni.asgi", *SELDOM_NEEDED}),
        (
            "import greenuni.asgi",
            {
                *("anyio", "asgiref", "greenuni.wsgi", "greenuni.ws", "h11", "trio", "wsproto"),
                *(SELDOM_NEEDED - NEEDED_BY_ASYNCIO),
            },
        ),
        (
            "import greenuni.cli",
            {
                *("asyncio", "anyio", "h11", "greenuni.asgi", "greenuni.wsgi", "greenuni.http"),
                *SELDOM_NEEDED,
            },
        ),
        ("import greenuni.worker, greenuni.arbiter", {"asyncio", "anyio", "h11", *SELDOM_NEEDED}),
        ("import greenuni.bridge", {"asyncio", "anyio", "greenuni.asgi", "greenuni.wsgi"}),
    ],
)
def test_a_process_loads_only_what_it_needs(statement: str, absent: set[str]) -> None:
    assert not absent & loaded_by(statement)


@pytest.mark.skipif(not compiled(), reason="the reference engine reads every request")
def test_a_compiled_wire_does_without_h11_until_it_is_needed() -> None:
    assert "h11" not in loaded_by("import greenuni.wsgi")
    assert "h11" not in loaded_by("from greenuni.http import choose_engine; choose_engine()")
    assert "h11" in loaded_by("from greenuni.http import choose_engine; choose_engine('h11')")
