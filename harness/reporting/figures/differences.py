"""What each method gains or loses from the first, by column, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError, UsageError
from harness.planning.command_line import command_line
from harness.planning.plan import Plan
from harness.published.tables import AVERAGE
from harness.reporting.comparison.pairs import PairedColumn, paired_columns
from harness.reporting.comparison.values import candidates_of, common_values
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    LINE_IN,
    SMALL_PT,
    WIDTHS_IN,
    colour,
    marker,
    new_figure,
    panels,
    plain,
    text_width_in,
    wrapped,
)
from harness.reporting.plan_summary import results_by_method, runs_by_method
from harness.reporting.statistics import natural_spread
from harness.reporting.table import metric_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS_IMAGES = False

_LABEL_IN, _PANEL_IN = 1.6, 1.35
"""Widths of the longest line of a method's name, and of the narrowest panel."""

_GAP_IN = 0.07
"""Height between the methods of a panel."""


def draw(asked: FigureRequest) -> Figure:
    """Return a panel for each column and for the average, a line for each method but the first.

    A point is the method minus the first, mean over the images and seeds that all methods have;
    its bar is the 95% bootstrap interval.

    Raises:
        UsageError: fewer than two methods are asked for.
        HarnessError: fewer than two are scored, or they have nothing in common.
    """
    common = common_values(asked.plan, candidates_of(asked.plan, _scored_methods(asked.plan)))
    spread = natural_spread(len(common.seeds))
    others = range(1, len(common.candidates))
    tests = paired_columns(common, spread, [(other, 0) for other in others])
    metric = common.request.metrics[0]
    shown = [test for test in tests if test.metric == metric.id]
    columns = list(dict.fromkeys(test.column for test in shown))
    labels = [candidate.label for candidate in common.candidates]
    names = [wrapped(label, _LABEL_IN, 2, SMALL_PT) for label in labels[1:]]
    lines = [line for name in names for line in name.splitlines()]
    label_in = max(text_width_in(line.replace(r"\$", "$"), SMALL_PT) for line in lines)
    high_in = _GAP_IN + LINE_IN * max(name.count("\n") + 1 for name in names)
    width_in = asked.width_in or WIDTHS_IN["full"]
    rows, across = panels(len(columns), width_in - label_in, _PANEL_IN)
    figure = new_figure(width_in, rows * (0.45 + high_in * len(others)) + 0.3)
    axes = figure.subplots(rows, across, squeeze=False, sharey=True).ravel()
    for place, column in zip(axes, columns, strict=False):
        _draw_column(place, [test for test in shown if test.column == column])
        place.set_title(plain({**common.column_labels, AVERAGE: "Average"}[column]))
    for place in axes[len(columns) :]:
        place.set_axis_off()
    axes[0].set_yticks(others, names)
    axes[0].set_ylim(len(others) + 0.6, 0.4)
    heading = f"{metric_title(metric)}: difference from {labels[0]}, 95% over {spread}"
    figure.supxlabel(wrapped(heading, width_in, 2))
    return figure


def _scored_methods(plan: Plan) -> list[str]:
    """Return the methods of a plan that have scores, without the degraded input."""
    results = results_by_method(plan)
    asked = []
    for method, runs in runs_by_method(plan).items():
        if not runs[0].method.spec.is_input:
            asked.append(method)
    if len(asked) < 2:
        raise UsageError("figure differences compares methods; name two with --methods A,B")
    scored = [method for method in asked if results[method]]
    if len(scored) < 2 or scored[0] != asked[0]:
        raise HarnessError(
            f"{plan.out} holds no scores of the first of these methods and another one; compute "
            f"them with: {command_line('run', plan.request)}"
        )
    return scored


def _draw_column(axes: Axes, tests: Sequence[PairedColumn]) -> None:
    """Draw the methods below each other; one with values that are not finite has a word."""
    from matplotlib.ticker import MaxNLocator

    axes.axvline(0, color="0.6", linewidth=0.8)
    for line, test in enumerate(tests, 1):
        if test.delta is None:
            axes.text(0, line, "not finite", ha="center", va="center", fontsize=SMALL_PT)
            continue
        mean, low, high = test.delta.mean, test.delta.low, test.delta.high
        bars = None
        if low is not None and high is not None:
            # The mean may lie outside a skewed interval.
            bars = [[max(0.0, mean - low)], [max(0.0, high - mean)]]
        axes.errorbar(
            mean, line, xerr=bars, fmt=marker(line), color=colour(line), capsize=2, markersize=4
        )
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(visible=True, axis="x")
