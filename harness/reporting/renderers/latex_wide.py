"""A table in LaTeX that fits the width of a two-column page: metrics are set side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from harness.reporting.renderers.latex_layout import blocks, known_columns
from harness.reporting.renderers.latex_text import (
    MARKING,
    breakable,
    centred,
    column_label,
    escape,
    float_label,
    header,
    ranked,
    rule_below,
)
from harness.reporting.table import (
    MISSING,
    Cell,
    Column,
    MetricHeading,
    Row,
    Table,
    grouped_columns,
    metric_title,
)

_MOST_NUMBERS = 14
"""Numbers on a line that still fit; a table with more shows its metrics one below the other."""

_MOST_LINES = 64
"""Lines of methods that fit on a page; where there are more, each metric has a float of its own."""

_LONGEST_NAME = 19
"""Characters of a method's name that stay on one line."""

_NARROW_GAPS = 8
"""Numbers on a line from which the gaps between them are narrow."""


def wide(table: Table) -> str:
    """Return a ``table*`` environment with a rule between its parts."""
    columns = known_columns(table)
    table = replace(table, columns=tuple(columns))
    count = len(table.metrics) * len(table.value_columns)
    label = float_label(table.name)
    sizes = [
        r"  \scriptsize",
        # Underlined figures must not touch those below.
        r"  \renewcommand{\arraystretch}{1.12}",
        rf"  \setlength{{\tabcolsep}}{{{'2.5pt' if count > _NARROW_GAPS else '5pt'}}}",
    ]
    lines = [
        r"\begin{table*}[tb]",
        r"  \centering",
        rf"  \caption{{{breakable(escape(table.caption_with(MARKING, is_short=True)))}}}",
        rf"  \label{{tab:{label}}}",
        r"  \par\smallskip",
        *sizes,
    ]
    continued = [
        r"\end{table*}",
        r"\begin{table*}[tb]",
        r"  \centering",
        rf"  Table~\ref{{tab:{label}}}, continued.",
        r"  \par\smallskip",
        *sizes,
    ]
    bodies = []
    for metrics in _panels(table, count):
        for shown in _column_blocks(table, len(metrics)):
            bodies.append(_tabular(shown, metrics))
    fits_one_page = sum(map(len, bodies)) <= _MOST_LINES
    for body in bodies:
        if body is not bodies[0]:
            lines += [r"  \par\medskip"] if fits_one_page else continued
        lines += body
    text = "\n".join([*lines, *_below(table), r"\end{table*}"]) + "\n"
    return f"{header(text)}\n{text}"


def _panels(table: Table, count: int) -> list[Sequence[MetricHeading]]:
    if len(table.metrics) > 1 and count > _MOST_NUMBERS:
        return [[metric] for metric in table.metrics]
    return [table.metrics]


def _column_blocks(table: Table, each: int) -> list[Table]:
    """Return the table in parts that fit the page, each with all names and some of the columns."""

    def fits(columns: Sequence[Column]) -> bool:
        return each * len(columns) <= _MOST_NUMBERS

    found = []
    for columns in blocks(table.value_columns, fits):
        found.append(replace(table, columns=(*table.text_columns, *columns)))
    return found


def _below(table: Table) -> list[str]:
    notes = list(filter(None, [table.details_with(MARKING), *table.remarks, *table.footnotes]))
    if not notes:
        return []
    sentences = []
    for note in notes:
        sentences.append(breakable(_sentence(escape(note))))
    joined = " ".join(sentences)
    return [rf"  \par\smallskip\parbox{{0.98\textwidth}}{{\scriptsize\raggedright {joined}}}"]


def _tabular(table: Table, metrics: Sequence[MetricHeading]) -> list[str]:
    texts = 1 + len(table.text_columns)
    numbers = len(metrics) * len(table.value_columns)
    whole = rf"\multicolumn{{{texts + numbers}}}{{@{{}}l}}"
    lines = [
        rf"  \begin{{tabular}}{{@{{}}{'l' * texts}{'c' * numbers}@{{}}}}",
        r"    \toprule",
        *_heads(table, metrics),
    ]
    for part in table.parts:
        lines.append(r"    \midrule")
        lines.append(rf"    {whole}{{\textbf{{{escape(part.heading)}}}}} \\")
        for group in part.groups:
            if group.heading:
                if group is not part.groups[0]:
                    lines.append(r"    \addlinespace[2pt]")
                lines.append(rf"    {whole}{{\emph{{{escape(group.heading)}}}}} \\")
            for row in group.rows:
                if row.is_of_columns:
                    lines.append(_columns_line(table, row, len(metrics)))
                    continue
                lines.append(_line(table, row, metrics))
                lines += _spread_line(table, row, metrics)
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _heads(table: Table, metrics: Sequence[MetricHeading]) -> list[str]:
    """Return the header: groups over columns over metrics, each line where it says something."""
    lead = ["Method"]
    for column in table.text_columns:
        lead.append(column.heading)
    labels = list(map(column_label, table.value_columns))
    lines = _group_heads(table, len(metrics), len(lead))
    if len(metrics) == 1:
        if len(table.metrics) > 1:
            lead[0] = rf"\emph{{{escape(metric_title(metrics[0]))}}}"
        return [*lines, rf"    {' & '.join([*lead, *labels])} \\"]
    names, rules = [], []
    place = len(lead) + 1
    for label in labels:
        names.append(centred(label, len(metrics)))
        rules.append(rule_below(place, len(metrics)))
        place += len(metrics)
    metric_names = [metric.label for metric in metrics] * len(names)
    blank = [""] * len(lead)
    return [
        *lines,
        rf"    {' & '.join([*blank, *names])} \\",
        f"    {' '.join(rules)}",
        rf"    {' & '.join([*lead, *metric_names])} \\",
    ]


