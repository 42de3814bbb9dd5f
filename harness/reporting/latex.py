"""A table as LaTeX: needs booktabs alone and compiles as it is inside ``article``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from harness.config.settings import Column
from harness.evaluation.metrics.registry import Metric
from harness.reporting.summary import AVERAGE, MethodLine, Table
from harness.reporting.tables import caption, footnotes, marked_label, metric_groups, number

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "σ": r"$\sigma$",
    "β": r"$\beta$",
    "Δ": r"$\Delta$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "–": "--",
    "—": "---",
    "’": "'",
    "…": r"\dots{}",
}


_COLUMNS_SIDE_BY_SIDE = 7
_DECIMALS = 3
"""Papers of the field print SSIM with three decimals; full precision is in the CSV."""


def escape(text: str) -> str:
    """Return ``text`` so that pdfLaTeX prints it; what it cannot print becomes ``?``."""
    parts = []
    for character in text:
        if character in _SPECIAL:
            parts.append(_SPECIAL[character])
        elif character == "-" and parts and parts[-1] == "-":
            parts.append("{}-")  # two hyphens would become a dash
        else:
            printable = character.isprintable() and ord(character) < 0x250
            parts.append(character if printable else " " if character.isspace() else "?")
    return "".join(parts)


def plain_table(
    heads: Sequence[str], lines: Sequence[Sequence[str]], caption: str, label: str
) -> str:
    """Return a ``table`` environment of texts, the first column left and the others centred."""
    body = [" & ".join(escape(text) for text in line) + r" \\" for line in lines]
    rows = [
        r"\begin{table}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{tab:{label}}}",
        r"  \par\smallskip",
        r"  \scriptsize",
        r"  \setlength{\tabcolsep}{3pt}",
        rf"  \begin{{tabular}}{{@{{}}l{'c' * (len(heads) - 1)}@{{}}}}",
        r"    \toprule",
        "    " + " & ".join(escape(text) for text in heads) + r" \\",
        r"    \midrule",
        *(f"    {line}" for line in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(rows)


def latex(table: Table) -> str:
    """Return a ``table`` environment; SSIM stands under PSNR so that it fits a text column."""
    gap = 3 if len(table.request.seeds) == 1 else 2
    lines = [
        "% Needs \\usepackage{booktabs}.",
        r"\begin{table}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(caption(table, 'best bold, second underlined'))}}}",
        rf"  \label{{tab:{re.sub(r'[^a-zA-Z0-9-]+', '-', table.request.setting)}}}",
        r"  \par\smallskip",
        r"  \footnotesize",
        # Spreads over seeds make cells wider, which the gaps between them pay for.
        rf"  \setlength{{\tabcolsep}}{{{gap}pt}}",
    ]
    blocks = _blocks(table.request.columns)
    for number_, columns in enumerate(blocks):
        lines += _block(table, columns, with_average=number_ == len(blocks) - 1)
        if number_ < len(blocks) - 1:
            lines.append(r"  \par\smallskip")
    notes = footnotes(table)
    if notes:
        text = r" \\ ".join(escape(note) for note in notes)
        lines.append(rf"  \par\smallskip\parbox{{\linewidth}}{{\scriptsize {text}}}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _blocks(columns: tuple[Column, ...]) -> list[tuple[Column, ...]]:
    """Cut columns that do not fit side by side into parts of like size, one below the other."""
    count = -(-len(columns) // _COLUMNS_SIDE_BY_SIDE)
    size = -(-len(columns) // count)
    return [columns[start : start + size] for start in range(0, len(columns), size)]


def _block(table: Table, columns: tuple[Column, ...], with_average: bool) -> list[str]:
    """Return a ``tabular`` of some of the table's columns."""
    average = "c" * with_average
    lines = [
        rf"  \begin{{tabular}}{{@{{}}l{'c' * len(columns)}{average}@{{}}}}",
        r"    \toprule",
        *_heads(columns, with_average),
        r"    \midrule",
    ]
    for position, metrics in enumerate(metric_groups(table)):
        if position:
            lines.append(r"    \midrule")
        title = " over ".join(metric.label for metric in metrics)
        width = len(columns) + 1 + with_average
        lines.append(rf"    \multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{escape(title)}}}}} \\")
        names = [*(column.name for column in columns), *([AVERAGE] if with_average else [])]
        for line in table.request.methods:
            lines += [_line(table, line, metric, names, metric is metrics[0]) for metric in metrics]
            if len(metrics) > 1 and line is not table.request.methods[-1]:
                lines.append(r"    \addlinespace[2pt]")
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _cell(text: str, rank: int | None) -> str:
    """Mark the value by its rank; its spread stays small and plain."""
    value, sign, spread = text.partition("±")
    command = {1: r"\textbf", 2: r"\underline"}.get(rank or 0, "")
    shown = rf"{command}{{{escape(value)}}}" if command else escape(value)
    return rf"{shown}{{\tiny$\pm${escape(spread)}}}" if sign else shown


def _heads(columns: tuple[Column, ...], with_average: bool) -> list[str]:
    """Return the two header lines: groups over their columns, then the columns."""
    groups, rules, place = [], [], 2
    for name, members in groupby(columns, key=lambda column: column.group):
        count = len(list(members))
        groups.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(name)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    labels = [column.latex_label for column in columns]
    end, average = (" &", " & Average") if with_average else ("", "")
    return [
        f"    & {' & '.join(groups)}{end} \\\\",
        f"    {' '.join(rules)}",
        f"    Method & {' & '.join(labels)}{average} \\\\",
    ]


def _line(
    table: Table, line: MethodLine, metric: Metric, columns: Sequence[str], first: bool
) -> str:
    cells = []
    for column in columns:
        entry = table.entry(line.id, column, metric.id)
        cells.append(_cell(number(entry, metric, _DECIMALS), entry.rank if entry else None))
    # Long names break after the signs between options instead of widening the table.
    label = re.sub(r"([:=]|\\_)", r"\1\\allowbreak{}", escape(marked_label(table, line)))
    name = rf"\parbox[t]{{0.17\linewidth}}{{\raggedright {label}}}" if first else ""
    return f"    {name} & {' & '.join(cells)} \\\\"
