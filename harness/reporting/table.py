"""The one model of a table: what a renderer needs, and nothing of how it came about.

Benchmark, paper, ablation and probe tables fill it; :mod:`harness.reporting.renderers` turn it into
text, Markdown, LaTeX and CSV.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

MARKS = "†‡§¶"
"""Signs of footnotes; after the last one they are doubled."""

MISSING = "--"
"""The text where no value is known."""

BEST_AND_SECOND, BEST = "{marks}", "{mark}"
"""Marks in a caption, where a renderer says how it marks best and second, or the best alone."""

Layout = Literal["stacked", "wide", "plain"]
"""How a table is laid out on a page.

``stacked``: metrics one below the other, within a text column. ``wide``: metrics side by side,
across a page. ``plain``: texts in columns, without ranks.
"""

CellKey = tuple[str, str]
"""Key of a column, and id of a metric (empty for columns that belong to no metric)."""


@dataclass(frozen=True)
class Marking:
    """How a renderer marks values, in words such as ``best bold`` and ``second underlined``."""

    best: str = ""
    second: str = ""


@dataclass(frozen=True)
class Cell:
    """One value.

    Attributes:
        text: as shown, with its spread behind ``±`` and counts in brackets.
        rank: 1 for the best, 2 for the second, else None.
        notes: footnotes of this value.
        spread: standard deviation over seeds, None without one.
        short_text: the same with fewer decimals, for narrow tables; empty if it is ``text``.
        short_rank: the rank by the digits of ``short_text``.
    """

    text: str
    rank: int | None = None
    notes: tuple[str, ...] = ()
    spread: float | None = None
    short_text: str = ""
    short_rank: int | None = None

    @property
    def narrow(self) -> Cell:
        """The value as narrow tables show it."""
        if not self.short_text:
            return self
        return replace(self, text=self.short_text, rank=self.short_rank)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: what cells are found by.
        heading: heading where groups are not shown.
        label: heading below the group.
        group: heading over several columns, or empty.
        latex_label: ``label`` as LaTeX source; None escapes it.
        per_metric: whether it has a value for each metric.
        is_text: whether it holds words, which are set to the left of all values.
        is_trailing: whether it is set after all groups, as averages do.
        is_signed: whether its values carry a sign.
    """

    key: str
    heading: str
    label: str = ""
    group: str = ""
    latex_label: str | None = None
    per_metric: bool = True
    is_text: bool = False
    is_trailing: bool = False
    is_signed: bool = False


@dataclass(frozen=True)
class Row:
    """One method or value; a cell that is absent is a missing value.

    Attributes:
        label: at its left.
        cells: its values.
        notes: footnotes of the row.
        is_of_columns: whether it says something of each column and nothing of a metric; its cells
            have an empty metric.
    """

    label: str
    cells: Mapping[CellKey, Cell]
    notes: tuple[str, ...] = ()
    is_of_columns: bool = False


@dataclass(frozen=True)
class RowGroup:
    """Rows of one kind, below a heading where it is not empty."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Part:
    """Rows that are ranked among themselves, below a heading where it is not empty.

    ``note`` says where all of them are from, where a paper has to say it in a footnote.
    """

    heading: str
    groups: tuple[RowGroup, ...]
    note: str = ""


class MetricHeading(Protocol):
    """What headings need of a metric, measured or cited."""

    @property
    def id(self) -> str:
        """What cells are found by; empty where columns have one value each."""
        ...

    @property
    def label(self) -> str:
        """Name in headings."""
        ...

    @property
    def unit(self) -> str:
        """``dB``, or empty."""
        ...


@dataclass(frozen=True)
class NoMetric:
    """The name of the one value that a column of texts has."""

    id: str = ""
    label: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Panel:
    """Metrics whose values share a cell in text, and the heading over the rows' labels."""

    heading: str
    metrics: Sequence[MetricHeading]


