"""A table for a terminal."""

from __future__ import annotations

import textwrap

from harness.reporting.renderers.grid import GridStyle, grid
from harness.reporting.table import Table

_BOLD, _UNDERLINE, _PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"
_WIDTH = 100
_PLAIN_WIDTH = 96


def render(table: Table, colour: bool) -> str:
    """Return the table with its caption, remarks and footnotes.

    Best is bold and second underlined where the terminal has colours; without them they are
    marked ``*`` and ``_`` behind the number.
    """
    marking = "best bold, second underlined" if colour else "best *, second _"
    wrapped = [table.caption_with(marking), *table.remarks]
    lines = [body(table, colour)]
    if table.layout == "wide":
        wrapped += table.footnotes
    for text in wrapped:
        lines += textwrap.wrap(text, _PLAIN_WIDTH if table.layout == "plain" else _WIDTH)
    if table.layout != "wide":
        lines += table.footnotes
    return "\n".join(lines)


def body(table: Table, colour: bool = False) -> str:
    """Return the grid of the table alone."""
    style = GridStyle(
        lines="simple" if table.layout == "plain" else "simple_outline",
        mark=_coloured if colour else _signed,
        escape=str,
        part=str.upper,
        group="{}:".format,
    )
    return grid(table, style)


def _coloured(text: str, rank: int | None) -> str:
    if not rank:
        return text
    return f"{_BOLD if rank == 1 else _UNDERLINE}{text}{_PLAIN}"


def _signed(text: str, rank: int | None) -> str:
    return text + {1: "*", 2: "_"}.get(rank or 0, "")
