"""A table in LaTeX that fits a text column: metrics are set one below the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from harness.reporting.renderers.latex_text import (
    MARKING,
    NEEDS,
    centred,
    column_label,
    escape,
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

_COLUMNS_SIDE_BY_SIDE = 7


def stacked(table: Table) -> str:
    """Return a ``table`` environment; columns that do not fit side by side form several blocks."""
    # Spreads over seeds make cells wider, which the gaps between them pay for.
    gap = 2 if table.has_spread else 3
    lines = [
        NEEDS,
        r"\begin{table}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(table.caption_with(MARKING))}}}",
        rf"  \label{{tab:{re.sub(r'[^a-zA-Z0-9-]+', '-', table.name)}}}",
        r"  \par\smallskip",
        r"  \footnotesize",
        rf"  \setlength{{\tabcolsep}}{{{gap}pt}}",
    ]
    for number, columns in enumerate(_blocks(table)):
        if number:
            lines.append(r"  \par\smallskip")
        lines += _block(table, columns)
    if table.footnotes:
        text = r" \\ ".join(map(escape, table.footnotes))
        lines.append(rf"  \par\smallskip\parbox{{\linewidth}}{{\scriptsize {text}}}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _blocks(table: Table) -> list[list[Column]]:
    """Cut columns into parts of like size; trailing ones are in the last part."""
    columns = grouped_columns(table.columns)
    trailing = table.columns[len(columns) :]
    count = max(1, -(-len(columns) // _COLUMNS_SIDE_BY_SIDE))
    size = max(1, -(-len(columns) // count))
    blocks = []
    for start in range(0, max(1, len(columns)), size):
        blocks.append(columns[start : start + size])
    blocks[-1] += trailing
    return blocks


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
    return [
        f"    & {' & '.join(groups)}{' &' * trailing} \\\\",
        f"    {' '.join(rules)}",
        f"    Method & {' & '.join(labels)} \\\\",
    ]


def _panel_lines(table: Table, panel: Panel, columns: Sequence[Column]) -> list[str]:
    rows = list(table.rows)
    lines = []
    for row in rows:
        for metric in panel.metrics:
            lines.append(_line(table, row, columns, panel, metric))
        if len(panel.metrics) > 1 and row is not rows[-1]:
            lines.append(r"    \addlinespace[2pt]")
    return lines


def _line(
    table: Table, row: Row, columns: Sequence[Column], panel: Panel, metric: MetricHeading
) -> str:
    is_first = metric is panel.metrics[0]
    texts = []
    for column in columns:
        key = (column.key, metric.id if column.per_metric else "")
        cell = row.cells.get(key)
        if not column.per_metric and not (is_first and panel == table.panels[0]):
            texts.append("")
        else:
            texts.append(MISSING if cell is None else with_spread(cell))
    # Long names break after the signs between options instead of widening the table.
    label = escape(row.label + table.marks(row.notes))
    label = re.sub(r"([:=]|\\_)", r"\1\\allowbreak{}", label)
    name = rf"\parbox[t]{{0.17\linewidth}}{{\raggedright {label}}}" if is_first else ""
    return f"    {name} & {' & '.join(texts)} \\\\"