@dataclass(frozen=True)
class Table:
    """Everything that a renderer needs.

    Attributes:
        layout: how it is laid out on a page.
        name: its name in LaTeX labels.
        columns: from left to right, those of words first.
        panels: the metrics by the grid in which text shows them.
        parts: the rows.
        caption: what the figures are, in two lines; see :data:`BEST_AND_SECOND`.
        details: how they came about, in sentences; in LaTeX a note below the table.
        heading: title of a section that holds the table alone, or empty.
        remarks: sentences below the table.
        fields: columns of the CSV file.
        records: lines of the CSV file, one per value, in full precision.
    """

    layout: Layout
    name: str
    columns: tuple[Column, ...]
    panels: tuple[Panel, ...]
    parts: tuple[Part, ...]
    caption: str
    details: str = ""
    heading: str = ""
    remarks: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    records: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @functools.cached_property
    def metrics(self) -> list[MetricHeading]:
        """All metrics, in order."""
        found: list[MetricHeading] = []
        for panel in self.panels:
            found += panel.metrics
        return found

    @property
    def text_columns(self) -> list[Column]:
        """The columns of words."""
        return [column for column in self.columns if column.is_text]

    @property
    def value_columns(self) -> list[Column]:
        """The columns of values."""
        return [column for column in self.columns if not column.is_text]

    @property
    def rows(self) -> Iterator[Row]:
        """All rows, in the order in which they are shown."""
        for part in self.parts:
            for group in part.groups:
                yield from group.rows

    @property
    def has_spread(self) -> bool:
        """Whether any value shows its spread over seeds."""
        for row in self.rows:
            for cell in row.cells.values():
                if cell.spread is not None:
                    return True
        return False

    @functools.cached_property
    def notes(self) -> list[str]:
        """The footnotes in the order in which a reader meets them.

        Every mark asks for them, so they are found once.
        """
        found: dict[str, None] = {}
        for row in self.rows:
            found |= dict.fromkeys(row.notes)
            for column in self.columns:
                for metric in self.metrics:
                    cell = row.cells.get((column.key, metric.id))
                    found |= dict.fromkeys(cell.notes if cell else ())
        return list(found)

    @property
    def footnotes(self) -> list[str]:
        """The footnotes with their signs."""
        lines = []
        for note in self.notes:
            lines.append(f"{self.marks([note])} {note}")
        return lines

    def marks(self, notes: Sequence[str]) -> str:
        """Return the signs of footnotes."""
        known = self.notes
        signs = []
        for note in notes:
            doubled, place = divmod(known.index(note), len(MARKS))
            signs.append(MARKS[place] * (doubled + 1))
        return "".join(signs)

    def caption_with(self, marking: Marking, is_short: bool = False) -> str:
        """Return the caption with the details behind it, unless it ``is_short``.

        ``marking`` says how best and second are marked.
        """
        whole = self.caption if is_short else f"{self.caption} {self.details}".strip()
        return _with_marking(whole, marking)

    def details_with(self, marking: Marking) -> str:
        """Return the details alone."""
        return _with_marking(self.details, marking)


def marks_of(ranks: Collection[int | None]) -> str:
    """Return what stands in a caption for the marks of values of these ranks; none may be."""
    if 2 in ranks:
        return BEST_AND_SECOND
    return BEST if 1 in ranks else ""


def _with_marking(text: str, marking: Marking) -> str:
    """Return a text that says how values are marked; a sentence begins with a capital."""
    marks = {BEST_AND_SECOND: f"{marking.best}, {marking.second}", BEST: marking.best}
    for placeholder, words in marks.items():
        capital = words[:1].upper() + words[1:]
        if text.startswith(placeholder):
            text = text.replace(placeholder, capital, 1)
        text = text.replace(f". {placeholder}", f". {capital}")
        text = text.replace(placeholder, words)
    return text


def metric_title(metric: MetricHeading) -> str:
    """Return the label of a metric with its unit in brackets."""
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


def metric_panel(metrics: Sequence[MetricHeading]) -> Panel:
    """Return metrics that share cells, below a heading that names all of them."""
    return Panel(" / ".join(metric.label for metric in metrics), metrics)


def grouped_columns(columns: Sequence[Column]) -> list[Column]:
    """Return those of ``columns`` that may be below a group's heading."""
    return [column for column in columns if not column.is_trailing]


def plain_table(
    heads: Sequence[str], lines: Sequence[Sequence[str]], caption: str = "", name: str = ""
) -> Table:
    """Return a table of texts; the first text of a line is its label."""
    return grouped_table(heads, {"": lines}, caption, name)


def grouped_table(
    heads: Sequence[str],
    groups: Mapping[str, Sequence[Sequence[str]]],
    caption: str = "",
    name: str = "",
) -> Table:
    """Return a table of texts whose lines stand below the headings of ``groups``."""
    first_head, *other_heads = heads
    columns = []
    for place, head in enumerate(other_heads):
        columns.append(Column(str(place), head, head))
    found = []
    for heading, lines in groups.items():
        found.append(RowGroup(heading, tuple(map(_text_row, lines))))
    return Table(
        layout="plain",
        name=name,
        columns=tuple(columns),
        panels=(Panel(first_head, [NoMetric()]),),
        parts=(Part("", tuple(found)),),
        caption=caption,
    )


def _text_row(line: Sequence[str]) -> Row:
    label, *texts = line
    cells: dict[CellKey, Cell] = {}
    for place, text in enumerate(texts):
        cells[str(place), ""] = Cell(text)
    return Row(label, cells)
