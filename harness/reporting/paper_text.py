"""A paper's table as text: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv as csv_format
import io
import re
import textwrap
from collections.abc import Callable

from harness.published.tables import AVERAGE
from harness.reporting.paper import MISSING, PaperLine, PaperTable, caption

_BOLD, _UNDERLINE, _PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"
_LINE_WIDTH = 100

_FIELDS = (
    *("setting", "origin", "from", "type", "method", "venue", "column", "metric", "value"),
    *("std_over_seeds", "images_scored", "images_expected", "rank", "protocol", "notes"),
)

Style = Callable[[str, int | None], str]


def terminal(table: PaperTable, colour: bool) -> str:
    """Return the table for a terminal; without colours best is marked ``*``, second ``_``."""
    if colour:

        def style(text: str, rank: int | None) -> str:
            return f"{_BOLD if rank == 1 else _UNDERLINE}{text}{_PLAIN}" if rank else text

    else:

        def style(text: str, rank: int | None) -> str:
            return text + {1: "*", 2: "_"}.get(rank or 0, "")

    how = "best bold, second underlined" if colour else "best *, second _"
    body = _grid(table, style, str, str.upper, lambda name: f"{name}:", "simple_outline")
    texts = [caption(table, how), *table.remarks, *footnotes(table)]
    return "\n".join([body, *(line for t in texts for line in textwrap.wrap(t, _LINE_WIDTH))])


def markdown(table: PaperTable) -> str:
    """Return a GitHub-flavoured Markdown table with caption and footnotes."""

    def style(text: str, rank: int | None) -> str:
        return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank or 0, text)

    body = _grid(
        table,
        style,
        _escape_markdown,
        lambda part: f"**{_escape_markdown(part)}**",
        lambda name: f"*{_escape_markdown(name)}*",
        "pipe",
    )
    texts = [*table.remarks, *footnotes(table)]
    how = caption(table, "best bold, second underlined")
    return "\n\n".join([_escape_markdown(how), body, *map(_escape_markdown, texts)]) + "\n"


def csv(table: PaperTable) -> str:
    """Return one line per value: cited ones as printed, others in full precision."""
    text = io.StringIO()
    writer = csv_format.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    for part in table.parts:
        for line in part.lines:
            whole = [table.cited.setting, part.origin, part.detail]
            whole += [line.type, line.method, line.venue]
            for (column, metric), cell in line.cells.items():
                notes = "; ".join([*line.notes, *cell.notes])
                facts = [cell.exact, cell.spread, cell.scored, cell.expected, cell.rank]
                writer.writerow([*whole, column, metric, *facts, line.protocol, notes])
            for metric, difference in line.delta.items():
                facts = [difference, None, None, None, None]
                writer.writerow([*whole, "average minus cited", metric, *facts, line.protocol, ""])
    return text.getvalue()


def footnotes(table: PaperTable) -> list[str]:
    """Return the footnotes with their marks."""
    return [f"{table.marks([note])} {note}" for note in table.notes]


def _grid(
    table: PaperTable,
    style: Style,
    escape: Callable[[str], str],
    of_part: Callable[[str], str],
    of_type: Callable[[str], str],
    layout: str,
) -> str:
    from tabulate import tabulate

    title = " / ".join(metric.label for metric in table.metrics)
    heads = [escape(title), *(["Venue"] if table.has_venues else [])]
    heads += [escape(_head(c.group, c.label)) for c in table.columns]
    heads += ["Average", *(["Δ"] if table.has_delta else [])]
    texts = 1 + table.has_venues
    rows: list[list[str]] = []
    for part in table.parts:
        rows.append([of_part(part.heading)] + [""] * (len(heads) - 1))
        for name, lines in part.groups:
            if name:
                rows.append([of_type(name)] + [""] * (len(heads) - 1))
            rows += [_row(table, line, style, escape, part.origin == "cited") for line in lines]
    return tabulate(
        rows,
        headers=heads,
        tablefmt=layout,
        disable_numparse=True,
        colalign=["left"] * texts + ["right"] * (len(heads) - texts),
    )


def _head(group: str, label: str) -> str:
    """Return one heading; a group that says no more than its label adds nothing."""
    return label if "σ" not in label else f"{group.partition('(')[2].rstrip(')') or group} {label}"


def _row(
    table: PaperTable, line: PaperLine, style: Style, escape: Callable[[str], str], cited: bool
) -> list[str]:
    row = [escape(line.method + table.marks(line.notes))]
    if table.has_venues:
        row.append(escape(line.venue))
    for name in [*(column.name for column in table.columns), AVERAGE]:
        parts = []
        for metric in table.metrics:
            cell = line.cells.get((name, metric.id))
            if cell is None:
                parts.append(MISSING)
            else:
                parts.append(style(cell.text, cell.rank) + table.marks(cell.notes))
        # A line with nothing at all in a column says so once.
        row.append(MISSING if set(parts) == {MISSING} else " / ".join(parts))
    if table.has_delta:
        known = [line.delta.get(metric.id, MISSING) for metric in table.metrics]
        row.append("" if cited else " / ".join(known) if line.delta else MISSING)
    return row


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|*_<>`\[\]#])", r"\\\1", text)
