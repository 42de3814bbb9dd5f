"""A table in LaTeX that fits a text column: metrics are set one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.reporting.renderers.latex_layout import (
    COLUMN_PT,
    FOOTNOTE_PT,
    blocks,
    broken_label,
    cell_width_pt,
    known_columns,
    width_pt,
)
from harness.reporting.renderers.latex_text import (
    MARKING,
    centred,
    column_label,
    escape,
    float_label,
    header,
    rule_below,
    with_spread,
)
from harness.reporting.table import (
    MISSING,
    Column,
    MetricHeading,
    Panel,
    Row,
    Table,
    grouped_columns,
)

_LONGEST_LABEL = 12
"""Characters of a method's name that stay on one line."""


def stacked(table: Table) -> str:
    """Return a ``table`` environment; columns that do not fit side by side form several blocks."""
    # Spreads over seeds make cells wider, which the gaps between them pay for.
    gap_pt = 2 if table.has_spread else 3
    layout = _Layout(table, gap_pt)
    lines = [
        r"\begin{table}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(table.caption_with(MARKING, is_short=True))}}}",
        rf"  \label{{tab:{float_label(table.name)}}}",
        r"  \par\smallskip",
        r"  \footnotesize",
        rf"  \setlength{{\tabcolsep}}{{{gap_pt}pt}}",
    ]
    for number, columns in enumerate(blocks(known_columns(table), layout.fits)):
        if number:
            lines.append(r"  \par\smallskip")
        lines += _block(table, columns)
    lines += _note(table)
    lines.append(r"\end{table}")
    text = "\n".join(lines) + "\n"
    return f"{header(text)}\n{text}"


def _note(table: Table) -> list[str]:
    """Return the details and the footnotes below the table."""
    texts = [table.details_with(MARKING), *table.remarks, *table.footnotes]
    shown = [escape(text) for text in texts if text]
    if not shown:
        return []
    text = r" \\ ".join(shown)
    return [rf"  \par\smallskip\parbox{{\linewidth}}{{\scriptsize\raggedright {text}}}"]


@dataclass(frozen=True)
class _Layout:
    """Answers whether columns fit side by side into a text column."""

    table: Table
    gap_pt: float

    def fits(self, columns: Sequence[Column]) -> bool:
        total = self._label_pt()
        for name, members in groupby(columns, key=lambda column: column.group):
            widths = [self._column_pt(column) + 2 * self.gap_pt for column in members]
            total += max(sum(widths), width_pt(name, FOOTNOTE_PT) + 2 * self.gap_pt)
        return total <= COLUMN_PT

    def _label_pt(self) -> float:
        widest = width_pt("Method", FOOTNOTE_PT)
        for row in self.table.rows:
            for line in _label_lines(self.table, row):
                widest = max(widest, width_pt(line, FOOTNOTE_PT))
        return widest

    def _column_pt(self, column: Column) -> float:
        widest = width_pt(column.label, FOOTNOTE_PT)
        for row in self.table.rows:
            for (key, _), cell in row.cells.items():
                if key == column.key:
                    widest = max(widest, cell_width_pt(cell, FOOTNOTE_PT))
        return widest


def _block(table: Table, columns: Sequence[Column]) -> list[str]:
    """Return a ``tabular`` of some of the table's columns."""
    lines = [
        rf"  \begin{{tabular}}{{@{{}}l{'c' * len(columns)}@{{}}}}",
        r"    \toprule",
        *_heads(columns),
        r"    \midrule",
    ]
    for panel in table.panels:
        if panel != table.panels[0]:
            lines.append(r"    \midrule")
        title = " over ".join(metric.label for metric in panel.metrics)
        whole = rf"\multicolumn{{{len(columns) + 1}}}{{@{{}}l}}"
        lines.append(rf"    {whole}{{\emph{{{escape(title)}}}}} \\")
        lines += _panel_lines(table, panel, columns)
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _heads(columns: Sequence[Column]) -> list[str]:
    """Return the two header lines: groups over their columns, then the columns."""
    grouped = grouped_columns(columns)
    trailing = len(columns) - len(grouped)
    groups, rules = [], []
    place = 2
    for name, members in groupby(grouped, key=lambda column: column.group):
        count = len(list(members))
        groups.append(centred(escape(name), count))
        rules.append(rule_below(place, count))
        place += count
    labels = map(column_label, columns)
    lines = []
    if groups:
        lines.append(f"    & {' & '.join(groups)}{' &' * trailing} \\\\")
        lines.append(f"    {' '.join(rules)}")
    return [*lines, f"    Method & {' & '.join(labels)} \\\\"]


def _panel_lines(table: Table, panel: Panel, columns: Sequence[Column]) -> list[str]:
    """Return the lines of a panel; a name that is long goes on beside the further metrics."""
    rows = list(table.rows)
    lines = []
    for row in rows:
        names = _label_lines(table, row)
        for place in range(max(len(names), len(panel.metrics))):
            name = escape(names[place]) if place < len(names) else ""
            values = [""] * len(columns)
            if place < len(panel.metrics):
                values = _values(table, row, columns, panel, panel.metrics[place])
            lines.append(f"    {name} & {' & '.join(values)} \\\\")
        if len(panel.metrics) > 1 and row is not rows[-1]:
            lines.append(r"    \addlinespace[2pt]")
    return lines


def _label_lines(table: Table, row: Row) -> list[str]:
    return broken_label(row.label + table.marks(row.notes), _LONGEST_LABEL)


def _values(
    table: Table, row: Row, columns: Sequence[Column], panel: Panel, metric: MetricHeading
) -> list[str]:
    is_first = metric is panel.metrics[0] and panel == table.panels[0]
    texts = []
    for column in columns:
        if not column.per_metric and not is_first:
            texts.append("")
            continue
        cell = row.cells.get((column.key, metric.id if column.per_metric else ""))
        if cell is None:
            texts.append(MISSING)
        else:
            texts.append(with_spread(cell) + escape(table.marks(cell.notes)))
    return texts
