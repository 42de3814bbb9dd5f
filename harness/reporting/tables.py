"""A table as text: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from harness.config.settings import Column
from harness.evaluation.metrics.registry import Metric
from harness.reporting.summary import AVERAGE, Entry, MethodLine, Table

MARKS = "†‡§¶"
_BOLD, _UNDERLINE, _PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"

Style = Callable[[str, int | None], str]


def terminal(table: Table, colour: bool) -> str:
    """Return the table for a terminal; best bold and second underlined where it has colours.

    Without colours best and second are marked ``*`` and ``_`` behind the number.
    """
    if colour:

        def style(text: str, rank: int | None) -> str:
            return f"{_BOLD if rank == 1 else _UNDERLINE}{text}{_PLAIN}" if rank else text

    else:

        def style(text: str, rank: int | None) -> str:
            return text + {1: "*", 2: "_"}.get(rank or 0, "")

    best = "best bold, second underlined" if colour else "best *, second _"
    body = _grid(table, style, str, "simple_outline", lambda column: column.label)
    return "\n".join([body, *_wrapped(caption(table, best)), *footnotes(table)])


def markdown(table: Table) -> str:
    """Return a GitHub-flavoured Markdown table with caption and footnotes."""

    def style(text: str, rank: int | None) -> str:
        return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank or 0, text)

    body = _grid(table, style, _escape_markdown, "pipe", lambda c: _escape_markdown(c.label))
    text = caption(table, "best bold, second underlined")
    notes = [_escape_markdown(note) for note in footnotes(table)]
    return "\n\n".join([_escape_markdown(text), body, *notes]) + "\n"


def csv(table: Table) -> str:
    """Return one line per value, in full precision, with what it stands on."""
    import pandas as pd

    request = table.request
    lines = [
        {
            "method": method,
            "column": column,
            "metric": metric,
            "mean": entry.value,
            "std_over_seeds": entry.spread,
            "seeds": entry.seeds,
            "images_scored": entry.scored,
            "images_expected": entry.expected,
            "rank": entry.rank,
            "setting": request.setting,
            "dataset": request.dataset,
            "recipe": request.recipe,
            "preprocessing": request.preprocessing,
            "protocol": request.protocol,
        }
        for (method, column, metric), entry in table.entries.items()
    ]
    frame = pd.DataFrame(lines)
    if "rank" in frame:
        frame["rank"] = frame["rank"].astype("Int64")
    return frame.to_csv(index=False, lineterminator="\n")


def caption(table: Table, marks: str) -> str:
    """Return what the figures are, in a few sentences."""
    request = table.request
    metrics = " / ".join(f"{m.label}{f' ({m.unit})' if m.unit else ''}" for m in request.metrics)
    source = "synthetic twin" if request.dataset == "synthetic-twin" else request.dataset
    counts = ", ".join(f"{c.label} {len(request.images[c.name])}" for c in request.columns)
    seeds = ", ".join(str(seed) for seed in request.seeds)
    cut = f" (centre {request.centre_px} px)" if request.centre_px else ""
    labels = {column.name: column.label for column in request.columns}
    missing = ", ".join(f"{labels[name]} ({data})" for name, data in request.absent.items())
    absent = f"Not there: {missing}. " if missing else ""
    average = "none, for a part of the columns is no average" if missing else "mean of the columns"
    trained = f"{request.training} " if request.training else ""
    spread = "; ± is the standard deviation over seeds" if len(request.seeds) > 1 else ""
    return (
        f"{request.title}. Setting {request.setting}, {source}; recipe {request.recipe}; "
        f"{metrics}, protocol {request.protocol}, preparation {request.preprocessing}; "
        f"seed{'s' if len(request.seeds) > 1 else ''} {seeds}{spread}. "
        f"{trained}Images scored{cut}: {counts}. {absent}Average: {average}; {marks}."
    )


def marked_label(table: Table, line: MethodLine) -> str:
    """Return a method's label with the marks of its footnotes."""
    notes = _notes(table)
    return line.label + "".join(MARKS[notes.index(note) % len(MARKS)] for note in line.notes)


def footnotes(table: Table) -> list[str]:
    """Return the footnotes with their marks, in order of appearance."""
    return [f"{MARKS[i % len(MARKS)]} {note}" for i, note in enumerate(_notes(table))]


def _notes(table: Table) -> list[str]:
    return list(dict.fromkeys(note for line in table.request.methods for note in line.notes))


def number(entry: Entry | None, metric: Metric, most_decimals: int = 9) -> str:
    """Return a value as text: ``--`` if absent, with spread and ``(scored/expected)``."""
    if entry is None:
        return "--"
    decimals = min(metric.decimals, most_decimals)
    text = f"{entry.value:.{decimals}f}"
    if entry.spread is not None:
        text += f"±{entry.spread:.{decimals}f}"
    return text if entry.complete else f"{text} ({entry.scored}/{entry.expected})"


def metric_groups(table: Table) -> Iterator[tuple[Metric, ...]]:
    """Yield the metrics that share a cell: PSNR and SSIM together, others alone."""
    metrics = table.request.metrics
    if len(metrics) >= 2:
        yield metrics[:2]
        for metric in metrics[2:]:
            yield (metric,)
    else:
        yield metrics


def _grid(
    table: Table,
    style: Style,
    escape: Callable[[str], str],
    layout: str,
    head: Callable[[Column], str],
) -> str:
    from tabulate import tabulate

    columns = [*(c.name for c in table.request.columns), AVERAGE]
    heads = [*(head(c) for c in table.request.columns), "Average"]
    grids = []
    for metrics in metric_groups(table):
        lines = []
        for line in table.request.methods:
            cells = [escape(marked_label(table, line))]
            for column in columns:
                parts = []
                for metric in metrics:
                    entry = table.entry(line.id, column, metric.id)
                    parts.append(style(number(entry, metric), entry.rank if entry else None))
                cells.append(" / ".join(parts))
            lines.append(cells)
        title = " / ".join(metric.label for metric in metrics)
        grids.append(
            tabulate(
                lines,
                headers=[escape(title), *heads],
                tablefmt=layout,
                disable_numparse=True,
                colalign=["left", *["right"] * len(columns)],
            )
        )
    return "\n\n".join(grids)


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|*_<>`\[\]#])", r"\\\1", text)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width=100)
