"""Two methods image by image: one point per image, by column, around the diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.metrics import MetricFacts
from harness.reporting.comparison.values import CommonValues
from harness.reporting.figures.style import OKABE_ITO, new_figure, save
from harness.reporting.table import metric_title
from harness.reporting.table_files import content_id
from harness.store.files import file_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        shown = values[:, images]
        _draw_column(axes, (shown[pair[1]], shown[pair[0]]), labels[column], metric)
    for axes in places[len(columns) :]:
        axes.set_axis_off()
    figure.supxlabel(f"{second.label}, {metric_title(metric)}", fontsize=8)
    figure.supylabel(f"{first.label}, {metric_title(metric)}", fontsize=8)
    handles = places[0].collections[:2]
    names = [f"{first.label} is better", "equal or worse"]
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return save(figure, stem.with_name(f"{stem.name}-{_pair_name(first.id, second.id)}-scatter"))


def _pair_name(first: str, second: str) -> str:
    """Return the part of a file's name that names two methods; long ones end in a hash of them."""
    whole = file_name(f"{first}-{second}")
    if len(whole.encode()) <= _LONGEST_PAIR:
        return whole
    identity = content_id({"pair": [first, second]})
    return f"{file_name(whole, _LONGEST_PAIR - len(identity) - 1)}-{identity}"


def _draw_column(
    axes: Axes,
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    label: str,
    metric: MetricFacts,
) -> None:
    """Draw one column; ``values`` are those of the second method and of the first."""
    across, up = values
    finite = np.isfinite(across) & np.isfinite(up)
    hidden = int(np.count_nonzero(~finite))
    across, up = across[finite], up[finite]
    is_better = up > across if metric.higher_is_better else up < across
    for chosen, look in ((is_better, _BETTER), (~is_better, _NOT_BETTER)):
        axes.scatter(
            across[chosen],
            up[chosen],
            s=14,
            marker=look.marker,
            facecolors=look.colour,
            edgecolors="white",
            linewidths=0.3,
            zorder=2,
        )
    low, high = _limits(np.concatenate([across, up]))
    axes.plot([low, high], [low, high], color="0.55", linewidth=0.8, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.set_xticks(axes.get_yticks(), minor=False)
    axes.set_xlim(low, high)
    axes.tick_params(labelsize=7)
    note = f"\n{hidden} not finite, not drawn" if hidden else ""
    wins = f"{np.count_nonzero(is_better)} of {len(up)} better"
    axes.set_title(f"{label}: {wins}{note}", fontsize=8)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits with a margin; equal values have a width too."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin
