"""Figures of ablations and of prompt analyses, as PNG and PDF."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.reporting.ablation_results import AxisResult, ValueResult
from harness.store.files import file_name, write_bytes

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_STRAIGHT_LABEL = 8
"""Characters of the longest label on an axis whose labels are not slanted."""


def draw_ablation(result: AxisResult, stem: Path) -> list[Path]:
    """Draw the differences in the first metric, with their intervals, and return the files."""
    metric = result.metrics[0]
    figure = _figure(1.6 + 0.9 * len(result.values), 3.2)
    axes = figure.subplots()
    axes.axhline(0, color="0.6", linewidth=0.8)
    for position, value in enumerate(result.values):
        _draw_value(axes, position, value, metric.id)
    labels = [value.label for value in result.values]
    is_slanted = max(map(len, labels)) > _LONGEST_STRAIGHT_LABEL
    axes.set_xticks(
        range(len(labels)),
        labels,
        rotation=30 if is_slanted else 0,
        ha="right" if is_slanted else "center",
    )
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(result.label)
    unit = f" ({metric.unit})" if metric.unit else ""
    axes.set_ylabel(f"difference in {metric.label}{unit}")
    axes.set_title(f"{result.title}\n(95% over {result.spread})", fontsize=9)
    return _save(figure, stem, dpi=150)


def draw_matrix(
    values: Sequence[Sequence[float | None]],
    labels: tuple[Sequence[str], Sequence[str]],
    axis_labels: tuple[str, str],
    heading: tuple[str, str],
    stem: Path,
) -> list[Path]:
    """Draw a matrix of averages, and return the files.

    Args:
        values: by row and column, None where one is missing.
        labels: of the rows and of the columns.
        axis_labels: what runs down and what runs across.
        heading: the title, and how numbers are written.
        stem: path of the files without suffix.
    """
    import numpy as np

    matrix = np.array(values, dtype=float)
    known = matrix[np.isfinite(matrix)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    rows, columns = labels
    figure = _figure(2.4 + 0.9 * len(columns), 1.8 + 0.5 * len(rows))
    axes = figure.subplots()
    # Equal values are one colour, not a division by nothing.
    limits = (low, high if high > low else low + 1)
    _draw_heat(axes, matrix, (rows, columns), _HeatMap(heading[0], limits, "Blues", heading[1]))
    axes.set_ylabel(axis_labels[0])
    axes.set_xlabel(axis_labels[1])
    return _save(figure, stem, dpi=150)


def draw_prompts(label: str, analysis: Mapping[str, Any], stem: Path) -> list[Path]:
    """Draw expert load per level, prompt swaps and both similarities; return the files."""
    import numpy as np

    columns, levels = analysis["columns"], list(analysis["routing"])
    figure = _figure(3.1 * len(levels) + 1, 10.6)
    axes = figure.subplots(4, len(levels), squeeze=False)
    for place in axes.ravel():
        place.set_axis_off()
    for place, level in zip(axes[0], levels, strict=True):
        load = analysis["routing"][level]["expert_load"]
        values = np.array([load[column] for column in columns], dtype=float)
        experts = list(map(str, range(values.shape[1])))
        heat = _HeatMap(f"expert load, {level}", (0, 1), "Blues", ".2f")
        _draw_heat(place, values, (columns, experts), heat)
    psnr_db = np.array(analysis["prompt_swap"]["psnr_db"], dtype=float)
    lost_db = psnr_db - np.diag(psnr_db)[:, None]
    bound = float(np.abs(lost_db).max(initial=1.0, where=np.isfinite(lost_db)))
    heat = _HeatMap("prompt swap: dB minus own", (-bound, bound), "RdBu", ".1f")
    _draw_heat(axes[1, 0], lost_db, (columns, columns), heat)
    for row, name, shown, limits, colours in (
        (2, "cosine", "cosine", (-1.0, 1.0), "RdBu_r"),
        (3, "cka", "CKA", (0.0, 1.0), "Purples"),
    ):
        for place, level in zip(axes[row], levels, strict=True):
            values = np.array(analysis["redundancy"][level][name], dtype=float)
            heat = _HeatMap(f"{shown} of prompts, {level}", limits, colours, ".2f")
            _draw_heat(place, values, (columns, columns), heat)
    figure.suptitle(label)
    return _save(figure, stem, dpi=110)


@dataclass(frozen=True)
class _HeatMap:
    """How a matrix is coloured and written."""

    title: str
    limits: tuple[float, float]
    colours: str
    digits: str


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, stem: Path, dpi: int) -> list[Path]:
    """Save a figure as PNG and PDF, and return the files."""
    paths = []
    for kind, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
        path = stem.with_name(f"{file_name(stem.name)}.{kind}")
        content = io.BytesIO()
        # Without a date, an unchanged figure is an unchanged file.
        figure.savefig(content, format=kind, dpi=dpi, metadata=metadata)
        write_bytes(path, content.getvalue())
        paths.append(path)
    return paths


def _draw_value(axes: Axes, position: int, value: ValueResult, metric: str) -> None:
    """Draw one value: hollow for the baseline, a word where there is no number."""
    delta = value.deltas.get(metric)
    if value.failed or value.averages.get(metric) is None:
        why = "failed" if value.failed else "missing"
        axes.text(position, 0, why, ha="center", va="bottom")
        return
    mean = 0.0 if delta is None else delta.mean
    bars = None
    if delta is not None and delta.low is not None and delta.high is not None:
        # The mean may lie outside a skewed interval.
        bars = [[max(0.0, mean - delta.low)], [max(0.0, delta.high - mean)]]
    filled = "white" if delta is None else "tab:blue"
    axes.errorbar(
        position, mean, bars, fmt="o", color="tab:blue", markerfacecolor=filled, capsize=3
    )


def _draw_heat(
    place: Any, values: np.ndarray, labels: tuple[Sequence[str], Sequence[str]], heat: _HeatMap
) -> None:
    """Draw a matrix with its numbers; ``labels`` are those of rows and columns."""
    import numpy as np

    rows, columns = labels
    place.set_axis_on()
    low, high = heat.limits
    image = place.imshow(values, vmin=low, vmax=high, cmap=heat.colours, aspect="auto")
    place.set_title(heat.title, fontsize=9)
    place.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=7)
    place.set_yticks(range(len(rows)), rows, fontsize=7)
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        text = format(value, heat.digits)
        place.text(column, row, text, ha="center", va="center", fontsize=6, color=ink)
