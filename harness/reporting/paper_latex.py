"""A paper's table as LaTeX: needs booktabs alone and fits the width of a two-column page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from harness.published.tables import AVERAGE, CitedMetric
from harness.reporting.latex import escape
from harness.reporting.paper import MISSING, PaperCell, PaperLine, PaperTable, caption
from harness.reporting.paper_text import footnotes

_MISSING = "--"
_MOST_NUMBERS = 14
"""Numbers on a line that still fit; a table with more shows its metrics one below the other."""
_MOST_LINES = 64
"""Lines of methods that fit on a page; where there are more, each metric has a float of its own."""

_LONGEST_NAME = 19
"""Characters of a method's name that stay on one line."""


def latex(table: PaperTable) -> str:
    """Return a ``table*`` environment with a rule between cited rows and this project's own."""
    count = len(table.metrics) * (len(table.columns) + 1 + table.has_delta)
    apart = len(table.metrics) > 1 and count > _MOST_NUMBERS
    panels = [[metric] for metric in table.metrics] if apart else [list(table.metrics)]
    label = re.sub(r"[^a-zA-Z0-9-]+", "-", f"{table.cited.setting}-{table.cited.source}")
    text = _breakable(escape(caption(table, "best bold, second underlined")))
    lines = [
        "% Needs \\usepackage{booktabs}.",
        r"\begin{table*}[tb]",
        r"  \centering",
        rf"  \caption{{{text}}}",
        rf"  \label{{tab:{label}}}",
        r"  \par\smallskip",
    ]
    sizes = [
        r"  \scriptsize",
        # Underlined figures must not touch those below.
        r"  \renewcommand{\arraystretch}{1.12}",
        rf"  \setlength{{\tabcolsep}}{{{'2.5pt' if count > 8 else '5pt'}}}",
    ]
    continued = [
        r"\end{table*}",
        r"\begin{table*}[tb]",
        r"  \centering",
        rf"  Table~\ref{{tab:{label}}}, continued.",
        r"  \par\smallskip",
        *sizes,
    ]
    lines += sizes
    bodies = [_tabular(table, metrics) for metrics in panels]
    for position, body in enumerate(bodies):
        if position:
            whole = sum(map(len, bodies)) <= _MOST_LINES
            lines += [r"  \par\medskip"] if whole else continued
        lines += body
    notes = [*table.remarks, *footnotes(table)]
    if notes:
        joined = " ".join(_breakable(_sentence(escape(note))) for note in notes)
        lines.append(
            rf"  \par\smallskip\parbox{{0.98\textwidth}}{{\scriptsize\raggedright {joined}}}"
        )
    lines.append(r"\end{table*}")
    return "\n".join(lines) + "\n"


def _tabular(table: PaperTable, metrics: Sequence[CitedMetric]) -> list[str]:
    texts = 1 + table.has_venues
    numbers = len(metrics) * (len(table.columns) + 1 + table.has_delta)
    lines = [
        rf"  \begin{{tabular}}{{@{{}}{'l' * texts}{'c' * numbers}@{{}}}}",
        r"    \toprule",
        *_heads(table, metrics),
    ]
    for part in table.parts:
        lines.append(r"    \midrule")
        whole = rf"\multicolumn{{{texts + numbers}}}{{@{{}}l}}"
        lines.append(rf"    {whole}{{\textbf{{{escape(part.heading)}}}}} \\")
        for position, (name, group) in enumerate(part.groups):
            if name:
                if position:
                    lines.append(r"    \addlinespace[2pt]")
                lines.append(rf"    {whole}{{\emph{{{escape(name)}}}}} \\")
            for line in group:
                lines.append(_line(table, line, metrics, part.origin == "cited"))
                lines += _spreads(table, line, metrics)
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _heads(table: PaperTable, metrics: Sequence[CitedMetric]) -> list[str]:
    """Return the header: groups over columns over metrics, each line where it says something."""
    each, texts = len(metrics), 1 + table.has_venues
    columns = [(c.group, c.label) for c in table.columns]
    lead = " & ".join(["Method", *(["Venue"] if table.has_venues else [])])
    blank = " & ".join([""] * texts)
    lines = []
    # A group of one column whose label repeats it is no heading.
    if any(group and group != label for group, label in columns):
        groups, rules, place = [], [], texts + 1
        for name, members in groupby(columns, key=lambda column: column[0]):
            width = each * len(list(members))
            groups.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
            rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
            place += width
        rest = " & ".join([*groups, *[""] * (each * (1 + table.has_delta))])
        lines += [rf"    {blank} & {rest} \\", f"    {' '.join(rules)}"]
    ends = ["Average", *([r"$\Delta$"] if table.has_delta else [])]
    if each == 1:
        labels = [*(escape(label) for _, label in columns), *ends]
        title = f"{metrics[0].label}{f' ({metrics[0].unit})' if metrics[0].unit else ''}"
        if len(table.metrics) > 1:
            lead = lead.replace("Method", rf"\emph{{{escape(title)}}}", 1)
        return [*lines, rf"    {lead} & {' & '.join(labels)} \\"]
    names, rules, place = [], [], texts + 1
    for name in [*(escape(label) for _, label in columns), *ends]:
        names.append(rf"\multicolumn{{{each}}}{{c}}{{{name}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + each - 1}}}")
        place += each
    metric_names = [metric.label for metric in metrics] * len(names)
    return [
        *lines,
        rf"    {blank} & {' & '.join(names)} \\",
        f"    {' '.join(rules)}",
        rf"    {lead} & {' & '.join(metric_names)} \\",
    ]


