"""Quality against what a method costs: every extra column of tables that holds numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.published.tables import AVERAGE
from harness.reporting.columns import EXTRA_COLUMNS, ExtraColumn
from harness.reporting.figures.left_out import LeftOut
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    WIDTHS_IN,
    colour,
    legend_above,
    marker,
    new_figure,
    plain,
)
from harness.reporting.plan_summary import runs_by_method, summary_of
from harness.reporting.table import metric_title
from harness.reporting.wording import worded_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
NEEDS_SCORES = True

_WIDE_RANGE = 20.0
"""Ratio of the largest to the smallest cost from which the axis is logarithmic."""


@dataclass(frozen=True)
class _Point:
    """A method: its average quality and its costs by column; None where one is not known."""

    label: str
    value: float
    spread: float | None
    costs: dict[str, float | None]


def draw(asked: FigureRequest) -> Figure:
    """Return a panel for each cost that is known of some method, a point for each method.

    Raises:
        HarnessError: no method has all its scores.
    """
    plan = asked.plan
    points = _points(plan)
    known = []
    for name in EXTRA_COLUMNS:
        if any(point.costs[name] is not None for point in points):
            known.append(name)
    if not points or not known:
        raise HarnessError(
            f"{plan.out} holds no complete scores of these methods, so there is no average; "
            "compute them with python -m harness run, or leave out columns that are absent with "
            "--columns"
        )
    metric = worded_metric(plan.request, metric_facts(plan.metrics[0]))
    width_in = asked.width_in or WIDTHS_IN["column" if len(known) == 1 else "full"]
    figure = new_figure(width_in, 2.35)
    axes = figure.subplots(1, len(known), squeeze=False, sharey=True)[0]
    for place, name in zip(axes, known, strict=True):
        for position, point in enumerate(points):
            cost = point.costs[name]
            shown = ([], []) if cost is None else ([cost], [point.value])
            place.plot(
                *shown,
                linestyle="none",
                marker=marker(position),
                color=colour(position),
                markersize=6,
                label=plain(point.label),
            )
            if cost is not None and point.spread is not None:
                place.errorbar(cost, point.value, point.spread, color=colour(position), capsize=2)
        _scale(place, [point.costs[name] for point in points])
        place.margins(y=0.15)
        place.set_xlabel(EXTRA_COLUMNS[name].heading)
        place.grid(visible=True)
    axes[0].set_ylabel(plain(f"{metric_title(metric)}, average"))
    legend_above(figure, axes[0], width_in)
    return figure


def left_out(plan: Plan) -> LeftOut:
    """Return the trained methods that lack scores, and so have no point."""
    summary = summary_of(plan)
    without = []
    for method, runs in runs_by_method(plan).items():
        entry = summary.entry(method, AVERAGE, plan.metrics[0])
        if runs[0].method.spec.trained and (entry is None or not entry.is_whole):
            without.append(method)
    return LeftOut(without, "not all scores")


def _points(plan: Plan) -> list[_Point]:
    summary = summary_of(plan)
    points = []
    for method, runs in runs_by_method(plan).items():
        entry = summary.entry(method, AVERAGE, plan.metrics[0])
        if entry is None or not entry.is_whole or not runs[0].method.spec.trained:
            continue
        costs = {name: _number(column, runs) for name, column in EXTRA_COLUMNS.items()}
        points.append(_Point(runs[0].method.label, entry.value, entry.spread, costs))
    return points


def _number(column: ExtraColumn, runs: Sequence[Run]) -> float | None:
    """Return the number that a column shows; None where it shows none."""
    try:
        return float(column.value(runs))
    except ValueError:
        return None


def _scale(place: Axes, costs: Sequence[float | None]) -> None:
    """Let an axis of costs begin at 0, or be logarithmic where they differ widely."""
    known = [cost for cost in costs if cost is not None]
    if min(known) > 0 and max(known) / min(known) > _WIDE_RANGE:
        place.set_xscale("log")
    else:
        place.set_xlim(0, 1.15 * max(known) or 1)
