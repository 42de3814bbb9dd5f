"""A table for a terminal."""

from __future__ import annotations

import textwrap

from harness.reporting.renderers.grid import GridStyle, grid
from harness.reporting.table import Marking, Table

_BOLD, _UNDERLINE, _PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"
_COLOURS = Marking("best bold", "second underlined")
_SIGNS = Marking("best *", "second _")
_WIDTH = 100
"""Characters of a line of text where the terminal is not narrower."""


def render(table: Table, colour: bool, width: int | None = None) -> str:
    """Return the table with its caption, remarks and footnotes.

    Best is bold and second underlined where the terminal has colours; without them they are
    marked ``*`` and ``_`` behind the number. Columns that do not fit ``width`` characters stand
    below the others, in a grid of their own; None sets no limit.
    """
    marking = _COLOURS if colour else _SIGNS
    lines = [body(table, colour, width)]
    for text in (table.caption_with(marking), *table.remarks, *table.footnotes):
        lines.append(wrapped(text, width))
    return "\n".join(lines)


def wrapped(text: str, width: int | None = None) -> str:
    """Return ``text`` in lines that fit the terminal, at most 100 characters each."""
    return textwrap.fill(text, min(width or _WIDTH, _WIDTH), break_on_hyphens=False)


def body(table: Table, colour: bool = False, width: int | None = None) -> str:
    """Return the grid of the table alone."""
    is_plain = table.layout == "plain"
    style = GridStyle(
        lines="simple" if is_plain else "simple_outline",
        mark=_coloured if colour else _signed,
        escape=str,
        part=str.upper,
        group="{}:".format,
        gap=2 if is_plain else 3,
    )
    return grid(table, style, width)


def _coloured(text: str, rank: int | None) -> str:
    if not rank:
        return text
    return f"{_BOLD if rank == 1 else _UNDERLINE}{text}{_PLAIN}"


def _signed(text: str, rank: int | None) -> str:
    return text + {1: "*", 2: "_"}.get(rank or 0, "")
