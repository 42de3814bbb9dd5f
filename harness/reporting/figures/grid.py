"""A comparison of restored images: degraded, every method and the ground truth, one image a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.evaluation.metrics import MetricFacts
from harness.reporting.figures.crops import Box, Pixels
from harness.reporting.figures.image_rows import Cell, ImageRow, draw_rows
from harness.reporting.figures.left_out import unscored
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.shown_images import (
    ShownImage,
    Version,
    best_texts,
    box_of,
    shown_images,
    shown_metrics,
    value_texts,
)
from harness.reporting.figures.style import WIDTHS_IN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

NEEDS_IMAGES = True
NEEDS_SCORES = True
left_out = unscored


def draw(asked: FigureRequest) -> Figure:
    """Return the grid; the best value of each row and metric is bold, by the digits shown.

    Raises:
        HarnessError: no restored image is kept.
    """
    metrics = shown_metrics(asked.plan)
    rows = []
    for image in shown_images(asked.plan, asked.names):
        rows.append(_row(image, box_of(image, asked.crop), metrics))
    return draw_rows(rows, asked.width_in or WIDTHS_IN["full"])


def _row(image: ShownImage, box: Box | None, metrics: Sequence[MetricFacts]) -> ImageRow:
    # The degraded image is no method.
    best = [frozenset[int](), *best_texts(image, metrics)]
    cells = []
    for version, places in zip((image.degraded, *image.restored), best, strict=True):
        texts = value_texts(version, metrics)
        cells.append(Cell(_cut(version, box), version.title, texts, places))
    names = tuple(f"{metric.label}" for metric in metrics)
    truth = Version("Ground truth", image.clean, {})
    cells.append(Cell(_cut(truth, box), truth.title, names))
    return ImageRow(image.clean, box, image.caption, tuple(cells))


def _cut(version: Version, box: Box | None) -> Pixels | None:
    if version.pixels is None or box is None:
        return version.pixels
    return box.cut(version.pixels)
