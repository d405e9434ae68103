"""Markdown that reads well in a terminal, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def bullets(lines: Iterable[str]) -> str:
    """A list; a line's own line breaks are indented."""
    return "\n".join("- " + line.replace("\n", "\n  ") for line in lines)


def table(lines: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Rows, the first one the heading: text columns to the left, then numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rule = [
        "-" * width if index < text_columns else "-" * (width - 1) + ":"
        for index, width in enumerate(widths)
    ]
    rows = [lines[0], rule, *lines[1:]]
    return "\n".join("| " + " | ".join(_padded(row, widths, text_columns)) + " |" for row in rows)


def _padded(row: Sequence[str], widths: Sequence[int], text_columns: int) -> list[str]:
    return [
        cell.ljust(width) if index < text_columns else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
