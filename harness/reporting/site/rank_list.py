"""One list of a leaderboard: rows that are compared because they follow one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.ranks import best_and_second, without_worse
from harness.reporting.site.score_table import (
    Score,
    ScoreColumn,
    ScoreMetric,
    ScoreRow,
    ScoreTable,
    row_groups,
)

FACT_HEADS = ("Year", "Params (M)", "From")
PUBLISHED = "published"
"""The test images of lists that papers' tables are in."""

NOT_STATED = "not stated"
"""What stands for a protocol that a source does not state."""

Kind = Literal["input", "methods", "references"]


@dataclass(frozen=True)
class ListKey:
    """What rows of one list have in common.

    Attributes:
        setting: name of the setting.
        protocol: id of the protocol, or :data:`NOT_STATED`.
        test: which images; :data:`PUBLISHED` for those that papers score.
        columns: names of the columns, whose mean is the average.
    """

    setting: str
    protocol: str
    test: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ListRow:
    """A row, and what kind it is."""

    kind: Kind
    row: ScoreRow


@dataclass(frozen=True)
class RankList:
    """One list.

    Attributes:
        key: what its rows have in common.
        title: of the setting.
        about: which images and which rule, in sentences.
        columns: from left to right, the average first.
        rows: in the order in which they were found.
    """

    key: ListKey
    title: str
    about: tuple[str, ...]
    columns: tuple[ScoreColumn, ...]
    rows: tuple[ListRow, ...]

    def joined(self, other: RankList) -> RankList:
        """Return one list with the rows of both; columns keep the headings of this one."""
        columns = []
        for column in self.columns:
            theirs = next((one for one in other.columns if one.key == column.key), column)
            columns.append(replace(column, metrics=_union(column.metrics, theirs.metrics)))
        about = tuple(dict.fromkeys((*self.about, *other.about)))
        return replace(self, about=about, columns=tuple(columns), rows=(*self.rows, *other.rows))

    def table(self, number: int) -> ScoreTable:
        """Return the list as a table.

        If the protocol is known, the best average comes first, and best and second are marked.
        """
        rows, first = list(self.rows), self.columns[0]
        sorted_by = None
        if self.key.protocol != NOT_STATED:
            rows = _in_order(_marked(rows, self.columns), first)
            sorted_by = (first.key, first.metrics[0].id)
        by_kind: dict[str, list[ScoreRow]] = {"input": [], "methods": [], "references": []}
        for row in rows:
            by_kind[row.kind].append(row.row)
        return ScoreTable(
            id=f"list-{number}",
            title=f"{self.key.setting}, protocol {self.key.protocol}, list {number}",
            caption="",
            columns=self.columns,
            groups=row_groups(by_kind["input"], by_kind["methods"], by_kind["references"]),
            fact_heads=FACT_HEADS,
            sorted_by=sorted_by,
        )


def joined_lists(lists: Sequence[RankList]) -> list[RankList]:
    """Return lists of equal keys joined, by setting, those of unknown protocols and images last."""
    found: dict[ListKey, RankList] = {}
    for one in lists:
        found[one.key] = found[one.key].joined(one) if one.key in found else one
    settings = list(dict.fromkeys(one.key.setting for one in lists))

    def place(one: RankList) -> tuple[int, bool, bool]:
        is_own = one.key.test != PUBLISHED
        return settings.index(one.key.setting), is_own, one.key.protocol == NOT_STATED

    return sorted(found.values(), key=place)


def average_column(metrics: Sequence[ScoreMetric]) -> ScoreColumn:
    """Return the column of averages."""
    return ScoreColumn(AVERAGE, AVERAGE_HEADING, "", tuple(metrics))


def _in_order(rows: Sequence[ListRow], column: ScoreColumn) -> list[ListRow]:
    """Return rows with the best first in the first metric of a column, missing values last."""
    metric = column.metrics[0]
    sign = -1 if metric.higher else 1

    def place(row: ListRow) -> tuple[bool, float]:
        score = row.row.scores.get((column.key, metric.id))
        if score is None or not score.sort_value:
            return True, 0.0
        return False, sign * score.shown_value

    return sorted(rows, key=place)


def _union(one: Sequence[ScoreMetric], other: Sequence[ScoreMetric]) -> tuple[ScoreMetric, ...]:
    known = {metric.id: metric for metric in (*other, *one)}
    names = dict.fromkeys(metric.id for metric in (*one, *other))
    return tuple(known[name] for name in names)


def _marked(rows: Sequence[ListRow], columns: Sequence[ScoreColumn]) -> list[ListRow]:
    """Return the rows with best and second marked among methods that beat the input."""
    marked = list(rows)
    for column in columns:
        for metric in column.metrics:
            key = (column.key, metric.id)
            shown = _shown_values(rows, "methods", key)
            ranks = best_and_second(shown, metric.higher)
            for limit in _shown_values(rows, "input", key).values():
                ranks = without_worse(ranks, shown, limit, metric.higher)
            for name, rank in ranks.items():
                marked[int(name)] = _with_rank(marked[int(name)], key, rank)
    return marked


def _shown_values(rows: Sequence[ListRow], kind: Kind, key: tuple[str, str]) -> dict[str, float]:
    """Return the values of rows of a kind as they are shown, by the place of the row."""
    shown = {}
    for place, row in enumerate(rows):
        score = row.row.scores.get(key)
        if row.kind == kind and score is not None and score.is_whole:
            shown[str(place)] = score.shown_value
    return shown


def _with_rank(row: ListRow, key: tuple[str, str], rank: int | None) -> ListRow:
    scores: Mapping[tuple[str, str], Score] = row.row.scores
    changed = {**scores, key: replace(scores[key], rank=rank)}
    return replace(row, row=replace(row.row, scores=changed))
