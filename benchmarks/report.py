"""From samples to tables: medians, ratios, the two claims; as Markdown and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measure import Sample
from servers import Server
from workloads import Workload

METHOD = (
    "One worker process a server, pinned to one CPU; wrk with one thread on the other. Each cell"
    " is the median over the rounds of the CPU time (user and system, all processes of the server,"
    " from /proc) per answered request. Every measurement starts the server anew; within a round"
    " all servers of a workload follow each other, and every second round goes backwards, so that"
    " a drift of the machine hits all alike. A sample in which others had more than 5 % of the"
    " server's CPU is taken again, up to three times, and the least disturbed one counts. Answers"
    " are checked before and after; a measurement in which wrk counts one error is thrown away and"
    " reported."
)


@dataclass(frozen=True)
class Claim:
    """A promise about two servers: the ratio of their times and what it has to be."""

    words: str
    workload: str
    numerator: str
    denominator: str
    bound: float
    at_most: bool

    def verdict(self, medians: Medians) -> str:
        """One line: the ratio, the target, PASS or by how much it is missed."""
        ratio = medians.ratio(self.workload, self.numerator, self.denominator)
        if ratio is None:
            return f"{self.words}: not measured in this run"
        holds = ratio <= self.bound if self.at_most else ratio >= self.bound
        sign = "<=" if self.at_most else ">="
        verdict = "PASS" if holds else f"short of target by {abs(ratio - self.bound):.2f}"
        return f"{self.words} = {ratio:.2f} (target {sign} {self.bound:.1f}): {verdict}"


CLAIMS = (
    Claim(
        "ASGI hello: greenuni (asyncio, h11) / uvicorn (asyncio, h11)",
        "hello",
        "greenuni-asyncio",
        "uvicorn-h11",
        1.0,
        at_most=True,
    ),
    Claim(
        "WSGI hello: gunicorn sync / greenuni sync",
        "hello",
        "gunicorn-sync",
        "greenuni-sync",
        2.0,
        at_most=False,
    ),
)


class Medians:
    """Median microseconds per request for each workload and server that was measured."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._values: dict[tuple[str, str], list[float]] = {}
        for sample in samples:
            cell = (sample.workload, sample.server)
            self._values.setdefault(cell, []).append(sample.microseconds)

    def get(self, workload: str, server: str) -> float | None:
        """Microseconds, or None when this pair was not measured."""
        values = self._values.get((workload, server))
        return statistics.median(values) if values else None

    def ratio(self, workload: str, numerator: str, denominator: str) -> float | None:
        """The time of one server over that of another, or None when one is missing."""
        above, below = self.get(workload, numerator), self.get(workload, denominator)
        return above / below if above and below else None

    def widest_spread(self) -> tuple[float, str, str]:
        """The largest (max - min) / median of all cells, with its workload and server."""
        spreads = [
            ((max(values) - min(values)) / statistics.median(values), workload, server)
            for (workload, server), values in self._values.items()
        ]
        return max(spreads, default=(0.0, "", ""))

    def __repr__(self) -> str:
        return f"<Medians of {len(self._values)} cells>"


@dataclass
class Report:
    """All of one run."""

    machine: dict[str, str]
    settings: dict[str, int]  # rounds, seconds, connections
    servers: Sequence[Server]
    workloads: Sequence[Workload]
    samples: list[Sample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Every sample, for later comparison."""
        return {
            "machine": self.machine,
            "settings": self.settings,
            "samples": [
                {
                    **asdict(sample),
                    "microseconds": round(sample.microseconds, 3),
                    "requests_per_second": round(sample.requests_per_second, 1),
                }
                for sample in self.samples
            ],
            "errors": self.errors,
            "skipped": self.skipped,
        }

    def to_markdown(self) -> str:
        """The whole report, which is what a run prints."""
        medians = Medians(self.samples)
        parts = [
            "# Benchmark",
            _bullets(f"{label}: {value}" for label, value in self.machine.items()),
            f"Method: {METHOD}",
            f"This run: {self._settings_sentence(medians)}",
            "## CPU time per request, microseconds",
            self._times(medians),
            *self._ratios(medians),
            *self._problems(),
            "## The two claims",
            _bullets(claim.verdict(medians) for claim in CLAIMS),
        ]
        return "\n\n".join(parts) + "\n"

    def _settings_sentence(self, medians: Medians) -> str:
        words = ", ".join(f"{name} {value}" for name, value in self.settings.items()) + "."
        spread, workload, server = medians.widest_spread()
        if spread:
            words += f" The widest spread of a cell is {spread:.0%} ({workload}, {server})."
        if self.samples:
            shares = sorted(sample.disturbance for sample in self.samples)
            words += (
                f" Others, the hypervisor included, had the servers' CPU for"
                f" {statistics.median(shares):.0%} of the time in the median measurement and for"
                f" {shares[-1]:.0%} in the worst; above a few percent, measure again."
            )
        return words

    def _times(self, medians: Medians) -> str:
        def cell(workload: Workload, server: Server) -> str:
            value = medians.get(workload.name, server.name)
            return "" if value is None else f"{value:.1f}"

        return self._table("server", self.servers, cell)

    def _ratios(self, medians: Medians) -> list[str]:
        """A table for each of our variants: its time over the time of each rival of its kind."""
        tables = []
        for ours in self.servers:
            rivals = [
                rival
                for rival in self.servers
                if not rival.is_ours and rival.interface == ours.interface
            ]
            if ours.is_ours and rivals:
                tables.append(f"## {ours.title} / rival (below 1: greenuni needs less)")
                tables.append(self._ratio_table(ours, rivals, medians))
        return tables

    def _ratio_table(self, ours: Server, rivals: Sequence[Server], medians: Medians) -> str:
        def cell(workload: Workload, rival: Server) -> str:
            value = medians.ratio(workload.name, ours.name, rival.name)
            return "" if value is None else f"{value:.2f}"

        return self._table("rival", rivals, cell)

    def _table(
        self, corner: str, rows: Sequence[Server], cell: Callable[[Workload, Server], str]
    ) -> str:
        """A Markdown table, padded so that it reads well in a terminal; empty columns are left out."""
        columns = [
            workload for workload in self.workloads if any(cell(workload, row) for row in rows)
        ]
        lines = [[corner, *(workload.name for workload in columns)]]
        lines += [[row.title, *(cell(workload, row) for workload in columns)] for row in rows]
        return _aligned(lines)

    def _problems(self) -> list[str]:
        parts = []
        if self.skipped:
            parts += ["## Not measured", _bullets(self.skipped.values())]
        if self.errors:
            parts += ["## Errors", _bullets(self.errors)]
        return parts


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join("- " + line.replace("\n", "\n  ") for line in lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Markdown table rows: the first column to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    rows = [lines[0], rule, *lines[1:]]
    return "\n".join("| " + " | ".join(_padded(row, widths)) + " |" for row in rows)


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first = row[0].ljust(widths[0])
    return [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
