"""A table in LaTeX as a paper prints it: booktabs, grouped headings, arrows, footnotes.

How the figures came about stands in comments above the table, where an author finds it; footnotes
say what a reader has to know.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from string import ascii_lowercase

from harness.reporting.renderers.latex_grid import Grid, Sheet, Slot, grid_of
from harness.reporting.renderers.latex_layout import known_columns
from harness.reporting.renderers.latex_style import LatexStyle
from harness.reporting.renderers.latex_text import (
    MARKING,
    breakable,
    centred,
    column_label,
    escape,
    float_label,
    header,
    marked,
    ranked,
    rule_below,
)
from harness.reporting.table import MISSING, Cell, MetricHeading, Part, Row, Table

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ARROWS = {True: r"$\uparrow$", False: r"$\downarrow$"}
_MOST_LINES = 60
"""Lines of rows that fit on a page; where there are more, each ``tabular`` has its own float."""


def render(table: Table, style: LatexStyle) -> str:
    """Return a complete float in the style of a venue."""
    shown = _with_part_notes(table)
    grid = grid_of(shown, known_columns(shown), style)
    text = "\n".join([*_floats(shown, grid, style), ""])
    return f"{_comments(table, style, text)}{text}"


def _with_part_notes(table: Table) -> Table:
    """Return the table with the note of each part as a footnote of its rows."""
    parts = []
    for part in table.parts:
        if not part.note:
            parts.append(part)
            continue
        groups = []
        for group in part.groups:
            rows = [replace(row, notes=(part.note, *row.notes)) for row in group.rows]
            groups.append(replace(group, rows=tuple(rows)))
        parts.append(replace(part, groups=tuple(groups)))
    return replace(table, parts=tuple(parts))


def _comments(table: Table, style: LatexStyle, text: str) -> str:
    needs = "\n".join(f"% Needs {line}." for line in style.packages if "usepackage" in line)
    head = header(text).partition("\n")[2]
    details = table.details_with(MARKING)
    lines = [needs, head, *(f"% {line}" for line in textwrap.wrap(details, 96))]
    return "\n".join(filter(None, lines)) + "\n"


def _floats(table: Table, grid: Grid, style: LatexStyle) -> Iterator[str]:
    environment = "table*" if grid.is_wide else "table"
    label = float_label(table.name)
    caption = rf"  \caption{{{escape(table.caption_with(MARKING, is_short=True))}}}"
    head = [caption, rf"  \label{{tab:{label}}}"]
    lines_each = sum(1 for _ in table.rows)
    per_float = max(1, _MOST_LINES // max(1, lines_each + 4))
    for start in range(0, len(grid.sheets), per_float):
        is_first = start == 0
        is_last = start + per_float >= len(grid.sheets)
        yield rf"\begin{{{environment}}}[tb]"
        yield r"  \centering"
        if is_first and style.page.caption_above:
            yield from head
            yield r"  \par\smallskip"
        if not is_first:
            yield rf"  Table~\ref{{tab:{label}}}, continued.\par\smallskip"
        yield f"  {grid.size.command}"
        yield rf"  \setlength{{\tabcolsep}}{{{grid.size.gap_pt:g}pt}}"
        for sheet in grid.sheets[start : start + per_float]:
            if sheet is not grid.sheets[start]:
                yield r"  \par\medskip"
            yield from _tabular(sheet)
        if is_last:
            yield from _footnotes(table)
        if is_first and not style.page.caption_above:
            yield from head
        yield rf"\end{{{environment}}}"


def _footnotes(table: Table) -> Iterator[str]:
    notes = [f"{_marks(table, [note])} {escape(note)}" for note in table.notes]
    notes += map(escape, table.remarks)
    if notes:
        text = breakable(r" \\ ".join(notes))
        yield rf"  \par\smallskip\parbox{{0.98\linewidth}}{{\scriptsize\raggedright {text}}}"


def _tabular(sheet: Sheet) -> Iterator[str]:
    texts = 1 + len(sheet.table.text_columns)
    slots = sheet.slots
    yield rf"  \begin{{tabular}}{{@{{}}{'l' * texts}{'c' * len(slots)}@{{}}}}"
    yield r"    \toprule"
    yield from _heads(sheet, slots, texts)
    for part in sheet.table.parts:
        yield r"    \midrule"
        yield from _part(sheet, part, slots, texts)
    yield r"    \bottomrule"
    yield r"  \end{tabular}"


def _part(sheet: Sheet, part: Part, slots: Sequence[Slot], texts: int) -> Iterator[str]:
    over_all = rf"\multicolumn{{{texts + len(slots)}}}{{@{{}}l}}"
    if part.heading:
        yield rf"    {over_all}{{\textit{{{escape(part.heading)}}}}} \\"
    for group in part.groups:
        if group.heading:
            yield rf"    {over_all}{{\textit{{{escape(group.heading)}}}}} \\"
        for row in group.rows:
            if not row.is_of_columns:
                yield _line(sheet, row, slots)
        if group is not part.groups[-1]:
            yield r"    \addlinespace[2pt]"


def _heads(sheet: Sheet, slots: Sequence[Slot], texts: int) -> Iterator[str]:
    """Yield the header: groups over columns over metrics, each line where it says something."""
    lead = ["Method", *(escape(column.heading) for column in sheet.table.text_columns)]
    blank = [""] * texts
    yield from _spanning(
        [(slot.column.group if not slot.column.is_trailing else "") for slot in slots],
        [column_label(slot.column) for slot in slots],
        blank,
    )
    joined = sheet.style.cells == "one" or len(sheet.metrics) == 1
    if joined:
        if sheet.metrics[0].label:
            lead[0] = " / ".join(_metric_title(metric) for metric in sheet.metrics)
        labels = [column_label(slot.column) for slot in slots]
        yield rf"    {' & '.join([*lead, *labels])} \\"
        return
    keys = [slot.column.key for slot in slots]
    names = {slot.column.key: column_label(slot.column) for slot in slots}
    cells, rules, place = [], [], texts + 1
    for key, members in groupby(keys):
        count = len(list(members))
        cells.append(centred(names[key], count))
        if count > 1:
            rules.append(rule_below(place, count))
        place += count
    yield rf"    {' & '.join([*blank, *cells])} \\"
    if rules:
        yield f"    {' '.join(rules)}"
    titles_of_slots = [_metric_title(slot.metrics[0]) if slot.metrics else "" for slot in slots]
    yield rf"    {' & '.join([*lead, *titles_of_slots])} \\"


def _spanning(names: Sequence[str], labels: Sequence[str], blank: Sequence[str]) -> Iterator[str]:
    """Yield a line of groups and its rules; nothing where groups repeat the labels below them."""
    said = False
    for name, label in zip(names, labels, strict=True):
        said = said or name not in ("", label)
    if not said:
        return
    cells, rules, place = [], [], len(blank) + 1
    for name, members in groupby(names):
        count = len(list(members))
        cells.append(centred(escape(name), count) if name else " & ".join([""] * count))
        if name:
            rules.append(rule_below(place, count))
        place += count
    yield rf"    {' & '.join([*blank, *cells])} \\"
    yield f"    {' '.join(rules)}"


def _metric_title(metric: MetricHeading) -> str:
    """Return the name of a metric with the better direction; the caption names its unit."""
    better: bool | None = getattr(metric, "higher_is_better", None)
    arrow = "" if better is None else _ARROWS[better]
    return f"{escape(metric.label)}{arrow}"


def _line(sheet: Sheet, row: Row, slots: Sequence[Slot]) -> str:
    texts = [f"{escape(row.label)}{_marks(sheet.table, row.notes)}"]
    for column in sheet.table.text_columns:
        texts.append(escape(row.cells.get((column.key, ""), Cell("")).text))
    for slot in slots:
        values = [_value(sheet, cell) for cell in sheet.cells(row, slot)]
        texts.append(MISSING if set(values) == {MISSING} else " / ".join(values))
    return f"    {' & '.join(texts)} \\\\"


def _marks(table: Table, notes: Sequence[str]) -> str:
    """Return the marks of footnotes: raised letters, which stay readable where they are many."""
    known = table.notes
    letters = []
    for note in notes:
        doubled, place = divmod(known.index(note), len(ascii_lowercase))
        letters.append(ascii_lowercase[place] * (doubled + 1))
    return rf"$^{{{','.join(letters)}}}$" if letters else ""


def _value(sheet: Sheet, cell: Cell) -> str:
    """Return a value marked by its rank, with its spread small behind it."""
    narrow = cell.narrow
    number, sign, spread = narrow.text.partition("±")
    found = _NUMBER.match(number)
    if sheet.style.siunitx and found:
        shown = marked(rf"\num{{{found[0]}}}", narrow.rank) + escape(number[found.end() :])
    else:
        shown = ranked(number, narrow.rank)
    if sign:
        shown += rf"{{\tiny$\pm${escape(spread)}}}"
    marks = _marks(sheet.table, cell.notes)
    return shown + (rf"\rlap{{{marks}}}" if marks else "")
