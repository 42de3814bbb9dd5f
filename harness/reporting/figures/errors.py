"""Error maps: where and how far restored images differ from the ground truth, one image a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.reporting.figures.crops import Box, Pixels
from harness.reporting.figures.image_rows import Cell, ImageRow, draw_rows
from harness.reporting.figures.left_out import unscored
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.shown_images import (
    ShownImage,
    Version,
    box_of,
    shown_images,
)
from harness.reporting.figures.style import SEQUENTIAL, WIDTHS_IN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS_IMAGES = True
NEEDS_SCORES = True
left_out = unscored

_FOOT_IN = 0.5
_SHOWN_PERCENT = 99.5
"""Errors beyond this percentile share the last colour: single pixels would darken all others."""


def draw(asked: FigureRequest) -> Figure:
    """Return the maps: mean absolute difference over channels, in grey levels, with one colour bar.

    Raises:
        HarnessError: no restored image is kept.
    """
    images = shown_images(asked.plan, asked.names)
    crop = "none" if asked.crop == "auto" else asked.crop
    boxes = [box_of(image, crop) for image in images]
    shown: list[NDArray[np.float64]] = []
    for image, box in zip(images, boxes, strict=True):
        for version in (image.degraded, *image.restored):
            found = _error(version, image.clean, box)
            if found is not None:
                shown.append(found.ravel())
    highest = max(1.0, float(np.ceil(np.percentile(np.concatenate(shown), _SHOWN_PERCENT))))
    rows = []
    for image, box in zip(images, boxes, strict=True):
        rows.append(_row(image, box, highest))
    figure = draw_rows(rows, asked.width_in or WIDTHS_IN["full"], foot_in=_FOOT_IN)
    _add_bar(figure, highest)
    return figure


def _row(image: ShownImage, box: Box | None, highest: float) -> ImageRow:
    clean = image.clean if box is None else box.cut(image.clean)
    cells = [Cell(clean, "Ground truth", ("mean error",))]
    for version in (image.degraded, *image.restored):
        error = _error(version, image.clean, box)
        if error is None:
            cells.append(Cell(None, version.title))
        else:
            cells.append(Cell(_coloured(error, highest), version.title, (f"{error.mean():.2f}",)))
    return ImageRow(image.clean, box, image.caption, tuple(cells))


def _error(version: Version, clean: Pixels, box: Box | None) -> NDArray[np.float64] | None:
    """Return the mean absolute difference over channels in grey levels, (H, W)."""
    if version.pixels is None:
        return None
    difference = np.abs(version.pixels.astype(np.float64) - clean).mean(axis=2)
    return difference if box is None else box.cut(difference)


def _coloured(error: NDArray[np.float64], highest: float) -> Pixels:
    import matplotlib as mpl

    rgba = mpl.colormaps[SEQUENTIAL](np.clip(error / highest, 0, 1), bytes=True)
    return np.ascontiguousarray(rgba[..., :3])


def _add_bar(figure: Figure, highest: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    width_in, height_in = figure.get_size_inches()
    place = figure.add_axes((0.25, 0.36 / height_in, 0.5, 0.09 / height_in))
    colours = ScalarMappable(Normalize(0, highest), SEQUENTIAL)
    bar = figure.colorbar(colours, cax=place, orientation="horizontal", extend="max")
    bar.outline.set_visible(False)
    what = "mean absolute difference (grey levels)"
    bar.set_label(what if width_in > 3 else "difference (grey levels)", labelpad=1)
