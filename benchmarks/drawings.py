"""The charts of the report: which figures stand in which panel."""

from __future__ import annotations

from collections.abc import Sequence

from chart import Bar, Panel, render_chart
from figures import CONNECTION, IDLE, P99_OWN, Figures
from servers import SERVERS
from workloads import WORKLOADS, Interface

CHART_TITLES = {
    "wsgi": "WSGI: CPU microseconds per request, less is better",
    "asgi": "ASGI: CPU microseconds per request, less is better",
    "latency": "99th percentile of the latency in microseconds, less is better",
    "memory": "Memory of an idle server in MiB, less is better",
    "connections": "Memory of an idle connection in KiB, less is better",
}
UNITS = {"wsgi": "us", "asgi": "us", "latency": "us", "memory": "MiB", "connections": "KiB"}


def draw(figures: Figures) -> dict[str, str]:
    """Name -> SVG, of what was measured."""
    loads = [(workload.title, workload.name) for workload in WORKLOADS]
    panels = {
        "wsgi": _panels(figures, loads, "wsgi"),
        "asgi": _panels(figures, loads, "asgi"),
        "latency": _both(figures, "p99 at half of saturation", P99_OWN),
        "memory": _both(figures, "idle server, MiB", IDLE),
        "connections": _both(figures, "idle connection, KiB", CONNECTION),
    }
    return {
        name: render_chart(CHART_TITLES[name], drawn, UNITS[name])
        for name, drawn in panels.items()
        if drawn
    }


def image(name: str) -> str:
    """A chart in Markdown."""
    return f"![{CHART_TITLES[name]}](charts/{name}.svg)"


def _both(figures: Figures, title: str, measure: str) -> list[Panel]:
    """One measure, for both interfaces."""
    wsgi = _panels(figures, [(f"WSGI: {title}", measure)], "wsgi")
    return wsgi + _panels(figures, [(f"ASGI: {title}", measure)], "asgi")


def _panels(
    figures: Figures, measures: Sequence[tuple[str, str]], interface: Interface
) -> list[Panel]:
    """A panel for each (title, measure) that has figures, the least first."""
    servers = [s for s in SERVERS if s.interface == interface and not s.is_pure]
    panels = []
    for title, measure in measures:
        known = [(server, figures.median(measure, server.name)) for server in servers]
        bars = [Bar(server.title, value, server.is_ours) for server, value in known if value]
        if bars:
            panels.append(Panel(title, sorted(bars, key=lambda bar: bar.value)))
    return panels
