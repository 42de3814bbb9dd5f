"""A line of means over seeds, and the band from the smallest to the largest seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.reporting.figures.style import colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Series = Mapping[float, float]
"""Values of one seed by what runs across."""

_MOST_MARKED = 12
"""Points of a line that are marked each; more would hide it."""


def draw_band(axes: Axes, seeds: Sequence[Series], position: int, label: str) -> None:
    """Draw the mean over seeds at every place where one has a value, and their range.

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
    if len(seeds) > 1:
        low = [min(by_place[place]) for place in places]
        high = [max(by_place[place]) for place in places]
        axes.fill_between(places, low, high, color=colour(position), alpha=0.2, linewidth=0)
