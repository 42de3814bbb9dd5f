"""A table in GitHub-flavoured Markdown."""

from __future__ import annotations

import re

from harness.reporting.renderers.grid import GridStyle, grid
from harness.reporting.table import Marking, Table

_MARKING = Marking("best bold", "second underlined")


def render(table: Table, level: int = 2) -> str:
    """Return the table with caption, remarks and footnotes.

    A table with a heading is a section of ``level`` with the caption below the grid; others have
    it above.
    """
    caption = escape(table.caption_with(_MARKING))
    texts = map(escape, (*table.remarks, *table.footnotes))
    if table.heading:
        parts = [f"{'#' * level} {escape(table.heading)}", body(table), caption, *texts]
    else:
        parts = [caption, body(table), *texts]
    return "\n\n".join(filter(None, parts)) + "\n"


def body(table: Table) -> str:
    """Return the grid of the table alone."""
    style = GridStyle(lines="pipe", mark=_marked, escape=escape, part=_bold, group=_emphasised)
    return grid(table, style)


def escape(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is."""
    return re.sub(r"([\\|*_<>`\[\]#])", r"\\\1", text)


def _marked(text: str, rank: int | None) -> str:
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank or 0, text)


def _bold(heading: str) -> str:
    return f"**{escape(heading)}**"


def _emphasised(heading: str) -> str:
    return f"*{escape(heading)}*"