def _group_heads(table: Table, each: int, texts: int) -> list[str]:
    """Return the line of groups and its rules; nothing where groups repeat their labels."""
    columns = table.value_columns
    grouped = grouped_columns(columns)
    trailing = len(columns) - len(grouped)
    if not any(column.group not in ("", column.label) for column in grouped):
        return []
    groups, rules = [], []
    place = texts + 1
    for name, members in groupby(grouped, key=lambda column: column.group):
        width = each * len(list(members))
        groups.append(centred(escape(name), width))
        rules.append(rule_below(place, width))
        place += width
    cells = [*[""] * texts, *groups, *[""] * (each * trailing)]
    return [rf"    {' & '.join(cells)} \\", f"    {' '.join(rules)}"]


def _line(table: Table, row: Row, metrics: Sequence[MetricHeading]) -> str:
    texts = [_name(row.label) + escape(table.marks(row.notes))]
    for column in table.text_columns:
        texts.append(escape(row.cells.get((column.key, ""), Cell("")).text))
    for column in table.value_columns:
        for metric in metrics:
            texts.append(_value(table, column, row.cells.get((column.key, metric.id))))
    return f"    {' & '.join(texts)} \\\\"


def _columns_line(table: Table, row: Row, each: int) -> str:
    """Return a line that says something of each column; the same of all is said once."""
    texts = [rf"\emph{{{escape(row.label)}}}", *[""] * len(table.text_columns)]
    columns = grouped_columns(table.value_columns)
    shown = [row.cells.get((column.key, ""), Cell("")).text for column in columns]
    if len(set(shown)) == 1:
        texts.append(centred(rf"\emph{{{escape(shown[0])}}}", each * len(columns)))
    else:
        texts += [centred(rf"{{\tiny {escape(text)}}}", each) for text in shown]
    trailing = len(table.value_columns) - len(columns)
    texts += [""] * (each * trailing)
    return f"    {' & '.join(texts)} \\\\"


def _name(label: str) -> str:
    if len(label) <= _LONGEST_NAME:
        return escape(label)
    # Names break after the signs between options, and within long words.
    words = re.split(r"(?<=[:=_#,])|(?<=[0-9A-Za-z]{8})(?=[0-9A-Za-z])", label)
    name = r"\allowbreak{}".join(map(escape, words))
    return rf"\parbox[t]{{0.14\textwidth}}{{\raggedright {name}\strut}}"


def _value(table: Table, column: Column, cell: Cell | None) -> str:
    """Return a value marked by its rank; marks take no width, and the spread is set below."""
    if cell is None:
        return MISSING
    if column.is_signed:
        return f"${cell.text}$" if cell.text else ""
    number, _, spread = cell.text.partition("±")
    number += "".join(spread.partition(" ")[1:])
    shown = ranked(number, cell.rank)
    return shown + (rf"\rlap{{{escape(table.marks(cell.notes))}}}" if cell.notes else "")


def _spread_line(table: Table, row: Row, metrics: Sequence[MetricHeading]) -> list[str]:
    """Return the spreads over seeds as a line below the values, whose columns they do not widen."""
    texts = []
    for column in table.value_columns:
        for metric in metrics:
            texts.append(_spread(row.cells.get((column.key, metric.id))))
    if not any(texts):
        return []
    lead = [""] * (1 + len(table.text_columns))
    return [rf"    {' & '.join([*lead, *texts])} \\"]


def _spread(cell: Cell | None) -> str:
    """Return the figure between ± and what may follow it, small."""
    if cell is None or cell.spread is None:
        return ""
    return rf"{{\tiny$\pm${escape(cell.text.partition('±')[2].partition(' ')[0])}}}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
