"""A table of texts in LaTeX."""

from __future__ import annotations

from harness.reporting.renderers.latex_text import escape
from harness.reporting.table import MISSING, Cell, Row, Table


def plain(table: Table) -> str:
    """Return a ``table`` environment, the first column left and the others centred."""
    heads = [table.panels[0].heading]
    for column in table.columns:
        heads.append(column.heading)
    lines = [
        r"\begin{table}[tb]",
        r"  \centering",
        rf"  \caption{{{escape(table.caption)}}}",
        rf"  \label{{tab:{table.name}}}",
        r"  \par\smallskip",
        r"  \scriptsize",
        r"  \setlength{\tabcolsep}{3pt}",
        rf"  \begin{{tabular}}{{@{{}}l{'c' * len(table.columns)}@{{}}}}",
        r"    \toprule",
        _line(heads),
        r"    \midrule",
    ]
    for row in table.rows:
        lines.append(_line(_texts(table, row)))
    lines += [
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _texts(table: Table, row: Row) -> list[str]:
    texts = [row.label]
    for column in table.columns:
        texts.append(row.cells.get((column.key, ""), Cell(MISSING)).text)
    return texts


def _line(texts: list[str]) -> str:
    return "    " + " & ".join(map(escape, texts)) + r" \\"
