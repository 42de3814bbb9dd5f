"""The cited part of a paper's table: values exactly as printed, with what is known of them.

What is known of a cited value (a slip, an average that does not follow) becomes a footnote, never
another number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.published.audit import audit
from harness.published.tables import AVERAGE, CITED_METRICS, CitedRow, CitedTable
from harness.reporting.paper_row import PaperRow, PaperValue
from harness.reporting.ranks import best_and_second

QUOTED_NOTE = "quoted by the source from elsewhere"


def cited_rows(cited: CitedTable) -> list[PaperRow]:
    """Return the rows of a published table, with ranks and footnotes."""
    facts = _Facts.of(cited)
    by_method: dict[str, list[CitedRow]] = {}
    for row in cited.rows:
        by_method.setdefault(row.method, []).append(row)
    found = []
    for method, rows in by_method.items():
        found.append(_paper_row(method, rows, facts))
    return found


@dataclass(frozen=True)
class _Facts:
    """What is known of a table as a whole.

    Attributes:
        ranks: 1 or 2 by method, column and metric.
        average_note: footnote of averages that do not follow from their rows.
        disagreeing: method and metric of those averages.
    """

    ranks: Mapping[tuple[str, str, str], int]
    average_note: str
    disagreeing: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, cited: CitedTable) -> _Facts:
        listed, disagreeing = [], set()
        for found in audit([cited]).discrepancies:
            listed.append(f"{found.row.method} {found.row.metric.upper()} {found.corrected}")
            disagreeing.add((found.row.method, found.row.metric))
        return cls(
            ranks=_ranks(cited),
            average_note=f"as printed, though the mean of the row is another: {', '.join(listed)}",
            disagreeing=frozenset(disagreeing),
        )


def _paper_row(method: str, rows: Sequence[CitedRow], facts: _Facts) -> PaperRow:
    shared = _shared_note(rows)
    values = {}
    for row in rows:
        notes = []
        if row.column != AVERAGE and row.note and row.note != shared:
            notes.append(f"{row.value}: {row.note}")
        if row.column == AVERAGE and (method, row.metric) in facts.disagreeing:
            notes.append(facts.average_note)
        values[row.column, row.metric] = PaperValue(
            text=str(row.value),
            exact=str(row.value),
            rank=facts.ranks.get((method, row.column, row.metric)),
            notes=tuple(notes),
        )
    first = rows[0]
    row_notes = [QUOTED_NOTE] if first.starred else []
    row_notes += [shared] if shared else []
    return PaperRow(
        method=method,
        venue=first.venue,
        type=first.type,
        values=values,
        notes=tuple(row_notes),
        protocol=first.protocol,
    )


def _shared_note(rows: Sequence[CitedRow]) -> str:
    """Return the note that all values of a method carry: it belongs to the method."""
    notes = {row.note for row in rows if row.column != AVERAGE}
    return notes.pop() if len(notes) == 1 else ""


def _ranks(cited: CitedTable) -> dict[tuple[str, str, str], int]:
    """Return best and second of every column."""
    shown: dict[tuple[str, str], dict[str, float]] = {}
    for row in cited.rows:
        shown.setdefault((row.column, row.metric), {})[row.method] = float(row.value)
    found = {}
    for (column, metric), values in shown.items():
        is_better = CITED_METRICS[metric].higher_is_better
        for method, rank in best_and_second(values, is_better).items():
            found[method, column, metric] = rank
    return found
