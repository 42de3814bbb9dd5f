"""Quality of one method against another, a point for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError, UsageError
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.command_line import command_line
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.figures.left_out import unscored
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    WIDTHS_IN,
    colour,
    hide_rest,
    legend_above,
    marker,
    new_figure,
    panels,
    plain,
    wrapped,
)
from harness.reporting.plan_summary import runs_by_method
from harness.reporting.table import metric_title
from harness.reporting.wording import column_labels, worded_metric
from harness.store.stored_results import results_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
NEEDS_SCORES = True
left_out = unscored

_MOST_TICKS = 5
_AXIS_IN = 0.6
"""What a panel's axis and its label take of the width."""

_MARGIN = 0.06

Values = Mapping[tuple[str, str], float]
"""Values of a method by column and image."""

Points = NDArray[np.float64]
"""(N, 2): what runs across, and what runs up."""


def draw(asked: FigureRequest) -> Figure:
    """Return the first method against each other one, in the first metric.

    Values are means over the seeds that both have. The first runs up, so that it is higher above
    the diagonal.

    Raises:
        UsageError: fewer than two methods are asked for.
        HarnessError: nothing is scored of two of them, or they have no seed in common.
    """
    plan = asked.plan
    labels, values = [], []
    for runs in runs_by_method(plan).values():
        if runs[0].method.spec.is_input:
            continue
        labels.append(runs[0].method.label)
        values.append(_values_by_seed(plan, runs))
    if len(labels) < 2:
        raise UsageError("figure scatter compares two methods; name them with --methods A,B")
    if not values[0] or not any(values[1:]):
        raise HarnessError(
            f"{plan.out} holds no scores of two of these methods; compute them with: "
            f"{command_line('run', plan.request)}"
        )
    metric = worded_metric(plan.request, metric_facts(plan.metrics[0]))
    title = metric_title(metric)
    others = [place for place in range(1, len(labels)) if values[place]]
    least_in = 3.3 if len(others) == 1 else 2.2
    width_in = asked.width_in or WIDTHS_IN["column" if len(others) == 1 else "full"]
    rows, across = panels(len(others), width_in, least_in)
    figure = new_figure(width_in, rows * width_in / across + 0.35)
    # The usual layout cuts the labels of many square panels.
    figure.set_layout_engine("compressed")
    axes = figure.subplots(rows, across, squeeze=False).ravel()
    columns = _scored_columns(plan, values[0])
    pairs = [_of_common_seeds(plan, (values[other], values[0])) for other in others]
    side_in = width_in / across - _AXIS_IN
    for place, other, pair in zip(axes, others, pairs, strict=False):
        scatter_panel(place, pair, columns, metric)
        place.set_xlabel(wrapped(f"{labels[other]}, {title}", side_in))
        place.set_ylabel(wrapped(f"{labels[0]}, {title}", side_in))
    hide_rest(list(axes), len(others), across)
    legend_above(figure, axes[0], width_in)
    return figure


def scatter_panel(
    axes: Axes, values: tuple[Values, Values], columns: Mapping[str, str], metric: MetricFacts
) -> None:
    """Draw two methods on the images that both have, and say on how many the second is better.

    Args:
        axes: what is drawn on.
        values: of the method that runs across, and of the one that runs up.
        columns: label of each column whose images are shown, by its name.
        metric: whose values these are.
    """
    across, up = values
    shared = [name for name in across if name in up and name[0] in columns]
    points = np.array([(across[name], up[name]) for name in shared]).reshape(-1, 2)
    is_finite = np.isfinite(points).all(axis=1)
    of_column = np.array([name[0] for name in shared])
    for position, (column, label) in enumerate(columns.items()):
        chosen = points[(of_column == column) & is_finite] if shared else points
        axes.plot(
            chosen[:, 0],
            chosen[:, 1],
            linestyle="none",
            marker=marker(position),
            color=colour(position),
            alpha=0.75,
            markeredgewidth=0,
            label=plain(label),
        )
    known = points[is_finite]
    draw_diagonal(axes, known)
    wins = int(np.count_nonzero(is_better(known, metric)))
    axes.text(0.03, 0.97, f"better on {wins} of {len(known)}", transform=axes.transAxes, va="top")


def is_better(points: Points, metric: MetricFacts) -> NDArray[np.bool_]:
    """Return for each point (N, 2) whether what runs up is better than what runs across."""
    across, up = points[:, 0], points[:, 1]
    return up > across if metric.higher_is_better else up < across


def draw_diagonal(axes: Axes, points: Points) -> None:
    """Give both axes the same limits and ticks around points, and draw where they are equal."""
    from matplotlib.ticker import MaxNLocator

    low, high = (float(points.min()), float(points.max())) if len(points) else (0.0, 1.0)
    margin = _MARGIN * (high - low) or 0.5
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color="0.5", linewidth=0.8, zorder=1)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(_MOST_TICKS))


def _scored_columns(plan: Plan, by_seed: Mapping[int, Values]) -> dict[str, str]:
    """Return the labels of the columns that are shown and scored, by name."""
    scored = {column for values in by_seed.values() for column, _ in values}
    labels = column_labels(plan)
    columns = {}
    for column in plan.shown_columns:
        if column.name in scored:
            columns[column.name] = labels[column.name]
    return columns


def _values_by_seed(plan: Plan, runs: Sequence[Run]) -> dict[int, Values]:
    """Return values by seed, and by column and image; what has no seed has them under all."""
    found: dict[int, Values] = {}
    for run in runs:
        values = {}
        for result in results_of(run.folder.results, run.score):
            if result.metric == plan.metrics[0]:
                values[result.column, result.image] = result.value
        if not values:
            continue
        found.update(dict.fromkeys([run.train.seed] if run.is_seeded else plan.seeds, values))
    return found


def _of_common_seeds(
    plan: Plan, pair: tuple[Mapping[int, Values], Mapping[int, Values]]
) -> tuple[Values, Values]:
    """Return the means of two methods over the seeds that both have.

    Raises:
        HarnessError: there is none.
    """
    seeds = sorted(pair[0].keys() & pair[1].keys())
    if not seeds:
        raise HarnessError(
            f"two of these methods have no seed in common in {plan.out}; compute the same of both "
            f"with: {command_line('run', plan.request)}"
        )
    return _mean([pair[0][seed] for seed in seeds]), _mean([pair[1][seed] for seed in seeds])


def _mean(of_seeds: Sequence[Values]) -> Values:
    """Return the mean over seeds of the images that all of them have."""
    names = [name for name in of_seeds[0] if all(name in values for values in of_seeds)]
    return {name: sum(values[name] for values in of_seeds) / len(of_seeds) for name in names}
