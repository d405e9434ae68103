"""Bar charts as SVG, written by hand: a few panels of horizontal bars, readable on light and dark.

A rival may need fifty times as long as another, so a panel ends at ``LONGEST`` times its shortest
bar; a bar that would be longer is cut there, visibly, and its number says how long it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

LONGEST = 6.0
COLUMNS = 2
PANEL_WIDTH = 440
LABEL_WIDTH = 180
BAR_WIDTH = 190
ROW_HEIGHT = 20
BAR_HEIGHT = 13
TITLE_HEIGHT = 34
PADDING = 12

STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600;font-size:13px}"
    ".ours{fill:#2f9e44}.rival{fill:#8a939c}.oursname{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}}"
)


@dataclass(frozen=True)
class Bar:
    """One row of a panel."""

    label: str
    value: float
    is_ours: bool = False


@dataclass(frozen=True)
class Panel:
    """Bars that are compared with each other."""

    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """In pixels."""
        return TITLE_HEIGHT + ROW_HEIGHT * len(self.bars) + PADDING


def render_chart(title: str, panels: Sequence[Panel], unit: str) -> str:
    """A whole SVG document; its description holds every number, for those who cannot see it."""
    rows = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    width = PANEL_WIDTH * min(COLUMNS, len(panels))
    parts: list[str] = []
    top = 0
    for row in rows:
        parts += [_panel(panel, PANEL_WIDTH * column, top) for column, panel in enumerate(row)]
        top += max(panel.height for panel in row)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}"'
        f' height="{top}" role="img" aria-labelledby="title description">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="description">{escape(_description(panels, unit))}</desc>\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _description(panels: Sequence[Panel], unit: str) -> str:
    return " ".join(
        f"{panel.title}: "
        + ", ".join(f"{bar.label} {bar.value:.1f} {unit}" for bar in panel.bars)
        + "."
        for panel in panels
    )


def _panel(panel: Panel, left: int, top: int) -> str:
    limit = LONGEST * min(bar.value for bar in panel.bars)
    scale = BAR_WIDTH / min(limit, max(bar.value for bar in panel.bars))
    lines = [f'<text class="title" x="{PADDING}" y="22">{escape(panel.title)}</text>']
    for index, bar in enumerate(panel.bars):
        lines += _row(bar, TITLE_HEIGHT + ROW_HEIGHT * index, scale)
    return f'<g transform="translate({left} {top})">\n' + "\n".join(lines) + "\n</g>"


def _row(bar: Bar, top: int, scale: float) -> list[str]:
    kind = "ours" if bar.is_ours else "rival"
    length = min(bar.value * scale, BAR_WIDTH)
    baseline = top + BAR_HEIGHT - 2
    name = ' class="oursname"' if bar.is_ours else ""
    shapes = [_rectangle(kind, LABEL_WIDTH, top, length)]
    if bar.value * scale > BAR_WIDTH + 0.5:
        cut = BAR_WIDTH - 14
        shapes = [
            _rectangle(kind, LABEL_WIDTH, top, cut),
            _rectangle(kind, LABEL_WIDTH + cut + 4, top, 10),
        ]
    return [
        f'<text{name} x="{LABEL_WIDTH - 8}" y="{baseline}" text-anchor="end">{escape(bar.label)}</text>',
        *shapes,
        f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{baseline}">{bar.value:.1f}</text>',
    ]


def _rectangle(kind: str, left: float, top: float, width: float) -> str:
    return f'<rect class="{kind}" x="{left}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}"/>'
