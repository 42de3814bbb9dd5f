"""Cutting a grid that is wider than its reader into grids below each other."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_NARROWEST_LABEL = 12
"""Characters that a row's label keeps however narrow the terminal is."""

_HEAD_PADDING = 2
"""Characters that tabulate adds to the head of a column."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Sheet:
    """The texts of a grid; the first column holds the labels of rows.

    Attributes:
        heads: of the columns.
        lines: as many texts each.
        alignment: ``left`` or ``right``, by column.
    """

    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    alignment: Sequence[str]


def folded(sheet: Sheet, width: int, gap: int) -> list[Sheet]:
    """Return sheets of at most ``width`` characters that hold the columns of ``sheet`` in order.

    Each repeats the labels. A sheet is wider only where one column does not fit beside the labels.

    Args:
        sheet: what is cut.
        width: of the terminal.
        gap: characters that a column costs beside its widest text.
    """
    widths = []
    for column in range(len(sheet.heads)):
        widths.append(_widest(sheet, column) + gap)
    if sum(widths) < width or len(widths) < 2:
        return [sheet]
    room = width - 1 - max(widths[1:]) - gap
    labels = _with_short_labels(sheet, max(_NARROWEST_LABEL, room))
    label_width = _widest(labels, 0) + gap
    blocks: list[list[int]] = [[0]]
    used = label_width
    for column in range(1, len(widths)):
        if used + widths[column] >= width and len(blocks[-1]) > 1:
            blocks.append([0])
            used = label_width
        blocks[-1].append(column)
        used += widths[column]
    return [_part(labels, columns) for columns in blocks]


def shown_width(text: str) -> int:
    """Return how many characters of a terminal the longest line of ``text`` takes."""
    longest = 0
    for line in _COLOUR.sub("", text).split("\n"):
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
        longest = max(longest, len(line) + wide)
    return longest


def _widest(sheet: Sheet, column: int) -> int:
    widths = [shown_width(sheet.heads[column]) + _HEAD_PADDING]
    for line in sheet.lines:
        widths.append(shown_width(line[column]))
    return max(widths)


def _with_short_labels(sheet: Sheet, longest: int) -> Sheet:
    """Return the sheet with labels that go on in a second line where they are longer."""
    lines = [[_wrapped(line[0], longest), *line[1:]] for line in sheet.lines]
    heads = [_wrapped(sheet.heads[0], longest), *sheet.heads[1:]]
    return Sheet(heads, lines, sheet.alignment)


def _wrapped(text: str, longest: int) -> str:
    if shown_width(text) <= longest:
        return text
    return "\n".join(textwrap.wrap(text, longest))


def _part(sheet: Sheet, columns: Sequence[int]) -> Sheet:
    lines = []
    for line in sheet.lines:
        lines.append([line[column] for column in columns])
    heads = [sheet.heads[column] for column in columns]
    return Sheet(heads, lines, [sheet.alignment[column] for column in columns])
