"""What each value of an axis is worth, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.reporting.ablation_results import AxisResult, ValueResult
from harness.reporting.figures.bands import draw_interval
from harness.reporting.figures.style import (
    colour,
    new_figure,
    paper_style,
    plain,
    save,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN_IN = 0.9
"""Left of the axes, whose middle texts are centred on, with as much right of them."""
_LONGEST_STRAIGHT_LABEL = 8
"""Characters of the longest label on an axis whose labels are not slanted."""


def draw_ablation(result: AxisResult, stem: Path) -> list[Path]:
    """Draw the differences in the first metric, with their intervals, and return the files."""
    metric = result.metrics[0]
    labels = [plain(value.label) for value in result.values]
    is_slanted = max(len(value.label) for value in result.values) > _LONGEST_STRAIGHT_LABEL
    width_in = max(3.3, 1.2 + 0.6 * len(labels))
    with paper_style():
        figure = new_figure(width_in, 2.6)
        axes = figure.subplots()
        axes.axhline(0, color="0.6", linewidth=0.8)
        for position, value in enumerate(result.values):
            _draw_value(axes, position, value, metric.id)
        axes.set_xticks(
            range(len(labels)),
            labels,
            rotation=30 if is_slanted else 0,
            ha="right" if is_slanted else "center",
        )
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.set_xlabel(wrapped(result.label, width_in - _MARGIN_IN))
        unit = f" ({metric.unit})" if metric.unit else ""
        axes.set_ylabel(plain(f"difference in {metric.label}{unit}"))
        title = wrapped(result.title, width_in - _MARGIN_IN)
        axes.set_title(f"{title}\n(95% over {result.spread})")
        return save(figure, stem)


def _draw_value(axes: Axes, position: int, value: ValueResult, metric: str) -> None:
    """Draw one value: hollow for the baseline, a word where there is no number."""
    delta = value.deltas.get(metric)
    if value.failed or value.averages.get(metric) is None:
        why = "failed" if value.failed else "missing"
        axes.text(position, 0, why, ha="center", va="bottom")
        return
    mean = 0.0 if delta is None else delta.mean
    filled = "white" if delta is None else colour(0)
    axes.plot(position, mean, "o", color=colour(0), markerfacecolor=filled)
    if delta is not None:
        draw_interval(axes, (delta.low, delta.high), position, colour(0), "y")
