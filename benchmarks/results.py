"""What a run leaves behind: one JSON file with a section a part, which the report is rendered from.

    {"speed": {"machine": {...}, "settings": {...}, "records": [...], "errors": [...], "skipped": {...}},
     "latency": {...}, "memory": {...}, "fairness": {...}}

Sections may come from different runs; each keeps the description of the machine as it was then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sections import Record

SECTION_NAMES = ("speed", "latency", "memory", "fairness")


@dataclass
class Section:
    """One part of a run."""

    machine: dict[str, str]
    settings: dict[str, int]
    records: list[Record] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # distribution or section -> why


Results = dict[str, Section]


def load(path: Path) -> Results:
    """The sections in a file, none when there is no such file."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text())
    return {name: Section(**data[name]) for name in SECTION_NAMES if name in data}


def merge(path: Path, fresh: Mapping[str, Section]) -> Results:
    """Write the sections of a run over those of the same name in a file; return all of them."""
    results = {**load(path), **fresh}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_to_json(results))
    return results


def _to_json(results: Results) -> str:
    """One record a line, so that a difference of two versions can be read."""
    parts = []
    for name in SECTION_NAMES:
        if name in results:
            fields = asdict(results[name])
            lines = [json.dumps(record) for record in fields.pop("records")]
            records = ",\n   ".join(lines)
            head = json.dumps(fields, indent=2)[:-2].replace("\n", "\n ")
            parts.append(f' "{name}": {head},\n   "records": [\n   {records}\n  ]\n }}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
