"""Every command that an example's README gives starts a server that answers a browser."""

from __future__ import annotations

import re
import shlex

import httpx
import pytest

from tests.support.server import serve

from .conftest import EXAMPLES, ROOT

COMMAND = re.compile(r"^    greenuni (.+)$", re.MULTILINE)
COMMANDS = [
    pytest.param(shlex.split(arguments), id=f"{readme.parent.name}-{number}")
    for readme in sorted(EXAMPLES.glob("*/README.md"))
    for number, arguments in enumerate(COMMAND.findall(readme.read_text()))
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_the_command_serves_a_page(arguments: list[str], own_database: dict[str, str]) -> None:
    with serve(*arguments, cwd=ROOT, environment=own_database) as server:
        response = httpx.get(server.url)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "on Greenuni" in response.text


def test_every_example_gives_a_command() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    with_command = {command.id.rpartition("-")[0] for command in COMMANDS if command.id}
    assert folders == with_command
