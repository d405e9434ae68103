"""What is imported before the fork, so that workers share it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WSGI = "def app(environ, start_response): ...\n"
ASGI = "async def app(scope, receive, send): ...\n"
WITH_ANYIO = f"import anyio\n{ASGI}"
BACKEND = "anyio._backends._asyncio"


@pytest.mark.parametrize(
    ("source", "settings", "present", "absent"),
    [
        (WSGI, "", {"greenuni.wsgi"}, {"greenuni.asgi", "asyncio", "anyio"}),
        (ASGI, "", {"greenuni.asgi", "uvloop"}, {"greenuni.wsgi"}),
        (ASGI, "loop='asyncio'", {"greenuni.asgi", "asyncio"}, {"uvloop"}),
        (WITH_ANYIO, "", {"greenuni.asgi", BACKEND}, {"greenuni.wsgi"}),
        (WSGI, "worker_class='asgi'", {"greenuni.asgi", BACKEND}, {"greenuni.wsgi"}),
    ],
    ids=["wsgi", "asgi", "asyncio", "anyio", "wsgi-on-asgi"],
)
def test_the_shell_that_is_needed_is_imported_and_no_other(
    source: str, settings: str, present: set[str], absent: set[str], tmp_path: Path
) -> None:
    (tmp_path / "site_app.py").write_text(source)
    script = f"""
import sys
from greenuni.config import Config
from greenuni.worker.preloading import preload_application
app = preload_application(Config(wsgi_app="site_app:app", {settings}))
print(app.target, *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    target, *loaded = done.stdout.split()
    assert target == "site_app:app"
    assert present <= set(loaded)
    assert not absent & set(loaded)