def _line(table: PaperTable, line: PaperLine, metrics: Sequence[CitedMetric], cited: bool) -> str:
    name = escape(line.method)
    if len(line.method) > _LONGEST_NAME:
        # They break after the signs between options, and within long words.
        words = re.split(r"(?<=[:=_#,])|(?<=[0-9A-Za-z]{8})(?=[0-9A-Za-z])", line.method)
        name = r"\allowbreak{}".join(map(escape, words))
        name = rf"\parbox[t]{{0.14\textwidth}}{{\raggedright {name}\strut}}"
    cells = [name + escape(table.marks(line.notes))]
    if table.has_venues:
        cells.append(escape(line.venue))
    for column in [*(c.name for c in table.columns), AVERAGE]:
        for metric in metrics:
            cells.append(_cell(table, line.cells.get((column, metric.id))))
    if table.has_delta:
        for metric in metrics:
            known = line.delta.get(metric.id)
            cells.append("" if cited else _MISSING if known is None else rf"${known}$")
    return f"    {' & '.join(cells)} \\\\"


def _spreads(table: PaperTable, line: PaperLine, metrics: Sequence[CitedMetric]) -> list[str]:
    """Return the spreads over seeds as a line below the values, whose columns they do not widen."""
    names = [*(column.name for column in table.columns), AVERAGE]
    cells = [line.cells.get((name, metric.id)) for name in names for metric in metrics]
    if all(cell is None or cell.spread is None for cell in cells):
        return []
    texts = [_spread(cell) for cell in cells]
    blank = [""] * (len(metrics) * table.has_delta)
    lead = [""] * (1 + table.has_venues)
    return [rf"    {' & '.join([*lead, *texts, *blank])} \\"]


def _spread(cell: PaperCell | None) -> str:
    """Return the figure between ± and what may follow it, small."""
    if cell is None or cell.spread is None:
        return ""
    return rf"{{\tiny$\pm${escape(cell.text.partition('±')[2].partition(' ')[0])}}}"


def _cell(table: PaperTable, cell: PaperCell | None) -> str:
    """Mark a value by its rank; marks take no width, and the spread stands below."""
    if cell is None:
        return _MISSING
    value, _, spread = cell.text.partition("±")
    value += "".join(spread.partition(" ")[1:])
    command = {1: r"\textbf", 2: r"\underline"}.get(cell.rank or 0, "")
    shown = rf"{command}{{{escape(value)}}}" if command else escape(value)
    return shown + (rf"\rlap{{{escape(table.marks(cell.notes))}}}" if cell.notes else "")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _breakable(text: str) -> str:
    """Let a line end behind the slashes of repositories and files, and print the missing sign."""
    text = text.replace(escape(MISSING), _MISSING)
    return re.sub(r"(?<=\S)/(?=\S)", r"/\\allowbreak{}", text)
