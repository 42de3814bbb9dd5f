"""How cost grows with one quantity: time and memory on doubly logarithmic axes, with slopes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from harness.reporting.figures.style import WIDTHS_IN, colour, marker, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_IN = 2.3

_MARKED, _MARKED_WIDE = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 3.0)
"""Where the axis of costs has numbers, times powers of ten."""

_WIDE = 20
"""Costs that differ by more have fewer numbers."""


class GrowthCurve(Protocol):
    """What a figure shows of a quantity."""

    @property
    def quantity(self) -> str:
        """What grows, and what is timed."""
        ...

    @property
    def values(self) -> Sequence[float]:
        """Values of the quantity."""
        ...

    @property
    def seconds(self) -> Sequence[float]:
        """Time at each value."""
        ...

    @property
    def added_bytes(self) -> Sequence[int]:
        """Memory at each value; empty where it says nothing."""
        ...

    @property
    def time_exponent(self) -> float:
        """Slope of time."""
        ...

    @property
    def memory_exponent(self) -> float | None:
        """Slope of memory."""
        ...


def draw_growth(curve: GrowthCurve) -> Figure:
    """Return a panel for time and, where it is known, one for memory; lines have the exponents."""
    panels = 1 if curve.memory_exponent is None else 2
    width_in = WIDTHS_IN["column"] if panels == 1 else WIDTHS_IN["full"]
    figure = new_figure(width_in, _PANEL_IN)
    axes = figure.subplots(1, panels, squeeze=False).ravel()
    quantity, _, timed = curve.quantity.partition(", ")
    _draw(axes[0], curve.values, curve.seconds, curve.time_exponent, 0)
    axes[0].set_ylabel("seconds")
    if curve.memory_exponent is not None:
        mebibytes = [number / 2**20 for number in curve.added_bytes]
        _draw(axes[1], curve.values, mebibytes, curve.memory_exponent, 1)
        axes[1].set_ylabel("added memory (MiB)")
    figure.suptitle(plain(timed))
    figure.supxlabel(plain(quantity))
    return figure


def _draw(
    axes: Axes, values: Sequence[float], costs: Sequence[float], exponent: float, position: int
) -> None:
    """Draw the points, and the line of their exponent through their centre."""
    from matplotlib.ticker import LogLocator, NullLocator

    logs = [math.log(cost / value**exponent) for value, cost in zip(values, costs, strict=True)]
    factor = math.exp(sum(logs) / len(logs))
    line = [factor * value**exponent for value in values]
    shade = colour(position)
    axes.plot(values, line, color=shade, linewidth=0.8, label=f"exponent {exponent:.2f}")
    axes.plot(values, costs, color=shade, marker=marker(position), linestyle="none")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(values), [f"{value:,.0f}" for value in values])
    marked = _MARKED if max(costs) < _WIDE * min(costs) else _MARKED_WIDE
    axes.yaxis.set_major_locator(LogLocator(subs=marked))
    axes.yaxis.set_major_formatter("{x:,g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(visible=True)
    axes.legend(loc="best")
