"""Rows of images: the whole image on the left, and next to it the same part of several versions.

Parts are shown in as few lines as leave each one wide enough for the text below it. Everything is
placed in inches, so that text has its size on paper however many versions there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.reporting.figures.cell_lines import SLASH, Words, line_width_in, lines_of, slash_in
from harness.reporting.figures.crops import Box, Pixels
from harness.reporting.figures.style import (
    LINE_IN,
    PNG_DPI,
    new_figure,
    plain,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP_IN = 0.05
_LEAST_CELL_IN, _WIDEST_CELL_IN = 0.85, 1.7
_WHOLE_SHARE = 0.3
"""Share of the figure's width that the whole image has at most."""
_ROW_GAP_IN, _LINE_GAP_IN = 0.1, 0.05
_BASELINE = 0.8
"""Where letters stand in a line, from its top."""
_BOX_COLOUR = "#E69F00"


@dataclass(frozen=True)
class Cell:
    """One version of an image.

    Attributes:
        pixels: the part that is shown; None where there is no image.
        title: above it.
        texts: below it, in one line where that fits, else one each.
        best: places of the texts that are bold.
    """

    pixels: Pixels | None
    title: str
    texts: tuple[str, ...] = ()
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ImageRow:
    """All versions of one image.

    Attributes:
        whole: the whole image.
        box: the part that the cells show; None if they show all of it, and ``whole`` is left out.
        caption: what the image is.
        cells: its versions, as many in each row of a figure.
    """

    whole: Pixels
    box: Box | None
    caption: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _Layout:
    """Sizes in inches that all rows share."""

    lines: int
    per_line: int
    cell_in: float
    whole_in: float


def draw_rows(rows: Sequence[ImageRow], width_in: float, foot_in: float = 0.0) -> Figure:
    """Return a figure of rows; ``foot_in`` is left free below them."""
    layout = _layout(rows, width_in)
    if layout.lines == 1:
        # One head stands for the whole column.
        rows = [rows[0], *map(_without_titles, rows[1:])]
    heights = [_row_height_in(row, layout) for row in rows]
    height_in = sum(heights) + _ROW_GAP_IN * (len(rows) - 1) + foot_in
    used_in = layout.per_line * (layout.cell_in + _GAP_IN) - _GAP_IN
    if layout.whole_in:
        used_in += layout.whole_in + 2 * _GAP_IN
    figure = new_figure(max(used_in, 1.0), height_in, is_placed=True)
    canvas = _Canvas(figure, max(used_in, 1.0), height_in)
    top_in = 0.0
    for row, row_in in zip(rows, heights, strict=True):
        _draw_row(canvas, row, layout, top_in)
        top_in += row_in + _ROW_GAP_IN
    return figure


def _without_titles(row: ImageRow) -> ImageRow:
    return replace(row, cells=tuple(replace(cell, title="") for cell in row.cells))


def _layout(rows: Sequence[ImageRow], width_in: float) -> _Layout:
    """Return the layout with the fewest lines whose cells are wide enough, or the widest cells."""
    count = len(rows[0].cells)
    found: list[_Layout] = []
    for lines in range(1, count + 1):
        layout = _with_lines(rows, width_in, lines)
        if layout.cell_in >= _LEAST_CELL_IN:
            return layout
        found.append(layout)
    return max(found, key=lambda layout: layout.cell_in)


