"""The parts of a worker's life that need no process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from greenuni.config import Config
from greenuni.loops import choose_loop
from greenuni.worker.life import with_jitter
from tests.support.server import serve


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
