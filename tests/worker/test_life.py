"""The parts of a worker's life that need no process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from greenuni.asgi.loops import choose_loop
from greenuni.config import Config
from greenuni.errors import BootError
from greenuni.shell import Application, Interface
from greenuni.worker.life import describe, load_application, with_jitter
from tests.support.server import serve


@pytest.mark.parametrize(
    ("interface", "settings", "loop", "text"),
    [
        (
            Interface.WSGI,
            {},
            "",
            "site:app, which is WSGI (Flask instance), with 1 sync worker; "
            "idle connections are kept for 75 s",
        ),
        (
            Interface.WSGI,
            {"workers": 4, "threads": 8, "keepalive": 0.5},
            "",
            "site:app, which is WSGI (Flask instance), with 4 gthread workers, 8 threads each; "
            "idle connections are kept for 0.5 s",
        ),
        (
            Interface.ASGI2,
            {"workers": 2},
            "uvloop",
            "site:app, which is ASGI 2 (Flask instance), with 2 asgi workers on uvloop; "
            "idle connections are kept for 75 s",
        ),
    ],
)
def test_it_says_what_is_served_and_how(
    interface: Interface, settings: dict[str, int], loop: str, text: str
) -> None:
    app = Application(None, interface, "site:app", "Flask instance")
    assert describe(app, Config(**settings), loop) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "loop"),
    [
        ([], str(choose_loop(Config()))),
        (["--loop", "asyncio"], "asyncio"),
        (["--async-backend", "trio"], "trio"),
    ],
)
def test_it_names_the_event_loop_that_runs(arguments: list[str], loop: str, tmp_path: Path) -> None:
    (tmp_path / "site_app.py").write_text("async def app(scope, receive, send): ...\n")
    with serve("site_app:app", *arguments, cwd=tmp_path) as server:
        assert f"with 1 asgi worker on {loop}; idle" in server.log


def test_each_worker_draws_its_own_number_of_requests() -> None:
    config = Config(max_requests=100, max_requests_jitter=20)
    drawn = {with_jitter(config).max_requests for _ in range(400)}
    assert min(drawn) == 100
    assert max(drawn) == 120


def test_without_a_limit_there_is_no_jitter() -> None:
    config = Config(max_requests_jitter=20)
    assert with_jitter(config) is config


def test_an_application_must_be_named() -> None:
    with pytest.raises(BootError, match="write greenuni module:attribute"):
        load_application(Config())


@pytest.mark.parametrize(
    ("interface", "room", "absent"),
    [
        ("WSGI", "greenuni.wsgi", {"asyncio", "anyio", "greenuni.asgi"}),
        ("ASGI3", "greenuni.asgi", {"greenuni.wsgi"}),
    ],
)
def test_only_the_shell_that_is_needed_is_imported(
    interface: str, room: str, absent: set[str]
) -> None:
    script = f"""
import sys
from greenuni.shell import Application, Interface
from greenuni.worker.life import find_shell
serve = find_shell(Application(None, Interface.{interface}, "a:b", "c"))
print(serve.__module__, *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    module, *loaded = done.stdout.split()
    assert module.startswith(room)
    assert not absent & set(loaded)
