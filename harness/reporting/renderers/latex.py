"""A table as LaTeX: needs booktabs alone and compiles as it is inside ``article``.

Each layout is imported when a table has it: every run writes one.
"""

from __future__ import annotations

from harness.reporting.renderers.latex_style import LatexStyle, document
from harness.reporting.renderers.latex_text import header
from harness.reporting.table import Table


def render(table: Table, style: LatexStyle | None = None) -> str:
    """Return a complete float in the table's own layout, or in the style of a paper."""
    if style is not None:
        from harness.reporting.renderers import latex_paper

        text = latex_paper.render(table, style)
        return document(text, style) if style.standalone else text
    if table.layout == "stacked":
        from harness.reporting.renderers.latex_stacked import stacked

        return stacked(table)
    if table.layout == "wide":
        from harness.reporting.renderers.latex_wide import wide

        return wide(table)
    from harness.reporting.renderers.latex_plain import plain

    text = plain(table)
    return f"{header(text)}\n{text}\n"
