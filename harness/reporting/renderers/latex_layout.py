"""How wide LaTeX prints a text, and how columns are shared out so that tables fit.

Widths are estimates from the fonts of LaTeX (Computer Modern, the widest in use; the Times of
IEEEtran is narrower), so that a table that fits by them fits in print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from harness.reporting.table import MISSING, Cell, Column, Table

COLUMN_PT = 229.0
"""Width of a text column: that of ``article`` in two columns; IEEEtran has 252."""

PAGE_PT = 468.0
"""Width of a page of two columns: that of ``article``; IEEEtran has 516."""

FOOTNOTE_PT, SCRIPT_PT, TINY_PT = 8.0, 7.0, 5.0
"""Sizes of the fonts of tables."""

_EM = {" ": 0.35, ".": 0.3, ",": 0.3, ":": 0.3, "-": 0.35, "±": 0.85, "+": 0.85, "−": 0.85}
_EM |= {"i": 0.3, "l": 0.3, "[": 0.32, "]": 0.32, "(": 0.42, ")": 0.42, "/": 0.53, "Δ": 0.9}
_EM |= {"σ": 0.62, "=": 0.85, "m": 0.88, "w": 0.78, "†": 0.4, "‡": 0.4, "§": 0.4, "¶": 0.4}
_LOWER, _UPPER, _BOLD = 0.55, 0.8, 1.16


def width_pt(text: str, size_pt: float, bold: bool = False) -> float:
    """Return about how wide a text is at a size; Computer Modern is wider where it is small."""
    total = 0.0
    for character in text:
        default = _UPPER if character.isupper() or ord(character) > 0x250 else _LOWER
        total += _EM.get(character, default)
    return total * size_pt * (_BOLD if bold else 1.0)


def cell_width_pt(cell: Cell, size_pt: float) -> float:
    """Return how wide a value is, with its spread small behind it."""
    narrow = cell.narrow
    value, sign, spread = narrow.text.partition("±")
    marks = 2.5 * len(cell.notes)
    # Tiny figures are wider than their size says.
    small = width_pt(sign + spread, TINY_PT * 1.25) if sign else 0.0
    return width_pt(value, size_pt, narrow.rank == 1) + small + marks


def known_columns(table: Table) -> list[Column]:
    """Return the columns in which anything is known; all of them if nothing is."""
    known = []
    for column in table.columns:
        if any(text not in ("", MISSING) for text in _texts(table, column)):
            known.append(column)
    return known or list(table.columns)


def _texts(table: Table, column: Column) -> Iterator[str]:
    for row in table.rows:
        if row.is_of_columns:
            continue
        for (key, _), cell in row.cells.items():
            if key == column.key:
                yield cell.text


def blocks(
    columns: Sequence[Column], fits: Callable[[Sequence[Column]], bool]
) -> list[list[Column]]:
    """Cut columns into as few blocks as fit, of like size where that fits as well."""
    found: list[list[Column]] = [[]]
    for column in columns:
        if found[-1] and not fits([*found[-1], column]):
            found.append([])
        found[-1].append(column)
    size = -(-len(columns) // len(found))
    alike = []
    for start in range(0, len(columns), max(1, size)):
        alike.append(list(columns[start : start + size]))
    if len(alike) == len(found) and all(map(fits, alike)):
        return alike
    return found


def broken_label(label: str, longest: int) -> list[str]:
    """Return a label in lines, broken at spaces and behind the signs between options."""
    lines = [""]
    for piece in re.findall(r"[^\s:=_+,]+[:=_+,]*\s*|[:=_+,]+\s*|\s+", label):
        rest = piece
        if len((lines[-1] + rest).rstrip()) > longest and lines[-1]:
            lines.append("")
        while len(rest.rstrip()) > longest:
            lines[-1] = rest[:longest]
            rest = rest[longest:]
            lines.append("")
        lines[-1] += rest
    return [line.strip() for line in lines if line.strip()] or [""]
