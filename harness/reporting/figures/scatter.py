"""Quality of one method against another, a point for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError, UsageError
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan
from harness.planning.run import Run
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
)
from harness.reporting.plan_summary import runs_by_method
from harness.store.stored_results import results_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDS_IMAGES = False

Values = Mapping[tuple[str, str], float]
"""Values of a method by column and image."""


def draw(asked: FigureRequest) -> Figure:
    """Return the first method against each other one, in the first metric, mean over seeds.

    Raises:
        UsageError: fewer than two methods are asked for.
        HarnessError: nothing is scored of two of them.
    """
    plan = asked.plan
    labels, values = [], []
    for runs in runs_by_method(plan).values():
        if runs[0].method.spec.role == "reference" and not runs[0].method.spec.trained:
            continue
        labels.append(runs[0].method.label)
        values.append(_values(plan, runs))
    if len(labels) < 2:
        raise UsageError("figure scatter compares two methods; name them with --methods A,B")
    if not values[0] or not any(values[1:]):
        raise HarnessError(
            f"{plan.out} holds no scores of two of these methods; compute them with: python -m "
            "harness run"
        )
    metric = metric_facts(plan.metrics[0])
    unit = f" ({metric.unit})" if metric.unit else ""
    others = [place for place in range(1, len(labels)) if values[place]]
    least_in = 3.3 if len(others) == 1 else 2.2
    width_in = asked.width_in or WIDTHS_IN["column" if len(others) == 1 else "full"]
    rows, across = panels(len(others), width_in, least_in)
    side_in = width_in / across
    figure = new_figure(width_in, rows * side_in + 0.35)
    axes = figure.subplots(rows, across, squeeze=False).ravel()
    scored = {column for column, _ in values[0]}
    columns = {}
    for column in plan.shown_columns:
        if column.name in scored:
            columns[column.name] = column.label
    for place, other in zip(axes, others, strict=False):
        texts = (f"{labels[0]}, {metric.label}{unit}", f"{labels[other]}, {metric.label}{unit}")
        scatter_panel(place, values[0], values[other], texts, columns)
    hide_rest(list(axes), len(others), across)
    legend_above(figure, axes[0], width_in)
    return figure


def scatter_figure(
    values_a: Values,
    values_b: Values,
    labels: tuple[str, str],
    columns: Mapping[str, str],
    width_in: float = WIDTHS_IN["column"],
) -> Figure:
    """Return one panel of two methods on the images that both have.

    Args:
        values_a: of the method whose values run across.
        values_b: of the method whose values run up.
        labels: of the two axes.
        columns: label of each column whose images are shown, by its name.
        width_in: of the figure, in inches.
    """
    figure = new_figure(width_in, width_in + 0.35)
    axes = figure.subplots()
    scatter_panel(axes, values_a, values_b, labels, columns)
    legend_above(figure, axes, width_in)
    return figure


def scatter_panel(
    axes: Axes,
    values_a: Values,
    values_b: Values,
    labels: tuple[str, str],
    columns: Mapping[str, str],
) -> None:
    """Draw what :func:`scatter_figure` shows; points above the diagonal are better in ``b``."""
    import numpy as np

    shared = [name for name in values_a if name in values_b and name[0] in columns]
    points = np.array([(values_a[name], values_b[name]) for name in shared]).reshape(-1, 2)
    is_finite = np.isfinite(points).all(axis=1)
    known = points[is_finite]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = 0.04 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color="0.5", linewidth=0.8, zorder=1)
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
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_xlabel(plain(labels[0]))
    axes.set_ylabel(plain(labels[1]))
    better = int((known[:, 1] > known[:, 0]).sum())
    axes.text(
        *(0.03, 0.97),
        f"better on {better} of {len(known)}",
        transform=axes.transAxes,
        va="top",
    )


def _values(plan: Plan, runs: Sequence[Run]) -> dict[tuple[str, str], float]:
    """Return values by column and image, mean over the seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for result in results_of(run.folder.results, run.score_id):
            if result.metric == plan.metrics[0]:
                found.setdefault((result.column, result.image), []).append(result.value)
    return {name: sum(values) / len(values) for name, values in found.items()}
