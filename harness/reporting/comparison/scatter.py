"""Two methods image by image: one point per image, by column, around the diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.evaluation.metrics import MetricFacts
from harness.reporting.comparison.values import CommonValues
from harness.reporting.figures.scatter import Points, draw_diagonal, is_better
from harness.reporting.figures.style import (
    OKABE_ITO,
    hide_rest,
    new_figure,
    paper_style,
    plain,
    save,
    wrapped,
)
from harness.reporting.table import metric_title
from harness.reporting.table_files import content_id
from harness.store.files import file_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_IN = 2.2
_MOST_ACROSS = 3
"""Panels beside each other, as many as a page of two columns holds."""

_LONGEST_PAIR = 64
"""Bytes of a file's name that name two methods."""


@dataclass(frozen=True)
class _Look:
    """How points of one kind are drawn: colour and shape say which method is better."""

    colour: str
    marker: str


_BETTER, _NOT_BETTER = _Look(OKABE_ITO[0], "o"), _Look(OKABE_ITO[1], "v")


def draw_scatter(common: CommonValues, pair: tuple[int, int], stem: Path) -> list[Path]:
    """Draw the first metric of two methods, and return the files.

    Above the diagonal the first method is higher. Colour and shape say where it is better. Values
    that are not finite are not drawn, and counted in the title.
    """
    first, second = common.candidates[pair[0]], common.candidates[pair[1]]
    with paper_style():
        figure = _drawn(common, pair)
    return save(figure, stem.with_name(f"{stem.name}-{pair_name(first.id, second.id)}-scatter"))


def _drawn(common: CommonValues, pair: tuple[int, int]) -> Figure:
    metric = common.request.metrics[0]
    values = common.by_metric[metric.id].mean(axis=1)
    first, second = common.candidates[pair[0]], common.candidates[pair[1]]
    columns = common.places
    across = min(len(columns), _MOST_ACROSS)
    down = -(-len(columns) // across)
    figure = new_figure(_PANEL_IN * across, _PANEL_IN * down + 0.5)
    places = figure.subplots(down, across, squeeze=False).ravel()
    labels = common.column_labels
    for axes, (column, images) in zip(places, columns.items(), strict=False):
        points = np.stack([values[pair[1], images], values[pair[0], images]], axis=1)
        _draw_column(axes, points, labels[column], metric)
    hide_rest(list(places), len(columns), across)
    title = metric_title(metric)
    figure.supxlabel(wrapped(f"{second.label}, {title}", _PANEL_IN * across))
    figure.supylabel(wrapped(f"{first.label}, {title}", _PANEL_IN * down))
    handles = places[0].collections[:2]
    names = [wrapped(f"{first.label} is better", _PANEL_IN * across / 2), "equal or worse"]
    figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure


def pair_name(first: str, second: str) -> str:
    """Return the part of a file's name that names two methods; long ones end in a hash of them."""
    whole = file_name(f"{first}-{second}")
    if len(whole.encode()) <= _LONGEST_PAIR:
        return whole
    identity = content_id({"pair": [first, second]})
    return f"{file_name(whole, _LONGEST_PAIR - len(identity) - 1)}-{identity}"


def _draw_column(axes: Axes, points: Points, label: str, metric: MetricFacts) -> None:
    """Draw one column; ``points`` are values of the second method and of the first."""
    finite = points[np.isfinite(points).all(axis=1)]
    hidden = len(points) - len(finite)
    wins = is_better(finite, metric)
    for chosen, look in ((wins, _BETTER), (~wins, _NOT_BETTER)):
        axes.scatter(
            finite[chosen, 0],
            finite[chosen, 1],
            s=14,
            marker=look.marker,
            facecolors=look.colour,
            edgecolors="white",
            linewidths=0.3,
            zorder=2,
        )
    draw_diagonal(axes, finite)
    note = f"\n{hidden} not finite, not drawn" if hidden else ""
    count = f"{np.count_nonzero(wins)} of {len(finite)} better"
    axes.set_title(plain(f"{label}: {count}{note}"))
