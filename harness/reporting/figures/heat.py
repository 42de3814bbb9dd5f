"""A matrix of numbers as a heat map, each number written in its field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.errors import UsageError
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    SEQUENTIAL,
    SMALL_PT,
    WIDTHS_IN,
    plain,
    text_width_in,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

_LIGHT = 0.5
"""Lightness of a field above which its number is black."""


@dataclass(frozen=True)
class HeatMap:
    """How a matrix is coloured and written.

    Attributes:
        title: above it; one line, or lines that fit the matrix.
        limits: the values of the darkest and the lightest colour.
        digits: how numbers are written, as ``.2f``.
        colours: matplotlib's name of the colour map.
    """

    title: str
    limits: tuple[float, float]
    digits: str
    colours: str = SEQUENTIAL


def draw_heat(
    place: Axes, values: np.ndarray, labels: tuple[Sequence[str], Sequence[str]], heat: HeatMap
) -> None:
    """Draw a matrix with its numbers; ``labels`` are those of rows and columns."""
    import numpy as np

    rows, columns = labels
    low, high = heat.limits
    image = place.imshow(values, vmin=low, vmax=high, cmap=heat.colours, aspect="auto")
    place.set_title(heat.title)
    is_slanted = max(map(len, columns), default=0) > 3
    place.set_xticks(
        range(len(columns)),
        list(map(plain, columns)),
        rotation=45 if is_slanted else 0,
        ha="right" if is_slanted else "center",
        rotation_mode="anchor" if is_slanted else "default",
    )
    place.set_yticks(range(len(rows)), list(map(plain, rows)))
    place.tick_params(length=0)
    for edge in place.spines.values():
        edge.set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > _LIGHT else "white"
        text = format(value, heat.digits)
        place.text(column, row, text, ha="center", va="center", fontsize=SMALL_PT, color=ink)


def size_in(
    labels: tuple[Sequence[str], Sequence[str]], number: str, lines: int = 1
) -> tuple[float, float]:
    """Return width and height of a heat map whose numbers and labels do not overlap, in inches.

    Args:
        labels: of rows and of columns.
        number: the widest number.
        lines: of the title.
    """
    rows, columns = labels
    field_in = max(text_width_in(number, SMALL_PT) + 0.1, 0.24)
    left_in = max((text_width_in(row, SMALL_PT) for row in rows), default=0.0)
    below_in = max((text_width_in(column, SMALL_PT) for column in columns), default=0.0)
    width_in = left_in + 0.15 + field_in * len(columns)
    height_in = 0.8 * below_in + 0.12 * lines + 0.35 + 0.2 * len(rows)
    return width_in, height_in


def legible_width_in(asked: FigureRequest, usual: str, least_in: float) -> float:
    """Return the width of a figure of heat maps in inches.

    Args:
        asked: may name a width.
        usual: name of the width that the figure has otherwise, where that is enough.
        least_in: below it numbers and labels overlap.

    Raises:
        UsageError: the width that is asked for is less.
    """
    if asked.width_in is None:
        return max(WIDTHS_IN[usual], least_in)
    if asked.width_in < least_in:
        raise UsageError(
            f"--width {asked.width_in:g} in is too small for these labels and prompts, which take "
            f"{least_in:.1f} in; leave --width out, or choose shorter names with --label"
        )
    return asked.width_in
