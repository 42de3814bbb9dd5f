"""Which seconds of a table can be told apart from the best of their column.

Two means differ in their last digits whatever the methods are. A second is told apart where the
paired interval of its difference to the best excludes zero: over images of one seed, over seeds
and images of several; see :mod:`harness.reporting.statistics`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.published.tables import AVERAGE
from harness.reporting.statistics import Spread, difference, has_enough, natural_spread, pair
from harness.reporting.summary import EntryKey, Summary
from harness.reporting.summary_frame import results_of_images
from harness.reporting.table import Row, marks_of
from harness.store.result_columns import ResultColumns
from harness.store.results import Result

_DRAWS = 2_000
"""Samples of an interval; every run prints a table, so hundreds of images may cost little."""


@dataclass(frozen=True)
class Apart:
    """The seconds of a table by what their intervals say.

    Attributes:
        spread: what the intervals are over.
        seconds: all seconds.
        told: those that are told apart from the best.
        too_few: those of which there are too few images or seeds for an interval.
    """

    spread: Spread
    seconds: frozenset[EntryKey]
    told: frozenset[EntryKey]
    too_few: frozenset[EntryKey]


def seconds_apart(summary: Summary, by_method: Mapping[str, Sequence[Result]]) -> Apart:
    """Return which seconds of a summary are told apart from the best.

    ``by_method`` holds the results of which the summary was made.
    """
    request = summary.request
    spread = natural_spread(len(request.seeds))

    @functools.cache
    def shown(method: str) -> ResultColumns:
        return results_of_images(ResultColumns.of(by_method[method]), request.images)

    seconds, told, too_few = set(), set(), set()
    for column in request.column_names:
        for metric in request.metrics:
            best, others = _best_and_seconds(summary, column, metric.id)
            for method in others:
                key = method, column, metric.id
                seconds.add(key)
                parts = [_of_column(shown(name), column) for name in (best, method)]
                paired = pair(parts[0], parts[1], metric.id, request.clean_images)
                if paired is None or not has_enough(paired, spread):
                    too_few.add(key)
                elif difference(paired, spread, _DRAWS).excludes_zero:
                    told.add(key)
    return Apart(spread, frozenset(seconds), frozenset(told), frozenset(too_few))


def marks_sentence(rows: Sequence[Row], apart: Apart | None) -> str:
    """Return what the marks of a table mean, in one sentence; empty where nothing is marked."""
    ranks: set[int | None] = set()
    for row in rows:
        ranks |= {cell.rank for cell in row.cells.values()}
    marks = marks_of(ranks)
    if apart is None or not apart.seconds or not marks:
        return f"{marks}." if marks else ""
    interval = f"the paired 95% interval of its difference to the best, over {apart.spread}"
    if 2 in ranks:
        few = " (of too few there is none)" if apart.too_few else ""
        return f"{marks} only where {interval}{few}, excludes zero."
    if apart.too_few == apart.seconds:
        return f"{marks}; no second is, for so few images or seeds tell nothing apart from it."
    return f"{marks}; no second is, for {interval}, includes zero."


def _of_column(results: ResultColumns, column: str) -> ResultColumns:
    """Return the results of a column; an average is of all."""
    if column == AVERAGE:
        return results
    return results.select(results.are("column", column.__eq__))


def _best_and_seconds(summary: Summary, column: str, metric: str) -> tuple[str, list[str]]:
    """Return the best method of a column, and the seconds; there are none where bests are equal."""
    best, seconds = "", []
    for row in summary.request.methods:
        entry = summary.entry(row.id, column, metric)
        if entry is None:
            continue
        if entry.rank == 1:
            best = row.id
        elif entry.rank == 2:
            seconds.append(row.id)
    return best, seconds
