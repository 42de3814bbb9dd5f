"""Spreads: the band from the smallest to the largest seed around a line, and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from harness.reporting.figures.style import colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Series = Mapping[float, float]
"""Values of one seed by what runs across."""

_MOST_MARKED = 12
"""Points of a line that are marked each; more would hide it."""


def draw_band(axes: Axes, seeds: Sequence[Series], position: int, label: str) -> None:
    """Draw the mean over seeds at every place where one has a value, and their range.

    Where one seed alone has a value there is no range, and none is drawn towards it.

    Args:
        axes: where it is drawn.
        seeds: values of each seed.
        position: of the method among all, which decides colour and shape.
        label: of the method in the legend.
    """
    by_place: dict[float, list[float]] = {}
    for series in seeds:
        for place, value in series.items():
            by_place.setdefault(place, []).append(value)
    places = sorted(by_place)
    means = [sum(by_place[place]) / len(by_place[place]) for place in places]
    is_marked = len(places) <= _MOST_MARKED
    axes.plot(
        places,
        means,
        color=colour(position),
        marker=marker(position) if is_marked else None,
        linestyle=("-", "--", "-.", ":")[position % 4],
        label=label,
    )
    low = [min(by_place[place]) for place in places]
    high = [max(by_place[place]) for place in places]
    several = [len(by_place[place]) > 1 for place in places]
    axes.fill_between(
        places, low, high, where=several, color=colour(position), alpha=0.2, linewidth=0
    )


def draw_interval(
    axes: Axes,
    ends: tuple[float | None, float | None],
    position: float,
    colour_of: str,
    along: Literal["x", "y"],
) -> None:
    """Draw a bar from end to end, and nothing where one is not known.

    The mean that stands beside it may lie outside of a skewed interval.

    Args:
        axes: where it is drawn.
        ends: low and high.
        position: on the other axis.
        colour_of: the bar's colour.
        along: the axis that the ends are on.
    """
    low, high = ends
    if low is None or high is None:
        return
    middle, half = (low + high) / 2, (high - low) / 2
    if along == "x":
        axes.errorbar(middle, position, xerr=half, fmt="none", ecolor=colour_of, capsize=2)
    else:
        axes.errorbar(position, middle, yerr=half, fmt="none", ecolor=colour_of, capsize=2)
