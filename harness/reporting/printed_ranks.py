"""Best and second of a summary by the digits that are printed, where these are not the metric's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.evaluation.metrics import MetricFacts
from harness.reporting.apart import Apart
from harness.reporting.ranks import best_and_second, without_worse
from harness.reporting.summary import EntryKey, Summary

NARROW_DECIMALS = 3
"""Papers of the field print SSIM with three decimals; full precision is in the CSV."""


@dataclass(frozen=True)
class Marks:
    """Ranks of entries as they are marked.

    Attributes:
        whole: by the digits of the metric, without seconds that are not told apart.
        narrow: by the digits of narrow tables. There, a second is marked where all that print its
            digits are told apart.
    """

    whole: Mapping[EntryKey, int]
    narrow: Mapping[EntryKey, int]

    @classmethod
    def of(cls, summary: Summary, apart: Apart | None) -> Marks:
        """Return the ranks of a summary; ``apart`` says which seconds are told apart."""
        unmarked = frozenset[EntryKey]() if apart is None else apart.seconds - apart.told
        whole: dict[EntryKey, int] = {}
        for key, entry in summary.entries.items():
            if entry.rank is not None and key not in unmarked:
                whole[key] = entry.rank
        narrow = dict(whole)
        for metric in summary.request.metrics:
            if metric.decimals > NARROW_DECIMALS:
                narrow = {key: rank for key, rank in narrow.items() if key[2] != metric.id}
                narrow |= _narrow_ranks(summary, metric, apart)
        return cls(whole, narrow)


def _narrow_ranks(
    summary: Summary, metric: MetricFacts, apart: Apart | None
) -> dict[EntryKey, int]:
    """Return the ranks of a metric with more digits than narrow tables print."""
    found: dict[EntryKey, int] = {}
    for column in summary.request.column_names:
        ranks = {}
        for method, rank in printed_ranks(summary, column, metric, NARROW_DECIMALS).items():
            ranks[method, column, metric.id] = rank
        seconds = {key for key, rank in ranks.items() if rank == 2}
        are_told = apart is None or seconds <= apart.told
        for key, rank in ranks.items():
            if rank == 1 or are_told:
                found[key] = rank
    return found


def printed_ranks(
    summary: Summary, column: str, metric: MetricFacts, decimals: int
) -> dict[str, int]:
    """Return the ranks of a column by method, of values rounded to ``decimals``.

    As in the summary itself, complete values of ranked methods are compared, and none is marked
    that is worse than the degraded input.
    """
    printed: dict[str, float] = {}
    of_inputs = []
    for row in summary.request.methods:
        entry = summary.entry(row.id, column, metric.id)
        if entry is None or not entry.is_whole:
            continue
        value = round(entry.value, decimals)
        if row.is_input:
            of_inputs.append(value)
        if not row.reference:
            printed[row.id] = value
    ranks = best_and_second(printed, metric.higher_is_better)
    for limit in of_inputs:
        ranks = without_worse(ranks, printed, limit, metric.higher_is_better)
    return ranks
