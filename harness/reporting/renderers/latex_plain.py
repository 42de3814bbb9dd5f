"""A table of texts in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from harness.reporting.renderers.latex_layout import (
    COLUMN_PT,
    PAGE_PT,
    SCRIPT_PT,
    blocks,
    known_columns,
    width_pt,
)
from harness.reporting.renderers.latex_text import MARKING, escape, value
from harness.reporting.table import MISSING, Cell, Column, Row, Table

_GAP_PT = 3.0
_LONGEST_LABEL_PT = 90.0
"""Width of a row's label beyond which it goes on in a second line."""


def plain(table: Table) -> str:
    """Return a float of a column's width, or of the page's where columns need it.

    The first column stands to the left and the others are centred. Columns that do not even fit
    the page form several blocks.
    """
    columns = known_columns(table)
    in_column = _Layout(table, COLUMN_PT)
    is_narrow = in_column.fits(columns)
    layout = in_column if is_narrow else _Layout(table, PAGE_PT)
    environment = "table" if is_narrow else "table*"
    lines = [
        rf"\begin{{{environment}}}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(table.caption_with(MARKING, is_short=True))}}}",
        rf"  \label{{tab:{table.name}}}",
        r"  \par\smallskip",
        r"  \scriptsize",
        rf"  \setlength{{\tabcolsep}}{{{_GAP_PT:g}pt}}",
    ]
    for number, block in enumerate(blocks(columns, layout.fits)):
        if number:
            lines.append(r"  \par\smallskip")
        lines += _block(table, block, layout)
    lines += _note(table)
    return "\n".join([*lines, rf"\end{{{environment}}}"])


@dataclass(frozen=True)
class _Layout:
    """Answers whether columns fit side by side into a width."""

    table: Table
    width_pt: float

    @property
    def label_pt(self) -> float:
        """Width of the labels if they are not broken."""
        labels = [self.table.panels[0].heading, *(row.label for row in self.table.rows)]
        return max(width_pt(label, SCRIPT_PT) for label in labels)

    @property
    def has_long_labels(self) -> bool:
        """Whether labels go on in a second line."""
        return self.label_pt > _LONGEST_LABEL_PT

    def fits(self, columns: Sequence[Column]) -> bool:
        total = min(self.label_pt, _LONGEST_LABEL_PT)
        for column in columns:
            texts = [column.heading, *(_text(row, column) for row in self.table.rows)]
            total += max(width_pt(text, SCRIPT_PT) for text in texts) + 2 * _GAP_PT
        return total <= self.width_pt


def _block(table: Table, columns: Sequence[Column], layout: _Layout) -> list[str]:
    first = "l"
    if layout.has_long_labels:
        first = rf"p{{{_LONGEST_LABEL_PT:g}pt}}"
    heads = [escape(table.panels[0].heading)]
    for column in columns:
        heads.append(escape(column.heading))
    lines = [
        rf"  \begin{{tabular}}{{@{{}}{first}{'c' * len(columns)}@{{}}}}",
        r"    \toprule",
        _line(heads),
        r"    \midrule",
    ]
    for group in chain.from_iterable(part.groups for part in table.parts):
        if group.heading:
            heading = rf"\itshape {escape(group.heading)}"
            lines.append(_line([rf"\multicolumn{{{len(columns) + 1}}}{{@{{}}l}}{{{heading}}}"]))
        for row in group.rows:
            label = escape(row.label)
            if layout.has_long_labels:
                label = rf"\raggedright {label}"
            lines.append(_line([label, *[value(_text(row, column)) for column in columns]]))
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _text(row: Row, column: Column) -> str:
    return row.cells.get((column.key, ""), Cell(MISSING)).text


def _note(table: Table) -> list[str]:
    texts = [table.details_with(MARKING), *table.remarks]
    shown = r" \\ ".join(escape(text) for text in texts if text)
    if not shown:
        return []
    return [rf"  \par\smallskip\parbox{{\linewidth}}{{\scriptsize\raggedright {shown}}}"]


def _line(texts: Sequence[str]) -> str:
    return "    " + " & ".join(texts) + r" \\"
