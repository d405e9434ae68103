"""The report, rendered from a run's results: ``python3 benchmarks/render.py [DIRECTORY]``.

Reads ``results/latest.json`` of the directory (that of this file) and writes ``README.md`` and
``charts/`` there. No number comes from anywhere else.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import results
from drawings import draw, image
from figures import CONNECTION, IDLE, P99_COMMON, P99_OWN, P99_WHOLE, UNEVEN, Figure, Figures
from results import Results, Section
from sections import Record
from servers import BY_NAME, SERVERS, Server
from speed import Sample
from tables import bullets, table
from targets import TARGETS, Target, Verdict, judge
from workloads import WORKLOADS, Interface, Workload

HERE = Path(__file__).resolve().parent
METHOD = HERE / "method.md"
GENERATED = "<!-- Rendered by benchmarks/render.py from results/latest.json. Do not edit. -->"
COMPILED = tuple(server for server in SERVERS if not server.is_pure)
PURE = tuple(server for server in SERVERS if server.is_pure)
TITLES: dict[Interface, str] = {"wsgi": "WSGI", "asgi": "ASGI"}


def write_report(data: Results, directory: Path) -> None:
    """Write the report and its charts into a directory."""
    figures = Figures(data)
    (directory / "charts").mkdir(parents=True, exist_ok=True)
    for name, drawn in draw(figures).items():
        (directory / "charts" / f"{name}.svg").write_text(drawn)
    (directory / "README.md").write_text(render(data))


def render(data: Results) -> str:
    """The whole report as Markdown."""
    figures = Figures(data)
    parts = ["# Benchmarks", GENERATED, METHOD.read_text().split("\n## ", 1)[0].strip()]
    parts += _targets(figures)
    parts += _machine(data)
    if "speed" in data:
        parts += _conditions(data["speed"])
        for interface in TITLES:
            parts += _speed(figures, interface)
        parts += _pure(figures)
    if "latency" in data:
        parts += _latency(data["latency"], figures)
    if "memory" in data:
        parts += _memory(data["memory"], figures)
    if "fairness" in data:
        parts += _fairness(data["fairness"])
    parts += _problems(data)
    parts.append("## " + METHOD.read_text().split("\n## ", 1)[1].strip())
    return "\n\n".join(parts) + "\n"


def _targets(figures: Figures) -> list[str]:
    verdicts = {target: judge(target, figures) for target in TARGETS}
    judged = [verdict for verdict in verdicts.values() if verdict]
    met = sum(verdict.is_met for verdict in judged)
    rows = [["target", "at most", "measured", "that is", "met?"]]
    rows += [_target_row(target, verdict) for target, verdict in verdicts.items()]
    missing = len(TARGETS) - len(judged)
    counted = f"{met} of {len(TARGETS)} are met" + (
        f", {missing} not measured." if missing else "."
    )
    return ["## Targets", counted, table(rows, text_columns=5)]


def _target_row(target: Target, verdict: Verdict | None) -> list[str]:
    unit = _unit(target.measure)
    bound = f"{target.factor:.2f} x {target.than}" if target.rivals else f"{target.factor:g} {unit}"
    if verdict is None:
        return [target.words, bound, "", "", "not measured"]
    ratio = ""
    if verdict.rival:
        times = verdict.measured / verdict.rival_measured
        ratio = f"{times:.2f} x {BY_NAME[verdict.rival].title}"
    met = "yes" if verdict.is_met else "**no**"
    return [target.words, bound, f"{verdict.measured:.1f} {unit}", ratio, met]


def _unit(measure: str) -> str:
    """What the figures of a measure are counted in."""
    return {IDLE: "MiB", CONNECTION: "KiB each", UNEVEN: "off a fair share"}.get(measure, "us")


def _machine(data: Results) -> list[str]:
    """The machine of the newest section; of the others what was different when they ran."""
    if not data:
        return []
    newest = max(data.values(), key=lambda section: section.machine["Date"])
    lines = [f"{label}: {value}" for label, value in newest.machine.items()]
    for name, section in data.items():
        different = [
            value
            for label, value in section.machine.items()
            if newest.machine.get(label) != value and label != "Load average before"
        ]
        if section is not newest and different:
            lines.append(f"Section {name}: {'; '.join(different)}")
    return ["## Machine", bullets(lines)]


def _conditions(section: Section) -> list[str]:
    """How the speed section was measured, and how far somebody else disturbed it."""
    shares = [Sample(**record).disturbance for record in section.records]
    if not shares:
        return []
    settings = section.settings
    return [
        f"The tables of CPU time: {settings['rounds']} rounds of {settings['seconds']} s a workload, over"
        f" {settings['connections']} connections. {_disturbance(shares)}"
    ]


def _disturbance(shares: Sequence[float]) -> str:
    return (
        f"Others, the hypervisor included, had the CPU for {statistics.median(shares):.0%} of the time"
        f" in the median measurement and for {max(shares):.0%} in the worst; above a few percent,"
        " measure again."
    )


def _speed(figures: Figures, interface: Interface) -> list[str]:
    servers = [server for server in COMPILED if server.interface == interface]
    times = _grid("server", servers, lambda load, server: _cell(figures.get(load, server.name)))
    if not times:
        return []
    parts = [
        f"## {TITLES[interface]}: CPU microseconds per request",
        image(interface),
        "The median of the rounds, and half of the distance between the lowest and the highest. In the"
        " chart a bar with a cut is longer than there is room for.",
        times,
    ]
    rivals = [server for server in servers if not server.is_ours]
    for ours in servers:
        if ours.is_ours and rivals:
            parts += _ratios(figures, ours, rivals)
    return parts


def _ratios(figures: Figures, ours: Server, rivals: Sequence[Server]) -> list[str]:
    def cell(workload: str, rival: Server) -> str:
        ratio = figures.ratio(workload, ours.name, rival.name)
        return "" if ratio is None else f"{ratio:.2f}"

    ratios = _grid("rival", rivals, cell)
    if not ratios:
        return []
    return [f"### {ours.title} / rival (below 1: greenuni needs less)", ratios]


def _pure(figures: Figures) -> list[str]:
    """The table of an installation without a compiler."""

    def cell(workload: str, server: Server) -> str:
        return _cell(figures.get(workload, server.name))

    times = _grid("server", PURE, cell)
    if not times:
        return []
    return [
        "## Pure Python: CPU microseconds per request",
        "The same installation with GREENUNI_PURE=1, which runs every module from its Python source,"
        " as an installation without a C compiler does.",
        times,
    ]


def _cell(figure: Figure | None) -> str:
    return _with_spread(figure, 1) if figure else ""


def _grid(corner: str, rows: Sequence[Server], cell: Callable[[str, Server], str]) -> str:
    """Servers down, workloads across; without what has no figure at all. Empty when nothing has."""

    def has_figure(workload: Workload) -> bool:
        return any(cell(workload.name, row) for row in rows)

    columns = [workload.name for workload in WORKLOADS if has_figure(workload)]
    lines = [[row.title, *(cell(name, row) for name in columns)] for row in rows]
    lines = [line for line in lines if any(line[1:])]
    return table([[corner, *columns], *lines]) if lines else ""


def _latency(section: Section, figures: Figures) -> list[str]:
    heading = ["server", "saturation, 1/s", "p50 at half of it", "p99 at half of it"]
    rows = [[*heading, "p99 at the common rate", "p99 at half, stalls included"]]
    rows += [
        _latency_row(server, own, figures)
        for server in SERVERS
        if (own := _own_rate(section, server))
    ]
    common = {record["rate"] for record in section.records if record["kind"] == "common"}
    rate = ", ".join(f"{value:,}" for value in sorted(common))
    shares = [record["disturbance"] for record in section.records]
    return [
        "## Latency, microseconds",
        "hello, asked at times that do not depend on the answers, over 64 connections: at half of each"
        f" server's own saturation, and at one rate for all, {rate} requests a second. A p99 is that of"
        " a tenth of a second, the median of them; the last column is over all of the time, with what the"
        " machine stood still." + (f" {_disturbance(shares)}" if shares else ""),
        *([image("latency")] if shares else []),
        table(rows),
    ]


def _own_rate(section: Section, server: Server) -> list[Record]:
    """The records of a server at half of its own saturation."""
    records = section.records
    return [r for r in records if r["server"] == server.name and r["kind"] == "own"]


def _latency_row(server: Server, own: Sequence[Record], figures: Figures) -> list[str]:
    return [
        server.title,
        f"{own[0]['saturation']:,}",
        f"{statistics.median(record['p50'] for record in own):.0f}",
        _whole(figures.get(P99_OWN, server.name)),
        _whole(figures.get(P99_COMMON, server.name)),
        _whole(figures.get(P99_WHOLE, server.name)),
    ]


def _whole(figure: Figure | None) -> str:
    return _with_spread(figure, 0) if figure else ""


def _with_spread(figure: Figure, digits: int) -> str:
    """The median, and the spread when there was more than one measurement."""
    spread = "" if figure.low == figure.high else f" ± {figure.spread:.{digits}f}"
    return f"{figure.median:.{digits}f}{spread}"


def _memory(section: Section, figures: Figures) -> list[str]:
    counts = {r["connections"] for r in section.records if r["kind"] == "connection"}
    rows = [["server", "idle server, MiB", "idle connection, KiB"]]
    for server in SERVERS:
        idle = figures.median(IDLE, server.name)
        connection = figures.median(CONNECTION, server.name)
        if idle is not None or connection is not None:
            cells = [f"{value:.1f}" if value is not None else "" for value in (idle, connection)]
            rows.append([server.title, *cells])
    number = ", ".join(f"{count:,}" for count in sorted(counts))
    return [
        "## Memory, proportional set size",
        "All processes of the server with one worker, after 200 requests; and what each of"
        f" {number} idle keep-alive connections adds.",
        *[image(name) for name in ("memory", "connections") if name in draw(figures)],
        table(rows),
    ]


def _fairness(section: Section) -> list[str]:
    openings: dict[str, list[list[int]]] = {}
    for record in section.records:
        openings.setdefault(record["server"], []).append(record["held"])
    rows = [["server", "fewest", "most", "a worker's connections, each time"]]
    for server in SERVERS:
        if server.name in openings:
            held = openings[server.name]
            fewest, most = min(map(min, held)), max(map(max, held))
            each = "; ".join(" ".join(map(str, counts)) for counts in held)
            rows.append([server.title, str(fewest), str(most), each])
    return [
        "## Fair accept",
        f"{section.settings['connections']} keep-alive connections, opened at once against four"
        " workers: how many each of them holds.",
        table(rows),
    ]


def _problems(data: Results) -> list[str]:
    skipped = dict.fromkeys(
        f"{name}: {reason}" for section in data.values() for name, reason in section.skipped.items()
    )
    errors = [error for section in data.values() for error in section.errors]
    parts = []
    if skipped:
        parts += ["## Not measured", bullets(skipped)]
    if errors:
        parts += ["## Errors", bullets(errors)]
    return parts


def main() -> None:
    """Render again what was measured before."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    write_report(results.load(directory / "results" / "latest.json"), directory)


if __name__ == "__main__":
    main()
