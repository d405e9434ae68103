"""Autobahn's fuzzing client against the server, on every event loop: ``make autobahn``.

    python -m tests.autobahn.run [--loops uvloop,trio] [--cases '1.*,6.*'] [--resume] [--write]

Prints a table of its verdicts by group, and ends with status 1 if any of them is not what it should be.
``--write`` puts the table into docs/websocket.md. Reports are left under build/autobahn, a folder a loop and
selection of cases; ``--resume`` takes those that are there already as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.autobahn.tools import NoPython27, install_wstest
from tests.support.server import serve

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "build" / "autobahn"
PAGE = ROOT / "docs" / "websocket.md"
TABLE = re.compile(r"(?<=<!-- autobahn -->\n).*?(?=<!-- /autobahn -->)", re.DOTALL)

LOOPS: Mapping[str, tuple[str, ...]] = {
    "uvloop": ("--loop", "uvloop"),
    "asyncio": ("--loop", "asyncio"),
    "trio": ("--async-backend", "trio"),
}
GROUPS = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8",
    7: "Closing",
    9: "Limits, performance",
    10: "Odds and ends",
    12: "Compression, sizes",
    13: "Compression, parameters",
}
# Where there is no right or wrong: who closes first, and codes that the RFC leaves open.
WITHOUT_VERDICT = ("7.1.6", "7.13.1", "7.13.2")
# Each is a run of its own; those of compression take minutes.
SELECTIONS = (
    *(f"{group}.*" for group in GROUPS if group < 12),
    *(f"12.{part}.*" for part in range(1, 6)),
    *(f"13.{part}.*" for part in range(1, 8)),
)
SECONDS = 1800  # for one selection


@dataclass(frozen=True)
class Verdict:
    """Autobahn's of one case: on what happened, and on how the connection ended."""

    case: str
    behavior: str
    closing: str

    @property
    def is_good(self) -> bool:
        if self.case in WITHOUT_VERDICT:
            return self.behavior == self.closing == "INFORMATIONAL"
        return self.behavior == "OK" and self.closing in ("OK", "INFORMATIONAL")

    @property
    def group(self) -> int:
        return int(self.case.partition(".")[0])


def run_loop(loop: str, selections: list[str], wstest: Path, resume: bool) -> list[Verdict]:
    """All verdicts on one loop."""
    verdicts: list[Verdict] = []
    for selection in selections:
        folder = DIRECTORY / loop / selection.rstrip(".*")
        if not (resume and (folder / "index.json").exists()):
            run_cases(loop, selection, folder, wstest)
        report = json.loads((folder / "index.json").read_text())[loop]
        verdicts += [
            Verdict(case, found["behavior"], found["behaviorClose"])
            for case, found in report.items()
        ]
    return verdicts


def run_cases(loop: str, cases: str, folder: Path, wstest: Path) -> None:
    """Leave the report of some cases in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ("--lifespan", "off", "--workers", "1", *LOOPS[loop])
    with serve("echo_app:app", *options, cwd=Path(__file__).parent) as server:
        spec = {
            "outdir": str(folder),
            "servers": [{"agent": loop, "url": f"ws://127.0.0.1:{server.port}"}],
            "cases": [cases],
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        with open(folder / "wstest.log", "w") as log:
            subprocess.run(
                [wstest, "--mode", "fuzzingclient", "--spec", folder / "spec.json"],
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=True,
            )


def render(verdicts: Mapping[str, list[Verdict]]) -> Iterator[str]:
    """The lines of a table: a row a group, a column a loop."""
    yield f"| group | | {' | '.join(verdicts)} |"
    yield f"|---|---|{'---|' * len(verdicts)}"
    for group, title in GROUPS.items():
        cells = []
        for of_loop in verdicts.values():
            found = Counter(v.behavior for v in of_loop if v.group == group)
            cells.append(", ".join(f"{n} {word}" for word, n in sorted(found.items())[::-1]))
        if any(cells):
            yield f"| {group} | {title} | {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Autobahn's fuzzing client against the server")
    parser.add_argument("--loops", default=",".join(LOOPS))
    parser.add_argument("--cases", default=",".join(SELECTIONS))
    parser.add_argument("--resume", action="store_true", help="use the reports that are there")
    parser.add_argument("--write", action="store_true", help="the table into docs/websocket.md")
    arguments = parser.parse_args()
    try:
        wstest = install_wstest(DIRECTORY)
    except NoPython27 as error:
        print(error, file=sys.stderr)
        return 1
    loops = arguments.loops.split(",")
    selections = arguments.cases.split(",")
    verdicts = {loop: run_loop(loop, selections, wstest, arguments.resume) for loop in loops}
    table = "\n".join(render(verdicts))
    print(table)
    bad = [(loop, v) for loop, of_loop in verdicts.items() for v in of_loop if not v.is_good]
    for loop, verdict in bad[:20]:
        print(f"{loop}: {verdict.case} {verdict.behavior}, closing {verdict.closing}")
    if arguments.write:
        PAGE.write_text(TABLE.sub(lambda _: table + "\n", PAGE.read_text()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
