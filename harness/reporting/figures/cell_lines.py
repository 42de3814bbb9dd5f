"""The values below an image as lines of text, of which those that are best are bold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.reporting.figures.style import text_width_in

SLASH = " / "
"""Stands between values in one line."""


@dataclass(frozen=True)
class Words:
    """Text of one weight in a line."""

    text: str
    weight: str

    @property
    def width_in(self) -> float:
        """Width in inches."""
        return text_width_in(self.text, weight=self.weight)


def lines_of(texts: Sequence[str], best: Collection[int], width_in: float) -> list[list[Words]]:
    """Return texts as one line where that fits a width, else as one each.

    A line is in parts of one weight; those at the places of ``best`` are bold.
    """
    words = []
    for place, text in enumerate(texts):
        words.append(Words(text, "bold" if place in best else "normal"))
    line = words
    if len({one.weight for one in words}) == 1:
        line = [Words(SLASH.join(texts), words[0].weight)]
    if line_width_in(line) <= width_in:
        return [line] if line else []
    return [[one] for one in words]


def line_width_in(line: Sequence[Words]) -> float:
    """Return the width of a line in inches, with a slash between two parts."""
    return sum(words.width_in for words in line) + slash_in() * (len(line) - 1)


def slash_in() -> float:
    """Return the width of a slash with its spaces, which have none at the end of a text."""
    return text_width_in(f"0{SLASH}0") - 2 * text_width_in("0")
