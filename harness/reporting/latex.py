"""A table as LaTeX: needs booktabs alone and compiles as it is inside ``article``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from harness.evaluation.metrics import Metric
from harness.reporting.summary import AVERAGE, MethodLine, Table
from harness.reporting.tables import caption, footnotes, marked_label, metric_groups, number
from harness.spec import Column

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
    columns = table.request.columns
    lines = [
        "% Needs \\usepackage{booktabs}.",
        r"\begin{table}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(caption(table, 'best bold, second underlined'))}}}",
        rf"  \label{{tab:{re.sub(r'[^a-zA-Z0-9-]+', '-', table.request.setting)}}}",
        r"  \par\smallskip",
        r"  \footnotesize",
        # Spreads over seeds make cells wider, which the gaps between them pay for.
        rf"  \setlength{{\tabcolsep}}{{{'3pt' if len(table.request.seeds) == 1 else '2pt'}}}",
        rf"  \begin{{tabular}}{{@{{}}l{'c' * len(columns)}c@{{}}}}",
        r"    \toprule",
        *_heads(columns),
        r"    \midrule",
    ]
    for position, metrics in enumerate(metric_groups(table)):
        if position:
            lines.append(r"    \midrule")
        title = " over ".join(metric.label for metric in metrics)
        lines.append(
            rf"    \multicolumn{{{len(columns) + 2}}}{{@{{}}l}}{{\emph{{{escape(title)}}}}} \\"
        )
        for line in table.request.methods:
            lines += [_line(table, line, metric, first=metric is metrics[0]) for metric in metrics]
            if len(metrics) > 1 and line is not table.request.methods[-1]:
                lines.append(r"    \addlinespace[2pt]")
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    notes = footnotes(table)
    if notes:
        text = r" \\ ".join(escape(note) for note in notes)
        lines.append(rf"  \par\smallskip\parbox{{\linewidth}}{{\scriptsize {text}}}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _cell(text: str, rank: int | None) -> str:
    """Mark the value by its rank; its spread stays small and plain."""
    value, sign, spread = text.partition("±")
    command = {1: r"\textbf", 2: r"\underline"}.get(rank or 0, "")
    shown = rf"{command}{{{escape(value)}}}" if command else escape(value)
    return rf"{shown}{{\tiny$\pm${escape(spread)}}}" if sign else shown


def _heads(columns: tuple[Column, ...]) -> list[str]:
    """Return the two header lines: groups over their columns, then the columns."""
    groups, rules, place = [], [], 2
    for name, members in groupby(columns, key=lambda column: column.group):
        count = len(list(members))
        groups.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(name)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    labels = [column.latex_label for column in columns]
    return [
        f"    & {' & '.join(groups)} & \\\\",
        f"    {' '.join(rules)}",
        f"    Method & {' & '.join(labels)} & Average \\\\",
    ]


def _line(table: Table, line: MethodLine, metric: Metric, first: bool) -> str:
    cells = []
    for column in [*(c.name for c in table.request.columns), AVERAGE]:
        entry = table.entry(line.id, column, metric.id)
        cells.append(_cell(number(entry, metric, _DECIMALS), entry.rank if entry else None))
    # Long names break after the signs between options instead of widening the table.
    label = re.sub(r"([:=]|\\_)", r"\1\\allowbreak{}", escape(marked_label(table, line)))
    name = rf"\parbox[t]{{0.17\linewidth}}{{\raggedright {label}}}" if first else ""
    return f"    {name} & {' & '.join(cells)} \\\\"
