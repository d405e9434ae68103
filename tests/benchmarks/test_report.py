"""From records to the report: medians, verdicts, tables, charts, and that results survive a merge."""

from __future__ import annotations

import importlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

SVG = "{http://www.w3.org/2000/svg}"


def module(name: str) -> Any:
    return importlib.import_module(name)


def section(*records: dict[str, Any], date: str = "2026-01-02", **changes: Any) -> Any:
    machine = {"Date": date, "CPU": "one", "Load average before": date}
    settings = {"rounds": 3, "seconds": 1, "connections": 64}
    return module("results").Section(machine, settings, list(records), **changes)


def sample(server: str, microseconds: float, workload: str = "hello") -> dict[str, Any]:
    return {
        "workload": workload,
        "server": server,
        "requests": 1_000_000,
        "wall_seconds": 10.0,
        "cpu_seconds": microseconds,
        "others_seconds": 0.0,
    }


def latency(server: str, kind: str, p99: float) -> dict[str, Any]:
    return {
        "server": server,
        "kind": kind,
        "rate": 500,
        "saturation": 1000,
        "p50": 7.0,
        "typical_p99": p99,
        "p99": 30 * p99,
        "disturbance": 0.125,
    }


def row(text: str, start: str) -> list[str]:
    """The cells of the first table row that starts with a cell."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == start:
            return cells
    raise AssertionError(f"no row {start!r} in:\n{text}")


def test_figures_are_medians_with_their_extremes() -> None:
    data = {"speed": section(*(sample("bjoern", value) for value in (30.0, 90.0, 40.0)))}
    figure = module("figures").Figures(data).get("hello", "bjoern")
    assert (figure.median, figure.low, figure.high, figure.spread) == (40.0, 30.0, 90.0, 30.0)


def test_uneven_is_the_worst_of_all_openings() -> None:
    records = [{"server": "bjoern", "held": held} for held in ([20, 16, 15, 13], [17, 16, 16, 15])]
    figures = module("figures").Figures({"fairness": section(*records)})
    assert figures.median(module("figures").UNEVEN, "bjoern") == 4.0


@pytest.mark.parametrize(("ours", "met"), [(60.0, True), (60.1, False)])
def test_a_target_compares_with_the_best_rival(ours: float, met: bool) -> None:
    targets, figures = module("targets"), module("figures")
    target = targets.Target("x", "hello", "greenuni-sync", 0.6, "both", ("bjoern", "waitress"))
    data = {
        "speed": section(
            sample("greenuni-sync", ours), sample("bjoern", 100.0), sample("waitress", 300.0)
        )
    }
    verdict = targets.judge(target, figures.Figures(data))
    assert (verdict.rival, verdict.is_met) == ("bjoern", met)


def test_a_target_without_rivals_is_a_number() -> None:
    targets, figures = module("targets"), module("figures")
    target = targets.Target("x", figures.IDLE, "greenuni-sync", 20.0)
    for mib, met in ((20.0, True), (20.5, False)):
        record = {"kind": "idle", "server": "greenuni-sync", "kib": mib * 1024}
        verdict = targets.judge(target, figures.Figures({"memory": section(record)}))
        assert (verdict.measured, verdict.is_met) == (mib, met)


def test_a_target_needs_both_sides() -> None:
    targets, figures = module("targets"), module("figures")
    target = targets.Target("x", "hello", "greenuni-sync", 0.6, "bjoern", ("bjoern",))
    for lonely in ("bjoern", "greenuni-sync"):
        data = {"speed": section(sample(lonely, 1.0))}
        assert targets.judge(target, figures.Figures(data)) is None


def test_targets_name_what_exists() -> None:
    known, targets = module("servers").BY_NAME, module("targets").TARGETS
    for target in targets:
        assert {target.ours, *target.rivals} <= set(known)
        assert bool(target.rivals) == bool(target.than)
        interfaces = {known[name].interface for name in (target.ours, *target.rivals)}
        assert len(interfaces) == 1


def test_the_report_shows_times_ratios_and_verdicts() -> None:
    data = {
        "speed": section(
            sample("greenuni-sync", 9.0),
            sample("bjoern", 8.0),
            sample("bjoern", 12.0),
            sample("greenuni-sync-pure", 70.0),
        )
    }
    text = module("render").render(data)
    assert row(text, "bjoern (C)") == ["bjoern (C)", "10.0 ± 2.0"]
    assert row(text.split("### greenuni sync / rival")[1], "bjoern (C)") == ["bjoern (C)", "0.90"]
    assert row(text, "greenuni sync, pure Python") == ["greenuni sync, pure Python", "70.0"]
    verdict = row(text, "WSGI hello")
    assert verdict == ["WSGI hello", "1.00 x bjoern", "9.0 us", "0.90 x bjoern (C)", "yes"]
    assert "## ASGI" not in text


def test_the_report_shows_latency_memory_and_fairness() -> None:
    data = {
        "latency": section(latency("bjoern", "own", 100.0), latency("bjoern", "common", 50.0)),
        "memory": section(
            {"kind": "idle", "server": "greenuni-sync", "kib": 21 * 1024},
            {"kind": "connection", "server": "greenuni-sync", "kib": 2.5, "connections": 10_000},
        ),
        "fairness": section({"server": "granian-asgi", "held": [20, 16, 16, 12]}),
    }
    text = module("render").render(data)
    assert "had the CPU for 12% of the time" in text
    latencies = row(text, "bjoern (C)")
    assert latencies == ["bjoern (C)", "1,000", "7", "100", "50", "3000"]
    assert row(text, "greenuni sync") == ["greenuni sync", "21.0", "2.5"]
    openings = row(text, "granian asgi (Rust)")
    assert openings == ["granian asgi (Rust)", "12", "20", "20 16 16 12"]
    assert "| **no**" in text  # 21 MiB are too much


def test_a_disturbed_run_says_so() -> None:
    records = [{**sample("bjoern", 8.0), "others_seconds": others} for others in (0.1, 0.3, 4.0)]
    text = module("render").render({"speed": section(*records)})
    assert "3 rounds of 1 s a workload" in text
    assert "for 3% of the time in the median measurement and for 40% in the worst" in text


def test_errors_and_what_is_missing_are_told() -> None:
    data = {"speed": section(errors=["hello of bjoern: gone"], skipped={"bjoern": "no libev"})}
    text = module("render").render(data)
    assert "- hello of bjoern: gone" in text
    assert "- bjoern: no libev" in text


def test_sections_of_other_machines_say_so() -> None:
    old, new = section(date="2026-01-01"), section(date="2026-02-02")
    old.machine["CPU"] = "another"
    text = module("render").render({"speed": old, "memory": new})
    assert "- Section speed: 2026-01-01; another" in text
    assert "- CPU: one" in text


def test_results_are_merged_by_section(tmp_path: Path) -> None:
    results, path = module("results"), tmp_path / "results" / "latest.json"
    results.merge(path, {"speed": section(sample("bjoern", 6.0)), "memory": section()})
    results.merge(path, {"speed": section(sample("bjoern", 7.5), errors=["one"])})
    loaded = results.load(path)
    assert [record["cpu_seconds"] for record in loaded["speed"].records] == [7.5]
    assert loaded["speed"].errors == ["one"]
    assert loaded["memory"] == section()


def test_no_results_are_an_empty_report(tmp_path: Path) -> None:
    module("render").write_report(module("results").load(tmp_path / "none.json"), tmp_path)
    assert "0 of" in (tmp_path / "README.md").read_text()


def test_a_chart_is_written_for_what_was_measured(tmp_path: Path) -> None:
    data = {"speed": section(sample("greenuni-sync", 8.0), sample("waitress", 90.0))}
    module("render").write_report(data, tmp_path)
    assert "(charts/wsgi.svg)" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "charts" / "wsgi.svg").exists()
    assert not (tmp_path / "charts" / "asgi.svg").exists()


def chart(*bars: tuple[str, float]) -> ElementTree.Element:
    module_ = module("chart")
    panel = module_.Panel("hello", [module_.Bar(label, value) for label, value in bars])
    return ElementTree.fromstring(module_.render_chart("A <title>", [panel], "us"))


def test_bars_are_to_scale_and_told_in_words() -> None:
    root = chart(("a & b", 10.0), ("c", 20.0))
    short, long = (float(bar.get("width", "0")) for bar in root.iter(f"{SVG}rect"))
    assert long == pytest.approx(2 * short)
    assert root.findtext(f"{SVG}desc") == "hello: a & b 10.0 us, c 20.0 us."


def test_a_bar_that_is_far_too_long_is_cut_and_keeps_its_number() -> None:
    root = chart(("fast", 8.0), ("slow", 800.0))
    bars = list(root.iter(f"{SVG}rect"))
    assert len(bars) == 3  # one whole, one in two pieces
    ends = [float(bar.get("x", "0")) + float(bar.get("width", "0")) for bar in bars]
    limit = module("chart").LABEL_WIDTH + module("chart").BAR_WIDTH
    assert max(ends) == limit
    assert "800.0" in [text.text for text in root.iter(f"{SVG}text")]


def test_the_committed_report_is_what_its_results_render_to(tmp_path: Path) -> None:
    directory = Path(module("render").__file__).parent
    data = module("results").load(directory / "results" / "latest.json")
    module("render").write_report(data, tmp_path)
    for fresh in (path for path in tmp_path.rglob("*") if path.is_file()):
        committed = directory / fresh.relative_to(tmp_path)
        assert committed.read_text() == fresh.read_text(), f"make bench-render: {committed.name}"
