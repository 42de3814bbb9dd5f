"""The matrix of averages of two crossed axes of an ablation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.reporting.figures.heat import HeatMap, draw_heat
from harness.reporting.figures.style import new_figure, paper_style, save, wrapped


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
    with paper_style():
        width_in, height_in = 2.0 + 0.7 * len(columns), 1.5 + 0.35 * len(rows)
        figure = new_figure(width_in, height_in)
        axes = figure.subplots()
        # Equal values are one colour, not a division by nothing.
        limits = (low, high if high > low else low + 1)
        title = wrapped(heading[0], width_in - 1)
        draw_heat(axes, matrix, (rows, columns), HeatMap(title, limits, heading[1]))
        axes.set_ylabel(wrapped(axis_labels[0], height_in - 1))
        axes.set_xlabel(wrapped(axis_labels[1], width_in - 1))
        return save(figure, stem)
