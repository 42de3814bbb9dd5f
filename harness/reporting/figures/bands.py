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


def draw_band(
    axes: Axes,
    seeds: Sequence[Series],
    position: int,
    label: str,
    ranged: Sequence[Series] | None = None,
) -> None:
    """Draw the mean over seeds at every place where one has a value, and a range.

    Where one seed alone has a value there is no range, and none is drawn towards it; a range
    between two such places is a bar.

    Args:
        axes: where it is drawn.
        seeds: values of each seed.
        position: of the method among all, which decides colour and shape.
        label: of the method in the legend.
        ranged: values of each seed of the range; None for those of the mean.
    """
    by_place = _by_place(seeds)
    places = list(by_place)
    means = [sum(values) / len(values) for values in by_place.values()]
    is_marked = len(places) <= _MOST_MARKED
    axes.plot(
        places,
        means,
        color=colour(position),
        marker=marker(position) if is_marked else None,
        linestyle=("-", "--", "-.", ":")[position % 4],
        label=label,
    )
    ranges = by_place if ranged is None else _by_place(ranged)
    several = [False, *(len(values) > 1 for values in ranges.values()), False]
    axes.fill_between(
        list(ranges),
        list(map(min, ranges.values())),
        list(map(max, ranges.values())),
        where=several[1:-1],
        color=colour(position),
        alpha=0.2,
        linewidth=0,
    )
    for number, (at, values) in enumerate(ranges.items()):
        if several[number : number + 3] == [False, True, False]:
            axes.vlines(at, min(values), max(values), color=colour(position), alpha=0.5)


def _by_place(seeds: Sequence[Series]) -> dict[float, list[float]]:
    """Return the values of all seeds at each place, in order of places."""
    found: dict[float, list[float]] = {}
    for series in seeds:
        for place, value in series.items():
            found.setdefault(place, []).append(value)
    return dict(sorted(found.items()))


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