def _with_lines(rows: Sequence[ImageRow], width_in: float, lines: int) -> _Layout:
    per_line = -(-len(rows[0].cells) // lines)
    if not any(row.box for row in rows):
        cell_in = (width_in + _GAP_IN) / per_line - _GAP_IN
        return _Layout(lines, per_line, min(cell_in, 2 * _WIDEST_CELL_IN), 0.0)
    shapes = [(_aspect(row.whole), row) for row in rows]
    free_in = width_in - (per_line + 1) * _GAP_IN
    # The whole image is as high as the lines of cells next to it, if that leaves them room.
    widest = max(aspect * lines * _relative_height(row) for aspect, row in shapes)
    cell_in = min(free_in / (per_line + widest), _WIDEST_CELL_IN)
    cell_in = max(cell_in, min((free_in - _WHOLE_SHARE * width_in) / per_line, _WIDEST_CELL_IN))
    return _Layout(lines, per_line, cell_in, min(free_in - per_line * cell_in, widest * cell_in))


def _aspect(image: Pixels) -> float:
    """Return the width of an image over its height."""
    return float(image.shape[1] / image.shape[0])


def _relative_height(row: ImageRow) -> float:
    """Return the height of a row's cells over their width."""
    for cell in row.cells:
        if cell.pixels is not None:
            return 1 / _aspect(cell.pixels)
    return 1 / _aspect(row.whole)


def _lines_of(row: ImageRow, layout: _Layout) -> list[tuple[Cell, ...]]:
    """Return the cells of each line of a row."""
    starts = range(0, len(row.cells), layout.per_line)
    return [row.cells[start : start + layout.per_line] for start in starts]


def _title_in(cells: Sequence[Cell], layout: _Layout) -> float:
    """Return the height of the titles of a line of cells; 0 where it has none."""
    counts = [wrapped(cell.title, layout.cell_in).count("\n") + 1 for cell in cells]
    lines = max(counts) if any(cell.title for cell in cells) else 0
    return LINE_IN * lines + _GAP_IN


def _below(cell: Cell, layout: _Layout) -> list[list[Words]]:
    """Return the lines below a cell."""
    return lines_of(cell.texts, cell.best, layout.cell_in)


def _line_in(row: ImageRow, cells: Sequence[Cell], layout: _Layout) -> float:
    """Return the height of a line of cells with its text."""
    texts = max(len(_below(cell, layout)) for cell in cells)
    gap_in = _LINE_GAP_IN if layout.lines > 1 else 0.0
    image_in = layout.cell_in * _relative_height(row)
    return _title_in(cells, layout) + image_in + LINE_IN * texts + _GAP_IN + gap_in


def _lines_in(row: ImageRow, layout: _Layout) -> float:
    """Return the height of all lines of a row."""
    return sum(_line_in(row, cells, layout) for cells in _lines_of(row, layout))


def _row_height_in(row: ImageRow, layout: _Layout) -> float:
    if not layout.whole_in:
        return _lines_in(row, layout) + LINE_IN
    title_in = _title_in(_lines_of(row, layout)[0], layout)
    below_in = _caption_in(row, layout) + _GAP_IN
    whole_in = title_in + _whole_size_in(row, layout)[1] + below_in
    return max(_lines_in(row, layout), whole_in)


def _caption(row: ImageRow, layout: _Layout) -> str:
    """Return the lines below the whole image."""
    return wrapped(row.caption, layout.whole_in, most_lines=2)


def _caption_in(row: ImageRow, layout: _Layout) -> float:
    return LINE_IN * (_caption(row, layout).count("\n") + 1)


def _whole_size_in(row: ImageRow, layout: _Layout) -> tuple[float, float]:
    """Return width and height of the whole image: no higher than the cells beside it."""
    aspect = _aspect(row.whole)
    highest_in = _lines_in(row, layout) - _title_in(_lines_of(row, layout)[0], layout)
    highest_in -= _caption_in(row, layout) + _GAP_IN
    height_in = min(layout.whole_in / aspect, max(highest_in, 0.9 * layout.cell_in))
    return height_in * aspect, height_in


@dataclass(frozen=True)
class _Canvas:
    """A figure on which things are placed in inches from its upper left corner."""

    figure: Figure
    width_in: float
    height_in: float

    def image(
        self, pixels: Pixels, left_in: float, top_in: float, size: tuple[float, float]
    ) -> None:
        """Draw an image; pixels that are enlarged stay squares, in a PDF too."""
        width_in, height_in = size
        axes = self.figure.add_axes(
            (
                left_in / self.width_in,
                1 - (top_in + height_in) / self.height_in,
                width_in / self.width_in,
                height_in / self.height_in,
            )
        )
        axes.imshow(
            _at_resolution(pixels, width_in, height_in), interpolation="none", aspect="auto"
        )
        axes.set_axis_off()

    def box(self, place: tuple[float, float], size: tuple[float, float]) -> None:
        """Draw the outline of a rectangle."""
        from matplotlib.patches import Rectangle

        left_in, top_in = place
        width_in, height_in = size
        for colour, line_pt in (("black", 2.0), (_BOX_COLOUR, 1.1)):
            patch = Rectangle(
                (left_in / self.width_in, 1 - (top_in + height_in) / self.height_in),
                width_in / self.width_in,
                height_in / self.height_in,
                fill=False,
                edgecolor=colour,
                linewidth=line_pt,
                transform=self.figure.transFigure,
            )
            self.figure.add_artist(patch)

    def text(self, text: str, x_in: float, top_in: float, weight: str = "normal") -> None:
        """Write lines centred on ``x_in``; equal heights have equal baselines."""
        for number, line in enumerate(text.split("\n")):
            baseline_in = top_in + LINE_IN * (number + _BASELINE)
            self.figure.text(
                x_in / self.width_in,
                1 - baseline_in / self.height_in,
                line,
                ha="center",
                va="baseline",
                weight=weight,
            )


def _draw_row(canvas: _Canvas, row: ImageRow, layout: _Layout, top_in: float) -> None:
    left_in = 0.0
    if layout.whole_in:
        _draw_whole(canvas, row, layout, top_in + _title_in(_lines_of(row, layout)[0], layout))
        left_in = layout.whole_in + 2 * _GAP_IN
    else:
        canvas.text(plain(row.caption), canvas.width_in / 2, top_in)
        top_in += LINE_IN
    height_in = layout.cell_in * _relative_height(row)
    for cells in _lines_of(row, layout):
        title_in = _title_in(cells, layout)
        for place, cell in enumerate(cells):
            x_in = left_in + place * (layout.cell_in + _GAP_IN)
            _draw_cell(canvas, cell, (x_in, top_in + title_in), (layout.cell_in, height_in))
            below_in = top_in + title_in + height_in + 0.03
            for number, line in enumerate(_below(cell, layout)):
                middle_in = x_in + layout.cell_in / 2
                _draw_line(canvas, line, middle_in, below_in + LINE_IN * number)
        top_in += _line_in(row, cells, layout)


def _draw_line(canvas: _Canvas, line: Sequence[Words], middle_in: float, top_in: float) -> None:
    """Write parts of a line next to each other, with a slash between two."""
    left_in = middle_in - line_width_in(line) / 2
    gap_in = slash_in()
    for place, words in enumerate(line):
        if place:
            canvas.text(SLASH.strip(), left_in + gap_in / 2, top_in)
            left_in += gap_in
        canvas.text(words.text, left_in + words.width_in / 2, top_in, words.weight)
        left_in += words.width_in


def _draw_cell(
    canvas: _Canvas, cell: Cell, place: tuple[float, float], size: tuple[float, float]
) -> None:
    """Draw an image with its title, whose last line stands on it."""
    left_in, top_in = place
    width_in, height_in = size
    middle_in = left_in + width_in / 2
    title = wrapped(cell.title, width_in)
    title_in = LINE_IN * (title.count("\n") + 1) + _GAP_IN
    canvas.text(title, middle_in, top_in - title_in)
    if cell.pixels is None:
        canvas.text("no image", middle_in, top_in + height_in / 2)
    else:
        canvas.image(cell.pixels, left_in, top_in, size)


def _draw_whole(canvas: _Canvas, row: ImageRow, layout: _Layout, top_in: float) -> None:
    width_in, height_in = _whole_size_in(row, layout)
    left_in = (layout.whole_in - width_in) / 2
    canvas.image(row.whole, left_in, top_in, (width_in, height_in))
    if row.box is not None:
        scale = width_in / row.whole.shape[1]
        place = (left_in + row.box.x * scale, top_in + row.box.y * scale)
        canvas.box(place, (row.box.width * scale, row.box.height * scale))
    canvas.text(_caption(row, layout), layout.whole_in / 2, top_in + height_in + 0.03)


def _at_resolution(pixels: Pixels, width_in: float, height_in: float) -> Pixels:
    """Return an image with about as many pixels as are printed.

    Small ones are enlarged by a whole number without blur, large ones are averaged.
    """
    from PIL import Image

    factor = int(width_in * PNG_DPI / pixels.shape[1])
    if factor >= 1:
        return np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)
    size = (max(1, round(width_in * PNG_DPI)), max(1, round(height_in * PNG_DPI)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
