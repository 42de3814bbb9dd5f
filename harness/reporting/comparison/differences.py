"""What each method gains or loses from the first, by column, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError, UsageError
from harness.evaluation.metrics import metric_facts
from harness.planning.command_line import command_line
from harness.planning.plan import Plan
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.comparison.pairs import PairedColumn, paired_columns
from harness.reporting.comparison.values import Candidate, candidates_of, common_values
from harness.reporting.figures.bands import draw_interval
from harness.reporting.figures.left_out import unscored
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    LINE_IN,
    SMALL_PT,
    WIDTHS_IN,
    colour,
    hide_rest,
    marker,
    new_figure,
    panels,
    plain,
    text_width_in,
    wrapped,
)
from harness.reporting.plan_summary import runs_by_method
from harness.reporting.statistics import Spread, natural_spread
from harness.reporting.table import metric_title
from harness.reporting.wording import column_labels, worded_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
NEEDS_SCORES = True
left_out = unscored

_LABEL_IN, _PANEL_IN = 1.6, 1.35
"""Widths of the longest line of a method's name, and of the narrowest panel."""

_GAP_IN = 0.07
"""Height between the methods of a panel."""


@dataclass(frozen=True)
class _Line:
    """A method against the first, on what both have.

    Attributes:
        label: of the method, and what it lacks.
        tests: by column, in the first metric.
        spread: what the intervals are over.
    """

    label: str
    tests: Mapping[str, PairedColumn]
    spread: Spread


def draw(asked: FigureRequest) -> Figure:
    """Return a panel for each column and for the average, a line for each method but the first.

    A point is the method minus the first in the first metric, mean over the images and seeds that
    both have; its bar is the 95% bootstrap interval.

    Raises:
        UsageError: fewer than two methods are asked for.
        HarnessError: fewer than two are scored, or they have nothing in common.
    """
    # Of a metric that a method lacks, no image would be complete.
    plan = replace(asked.plan, metrics=asked.plan.metrics[:1])
    first, *others = candidates_of(plan, _scored_methods(plan))
    lines = [_line(plan, candidate, first) for candidate in others]
    titles = {**column_labels(plan), AVERAGE: AVERAGE_HEADING}
    columns = [name for name in titles if any(name in line.tests for line in lines)]
    names = [wrapped(line.label, _LABEL_IN, 2, SMALL_PT) for line in lines]
    texts = [text for name in names for text in name.splitlines()]
    label_in = max(text_width_in(text.replace(r"\$", "$"), SMALL_PT) for text in texts)
    high_in = _GAP_IN + LINE_IN * max(name.count("\n") + 1 for name in names)
    width_in = asked.width_in or WIDTHS_IN["full"]
    rows, across = panels(len(columns), width_in - label_in, _PANEL_IN)
    figure = new_figure(width_in, rows * (0.45 + high_in * len(lines)) + 0.3)
    axes = figure.subplots(rows, across, squeeze=False, sharey=True).ravel()
    for place, column in zip(axes, columns, strict=False):
        _draw_column(place, [line.tests.get(column) for line in lines])
        place.set_title(plain(titles[column]))
    hide_rest(list(axes), len(columns), across)
    axes[0].set_yticks(range(1, len(lines) + 1), names)
    axes[0].set_ylim(len(lines) + 0.6, 0.4)
    metric = worded_metric(plan.request, metric_facts(plan.metrics[0]))
    heading = f"{metric_title(metric)}: difference from {first.label}, {_over(lines)}"
    if not metric.higher_is_better:
        heading += f"; less {metric.label} is better"
    figure.supxlabel(wrapped(heading, width_in, 2))
    return figure


def _scored_methods(plan: Plan) -> list[str]:
    """Return the methods of a plan that have scores, without the degraded input."""
    asked, missing = [], unscored(plan).names
    for method, runs in runs_by_method(plan).items():
        if not runs[0].method.spec.is_input:
            asked.append(method)
    if len(asked) < 2:
        raise UsageError("figure differences compares methods; name two with --methods A,B")
    scored = [method for method in asked if method not in missing]
    if len(scored) < 2 or scored[0] != asked[0]:
        raise HarnessError(
            f"{plan.out} holds no scores of the first of these methods and another one; compute "
            f"them with: {command_line('run', plan.request)}"
        )
    return scored


def _line(plan: Plan, candidate: Candidate, first: Candidate) -> _Line:
    """Return a method against the first; one that lacks seeds or images says so by its name."""
    common = common_values(plan, [candidate, first])
    spread = natural_spread(len(common.seeds))
    tests = {test.column: test for test in paired_columns(common, spread, [(0, 1)])}
    label = candidate.label
    if common.other_seeds:
        label += f", {len(common.seeds)} of {len(plan.seeds)} seeds"
    if common.lacking:
        label += f", {len(common.images)} of {common.expected} images"
    return _Line(label, tests, spread)


def _over(lines: Sequence[_Line]) -> str:
    """Return what intervals are over, in words."""
    spreads = list(dict.fromkeys(line.spread for line in lines))
    return "95% over " + ", or ".join(sorted(spreads, key=len, reverse=True))


def _draw_column(axes: Axes, tests: Sequence[PairedColumn | None]) -> None:
    """Draw the methods below each other; one with values that are not finite has a word."""
    from matplotlib.ticker import MaxNLocator

    axes.axvline(0, color="0.6", linewidth=0.8)
    for line, test in enumerate(tests, 1):
        if test is None:
            continue
        if test.delta is None:
            axes.text(0, line, "not finite", ha="center", va="center", fontsize=SMALL_PT)
            continue
        axes.plot(test.delta.mean, line, marker(line), color=colour(line), markersize=4)
        draw_interval(axes, (test.delta.low, test.delta.high), line, colour(line), "x")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(visible=True, axis="x")
