"""A table as LaTeX: needs booktabs alone and compiles as it is inside ``article``."""

from __future__ import annotations

from harness.reporting.renderers.latex_plain import plain
from harness.reporting.renderers.latex_stacked import stacked
from harness.reporting.renderers.latex_text import header
from harness.reporting.renderers.latex_wide import wide
from harness.reporting.table import Table


def render(table: Table) -> str:
    """Return a complete ``table`` environment in the table's layout."""
    if table.layout == "stacked":
        return stacked(table)
    if table.layout == "wide":
        return wide(table)
    text = plain(table)
    return f"{header(text)}\n{text}\n"
