"""From records to figures: the median and the spread of everything that was measured of a server."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from results import Results
from sections import Record

# Measures other than a workload's name, which stands for CPU microseconds per request.
# The median of the p99 of each tenth of a second; see openload.c.
P99_OWN = "p99 at half of the own saturation, us"
P99_COMMON = "p99 at the common rate, us"
P99_WHOLE = "p99 at half of the own saturation of all of the time, us"
IDLE = "PSS of an idle server, MiB"
CONNECTION = "PSS of an idle connection, KiB"
UNEVEN = "connections that a worker was off its share, at worst"


@dataclass(frozen=True)
class Figure:
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """Half of what lies between the extremes."""
        return (self.high - self.low) / 2


class Figures:
    """Everything that was measured, by measure (a workload's name, or a constant above) and server."""

    def __init__(self, results: Results) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._read = {
            "speed": self._read_sample,
            "latency": self._read_latency,
            "memory": self._read_memory,
            "fairness": self._read_opening,
        }
        for name, section in results.items():
            for record in section.records:
                self._read[name](record)

    def get(self, measure: str, server: str) -> Figure | None:
        """What is known of a server, or None when it was not measured."""
        values = self._values.get((measure, server))
        if not values:
            return None
        return Figure(statistics.median(values), min(values), max(values))

    def median(self, measure: str, server: str) -> float | None:
        """The median alone."""
        figure = self.get(measure, server)
        return figure.median if figure else None

    def ratio(self, measure: str, numerator: str, denominator: str) -> float | None:
        """The median of one server over that of another, or None when one is missing."""
        above, below = self.median(measure, numerator), self.median(measure, denominator)
        return above / below if above is not None and below else None

    def _add(self, measure: str, record: Record, value: float) -> None:
        self._values[measure, record["server"]].append(value)

    def _read_sample(self, record: Record) -> None:
        self._add(record["workload"], record, record["cpu_seconds"] / record["requests"] * 1e6)

    def _read_latency(self, record: Record) -> None:
        if record["kind"] == "own":
            self._add(P99_OWN, record, record["typical_p99"])
            self._add(P99_WHOLE, record, record["p99"])
        else:
            self._add(P99_COMMON, record, record["typical_p99"])

    def _read_memory(self, record: Record) -> None:
        if record["kind"] == "idle":
            self._add(IDLE, record, record["kib"] / 1024)
        else:
            self._add(CONNECTION, record, record["kib"])

    def _read_opening(self, record: Record) -> None:
        held = record["held"]
        share = sum(held) / len(held)
        off = max(abs(count - share) for count in held)
        known = self._values.get((UNEVEN, record["server"]), [0.0])
        self._values[UNEVEN, record["server"]] = [max(off, *known)]

    def __repr__(self) -> str:
        return f"<Figures of {len(self._values)} cells>"
