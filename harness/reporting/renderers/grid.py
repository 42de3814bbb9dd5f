"""The grid of a table in characters, which terminals and Markdown share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.reporting.renderers.folding import Sheet, folded
from harness.reporting.table import MISSING, Cell, Column, Panel, Row, Table


@dataclass(frozen=True)
class GridStyle:
    """How a grid is written.

    Attributes:
        lines: tabulate's name of the lines around cells.
        mark: returns a value marked by its rank.
        escape: returns words so that they are shown as they are.
        part: returns the heading of a part as shown.
        group: returns the heading of a group of rows as shown.
        gap: characters between two columns.
    """

    lines: str
    mark: Callable[[str, int | None], str]
    escape: Callable[[str], str]
    part: Callable[[str], str]
    group: Callable[[str], str]
    gap: int = 3


def grid(table: Table, style: GridStyle, width: int | None = None) -> str:
    """Return the grids of a table, one per panel, with an empty line between them.

    A panel that is wider than ``width`` becomes several grids of fewer columns.
    """
    from tabulate import tabulate

    grids = []
    for panel in table.panels:
        whole = _sheet(table, panel, style)
        sheets = [whole] if width is None else folded(whole, width, style.gap)
        for sheet in sheets:
            grids.append(
                tabulate(
                    sheet.lines,
                    headers=sheet.heads,
                    tablefmt=style.lines,
                    disable_numparse=True,
                    colalign=sheet.alignment if sheet.lines else None,
                )
            )
    return "\n\n".join(grids)


def _sheet(table: Table, panel: Panel, style: GridStyle) -> Sheet:
    shown = [column for column in table.columns if _is_shown(column, panel, table)]
    heads = [style.escape(panel.heading)]
    for column in shown:
        heads.append(style.escape(column.heading))
    lines = []
    for part in table.parts:
        if part.heading:
            lines.append(_heading_line(style.part(part.heading), len(shown)))
        for group in part.groups:
            if group.heading:
                lines.append(_heading_line(style.group(group.heading), len(shown)))
            for row in group.rows:
                lines.append(_line(table, panel, row, shown, style))
    return Sheet(heads, lines, _alignment(table, shown))


def _is_shown(column: Column, panel: Panel, table: Table) -> bool:
    """Return whether a column is in a panel; what belongs to no metric is in the first."""
    return column.per_metric or column.is_text or panel == table.panels[0]


def _alignment(table: Table, columns: list[Column]) -> list[str]:
    alignment = ["left"]
    for column in columns:
        is_left = column.is_text or table.layout == "plain"
        alignment.append("left" if is_left else "right")
    return alignment


def _heading_line(heading: str, columns: int) -> list[str]:
    return [heading] + [""] * columns


def _line(
    table: Table, panel: Panel, row: Row, columns: list[Column], style: GridStyle
) -> list[str]:
    line = [style.escape(row.label + table.marks(row.notes))]
    for column in columns:
        line.append(_joined(table, column, _cells(row, column, panel), style))
    return line


def _cells(row: Row, column: Column, panel: Panel) -> list[Cell | None]:
    """Return a row's values of a column, one for each metric of a panel."""
    if not column.per_metric or row.is_of_columns:
        return [row.cells.get((column.key, ""))]
    cells = []
    for metric in panel.metrics:
        cells.append(row.cells.get((column.key, metric.id)))
    return cells


def _joined(table: Table, column: Column, cells: list[Cell | None], style: GridStyle) -> str:
    """Return the values of one cell; where none is known, or all are empty, it says so once."""
    texts = []
    for cell in cells:
        if cell is None:
            texts.append(MISSING)
            continue
        text = style.escape(cell.text) if column.is_text else cell.text
        texts.append(style.mark(text, cell.rank) + table.marks(cell.notes))
    if cells.count(None) == len(cells) or not any(texts):
        return texts[0]
    return " / ".join(texts)
