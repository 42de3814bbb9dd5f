"""Which numbers of a table stand side by side on a page of a paper, and at what size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from harness.reporting.renderers.latex_layout import blocks, cell_width_pt, width_pt
from harness.reporting.renderers.latex_style import LatexStyle
from harness.reporting.table import (
    MISSING,
    Cell,
    Column,
    MetricHeading,
    Row,
    Table,
)

_FULL = 0.96
"""Share of a width that may be filled, since widths are estimates."""

ARROW_PT = 5.5
"""About the width of an arrow behind a metric's name."""


@dataclass(frozen=True)
class Size:
    """A size of type with the gap that goes with it.

    Attributes:
        command: that sets it in LaTeX.
        points: of the type.
        gap_pt: on each side of a column.
    """

    command: str
    points: float
    gap_pt: float


SIZES = (
    Size(r"\small", 9.0, 4.0),
    Size(r"\footnotesize", 8.0, 3.5),
    Size(r"\scriptsize", 7.0, 2.5),
    Size(r"\scriptsize", 7.0, 1.8),
)
"""From the size that reads best to the smallest that still reads."""


@dataclass(frozen=True)
class Slot:
    """One printed column of values: a column of the table, with the metrics in its cells."""

    column: Column
    metrics: tuple[MetricHeading, ...]


@dataclass(frozen=True)
class Sheet:
    """Columns that stand side by side in one ``tabular``.

    Attributes:
        table: whose rows are shown.
        metrics: whose values are shown.
        columns: of values.
        style: joins metrics in a cell or not.
    """

    table: Table
    metrics: tuple[MetricHeading, ...]
    columns: tuple[Column, ...]
    style: LatexStyle

    @property
    def slots(self) -> list[Slot]:
        """The printed columns of values, from left to right."""
        found = []
        for column in self.columns:
            if not column.per_metric:
                found.append(Slot(column, ()))
            elif self.style.cells == "one":
                found.append(Slot(column, self.metrics))
            else:
                found += [Slot(column, (metric,)) for metric in self.metrics]
        return found

    def cells(self, row: Row, slot: Slot) -> list[Cell]:
        """Return the values of a row in a printed column, one per metric."""
        if not slot.metrics:
            return [row.cells.get((slot.column.key, ""), Cell(MISSING))]
        found = []
        for metric in slot.metrics:
            found.append(row.cells.get((slot.column.key, metric.id), Cell(MISSING)))
        return found

    def width_at(self, size: Size) -> float:
        """Return about how wide the sheet is in print."""
        total = self._texts_pt(size)
        widths: dict[str, float] = {}
        for slot in self.slots:
            width = self._slot_pt(slot, size) + 2 * size.gap_pt
            widths[slot.column.key] = widths.get(slot.column.key, 0.0) + width
        for group, members in groupby(self.columns, key=lambda column: column.group):
            below = 0.0
            for column in members:
                heading = width_pt(column.label or column.heading, size.points) + 2 * size.gap_pt
                below += max(widths[column.key], heading)
            total += max(below, width_pt(group, size.points) + 2 * size.gap_pt)
        return total

    def _texts_pt(self, size: Size) -> float:
        """Return the width of the methods' names and of the other columns of words."""
        labels = [f"{row.label}{self.table.marks(row.notes)}" for row in self.table.rows]
        corner = " / ".join(metric.label for metric in self.metrics) or self.table.panels[0].heading
        total = width_pt(corner, size.points) + ARROW_PT * len(self.metrics)
        for label in labels:
            total = max(total, width_pt(label, size.points))
        for column in self.table.text_columns:
            widest = width_pt(column.heading, size.points)
            for row in self.table.rows:
                text = row.cells.get((column.key, ""), Cell("")).text
                widest = max(widest, width_pt(text, size.points))
            total += widest + 2 * size.gap_pt
        return total

    def _slot_pt(self, slot: Slot, size: Size) -> float:
        widest = 0.0
        if self.style.cells == "two" and len(self.metrics) > 1:
            for metric in slot.metrics:
                widest = max(widest, width_pt(metric.label, size.points) + ARROW_PT)
        for row in self.table.rows:
            if row.is_of_columns:
                continue
            cells = self.cells(row, slot)
            width = sum(cell_width_pt(cell, size.points) for cell in cells)
            widest = max(widest, width + width_pt(" / ", size.points) * (len(cells) - 1))
        return widest


@dataclass(frozen=True)
class Grid:
    """How a table is spread over a float.

    Attributes:
        sheets: the tabulars, one below the other.
        size: of their type.
        is_wide: whether they take the whole page.
    """

    sheets: tuple[Sheet, ...]
    size: Size
    is_wide: bool


def grid_of(table: Table, columns: Sequence[Column], style: LatexStyle) -> Grid:
    """Return the largest arrangement that fits: within a column, else across the page."""
    values = tuple(column for column in columns if not column.is_text)
    whole = Sheet(table, tuple(table.metrics), values, style)
    for sheets in _arrangements(whole):
        for is_wide in (False, True):
            found = _fitting(sheets, style.page.page_pt if is_wide else style.page.column_pt)
            if found is not None:
                return Grid(sheets, found, is_wide)
    return Grid(tuple(_cut(whole)), SIZES[-1], is_wide=True)


def _arrangements(whole: Sheet) -> Iterator[tuple[Sheet, ...]]:
    """Yield the metrics side by side, then one below the other."""
    yield (whole,)
    if len(whole.metrics) > 1 and whole.style.cells == "two":
        yield tuple(_by_metric(whole))


def _by_metric(whole: Sheet) -> Iterator[Sheet]:
    """Yield a sheet per metric; what belongs to no metric stands in the first."""
    for metric in whole.metrics:
        is_first = metric is whole.metrics[0]
        columns = tuple(c for c in whole.columns if c.per_metric or is_first)
        yield replace(whole, metrics=(metric,), columns=columns)


def _fitting(sheets: Sequence[Sheet], limit_pt: float) -> Size | None:
    for size in SIZES:
        if all(sheet.width_at(size) <= _FULL * limit_pt for sheet in sheets):
            return size
    return None


def _cut(whole: Sheet) -> Iterator[Sheet]:
    """Yield sheets with as many columns as fit across the page."""
    parts = [whole] if whole.style.cells == "one" else list(_by_metric(whole))
    for part in parts:

        def fits(columns: Sequence[Column], part: Sheet = part) -> bool:
            narrow = replace(part, columns=tuple(columns))
            return narrow.width_at(SIZES[-1]) <= _FULL * part.style.page.page_pt

        for columns in blocks(part.columns, fits):
            yield replace(part, columns=tuple(columns))
