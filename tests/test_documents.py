"""The pages speak of what is there: their links lead somewhere, and their commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from greenuni.config import read_config

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("benchmarks/profiles/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# At the beginning of a line of code, or in between grave accents
MAKE = re.compile(r"(?:^    |`)make ([a-z][a-z-]*)", re.MULTILINE)
# Not what --version prints
COMMAND = re.compile(r"^    (?:\$ |web: )?greenuni (?!\d)((?:.*\\\n)*.*)$", re.MULTILINE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """What a link may name after ``#``, as GitHub makes it from the headings."""
    headings = (
        re.sub(r"[^\w -]", "", heading.lower()) for heading in HEADING.findall(page.read_text())
    )
    return {heading.replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for address, anchor in LINK.findall(page.read_text()):
        if not address.startswith(("http:", "https:")):
            target = page.parent / address if address else page
            assert target.exists(), address
            assert not anchor or anchor in anchors(target), f"{address}#{anchor}"


@every_page
def test_make_knows_the_targets(page: Path) -> None:
    assert set(MAKE.findall(page.read_text())) <= TARGETS


@every_page
def test_commands_are_understood(page: Path) -> None:
    for command in COMMAND.findall(page.read_text()):
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        if words != ["--version"]:
            read_config(words, {}, str(ROOT))


def test_there_is_something_to_look_at() -> None:
    pages = [page.read_text() for page in PAGES]
    assert len(pages) > 20
    assert sum(len(COMMAND.findall(page)) for page in pages) > 20
    assert sum(len(MAKE.findall(page)) for page in pages) > 20
