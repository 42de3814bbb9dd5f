"""A table of scores on a page: sortable by every column, each number with its sources."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ScoreMetric:
    """What headings need of a metric; ``higher`` is whether higher is better."""

    id: str
    label: str
    unit: str
    higher: bool


@dataclass(frozen=True)
class ScoreColumn:
    """Columns of one kind of test image, one per metric.

    Attributes:
        key: what cells are found by.
        label: heading.
        group: heading over several columns, or empty.
        metrics: of each column.
    """

    key: str
    label: str
    group: str
    metrics: tuple[ScoreMetric, ...]


@dataclass(frozen=True)
class Score:
    """One number.

    Attributes:
        text: as shown.
        value: what it is sorted by; None sorts last.
        what: what it is, as the heading of its sources.
        sources: numbers of sections of :class:`~harness.reporting.site.sources.Sources`.
        spread: standard deviation over seeds as text, or empty.
        rank: 1 or 2 for best and second.
        note: what a reader must know, or empty.
        is_whole: whether it may be compared: a mean over all images.
    """

    text: str
    value: float | None
    what: str
    sources: str
    spread: str = ""
    rank: int | None = None
    note: str = ""
    is_whole: bool = True

    @property
    def shown_value(self) -> float:
        """The value, rounded as it is shown; NaN where none is known."""
        decimals = len(self.text.partition(".")[2])
        return math.nan if self.value is None else round(self.value, decimals)

    @property
    def sort_value(self) -> str:
        """The value as an attribute; empty where it cannot be compared."""
        if self.value is None or math.isnan(self.value):
            return ""
        return repr(self.value)


@dataclass(frozen=True)
class ScoreRow:
    """One method.

    Attributes:
        label: its name.
        scores: by key of the column and id of the metric; an absent one is a missing value.
        notes: footnotes.
        facts: texts of further columns, by heading.
        attributes: what rows are filtered by, as ``year``.
    """

    label: str
    scores: Mapping[tuple[str, str], Score]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RowGroup:
    """Rows that are sorted among themselves.

    ``kind`` is ``input``, ``methods`` or ``references``; ``heading`` may be empty.
    """

    kind: str
    heading: str
    rows: tuple[ScoreRow, ...]


@dataclass(frozen=True)
class ScoreTable:
    """A whole table.

    Attributes:
        id: of the element, and of links to it.
        title: heading above it.
        caption: what its numbers are, in sentences.
        columns: from left to right.
        groups: its rows.
        fact_heads: headings of the columns of facts.
        sorted_by: column and metric by which methods are in order, the best first; None for none.
    """

    id: str
    title: str
    caption: str
    columns: tuple[ScoreColumn, ...]
    groups: tuple[RowGroup, ...]
    fact_heads: tuple[str, ...] = ()
    sorted_by: tuple[str, str] | None = None

    @property
    def width(self) -> int:
        """Number of all columns."""
        return 1 + len(self.fact_heads) + sum(len(column.metrics) for column in self.columns)

    @property
    def metric_labels(self) -> list[str]:
        """Labels of all metrics, each once."""
        found: dict[str, None] = {}
        for column in self.columns:
            found |= dict.fromkeys(metric.label for metric in column.metrics)
        return list(found)

    @property
    def notes(self) -> list[str]:
        """The notes of all rows, each once, in the order of the rows."""
        found: dict[str, None] = {}
        for group in self.groups:
            for row in group.rows:
                found |= dict.fromkeys(row.notes)
        return list(found)

    def first_place(self, column: ScoreColumn) -> int:
        """Return the place of a column's first metric among all columns of the table."""
        place = 1
        for other in self.columns:
            if other.key == column.key:
                return place
            place += len(other.metrics)
        raise ValueError(f"the table has no column '{column.key}'")

    @property
    def first_fact_place(self) -> int:
        """The place of the first column of facts, which come last."""
        return self.width - len(self.fact_heads)

    def sort_of(self, column: ScoreColumn, metric: ScoreMetric) -> str:
        """Return the order of the rows by a column as ``aria-sort`` names it."""
        if self.sorted_by != (column.key, metric.id):
            return "none"
        return "descending" if metric.higher else "ascending"


def row_groups(
    inputs: Sequence[ScoreRow], methods: Sequence[ScoreRow], references: Sequence[ScoreRow]
) -> tuple[RowGroup, ...]:
    """Return rows in groups: the degraded input first, what is not ranked last."""
    groups = (
        RowGroup("input", "", tuple(inputs)),
        RowGroup("methods", "", tuple(methods)),
        RowGroup("references", "Shown, not ranked", tuple(references)),
    )
    return tuple(group for group in groups if group.rows)
