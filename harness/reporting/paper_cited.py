"""The cited part of a paper's table: values exactly as printed, with what is known of them.

What is known of a cited value (a slip, an average that does not follow) becomes a footnote, never
another number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.published.audit import Contradiction, audit
from harness.published.tables import AVERAGE, CITED_METRICS, CitedRow, CitedTable
from harness.reporting.paper_row import PaperRow, PaperValue
from harness.reporting.ranks import best_and_second

QUOTED_NOTE = "quoted by the source from elsewhere"


@dataclass(frozen=True)
class CitedContext:
    """What surrounds the rows that are shown of a published table.

    Attributes:
        whole: the table with all its rows.
        differing: by method, what other tables of the setting print instead.
    """

    whole: CitedTable
    differing: Mapping[str, tuple[Contradiction, ...]]

    @classmethod
    def of(cls, whole: CitedTable, published: Sequence[CitedTable] = ()) -> CitedContext:
        """Compare a table with the others of ``published``."""
        own = (whole.source, whole.table)
        others = [table for table in published if (table.source, table.table) != own]
        found: dict[str, tuple[Contradiction, ...]] = {}
        for pair in audit([whole, *others]).contradictions:
            if (pair.first.source, pair.first.table) == own:
                method = pair.first.method
                found[method] = (*found.get(method, ()), pair)
        return cls(whole, found)

    def left_out_text(self, shown: CitedTable) -> str:
        """Return how many of the methods are shown, in words; empty if all are."""
        total, count = len(self.whole.methods), len(shown.methods)
        return "" if count == total else f"; {count} of its {total} methods were chosen"


def cited_rows(cited: CitedTable, context: CitedContext) -> list[PaperRow]:
    """Return the rows of a published table, with ranks and footnotes."""
    facts = _Facts.of(cited, context)
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
        context: the whole table and what others print.
    """

    ranks: Mapping[tuple[str, str, str], int]
    average_note: str
    disagreeing: frozenset[tuple[str, str]]
    context: CitedContext

    @classmethod
    def of(cls, cited: CitedTable, context: CitedContext) -> _Facts:
        listed, disagreeing = [], set()
        for found in audit([cited]).discrepancies:
            listed.append(f"{found.row.method} {found.row.metric.upper()} {found.corrected}")
            disagreeing.add((found.row.method, found.row.metric))
        return cls(
            ranks=_ranks(cited),
            average_note=f"as printed, though the mean of the row is another: {', '.join(listed)}",
            disagreeing=frozenset(disagreeing),
            context=context,
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
    row_notes += _differing_notes(facts.context.differing.get(method, ()), facts.context.whole)
    return PaperRow(
        method=method,
        venue=first.venue,
        type=first.type,
        values=values,
        notes=tuple(row_notes),
        protocol=first.protocol,
        params=first.params,
    )


def _differing_notes(pairs: Sequence[Contradiction], table: CitedTable) -> list[str]:
    """Return a footnote per other table: which of its values differ from the ones shown."""
    labels = {column.name: column.label for column in table.columns}
    by_table: dict[str, list[str]] = {}
    for pair in pairs:
        other = pair.second
        label = labels.get(other.column, "average")
        text = f"{label} {other.metric.upper()} {other.value}"
        by_table.setdefault(f"{other.source} {other.table}", []).append(text)
    return [f"{name} prints {', '.join(values)}" for name, values in by_table.items()]


def _shared_note(rows: Sequence[CitedRow]) -> str:
    """Return the note that all values of a method carry: it belongs to the method.

    An average may have a note of its own; it counts where a table has averages alone.
    """
    of_columns = [row for row in rows if row.column != AVERAGE]
    notes = {row.note for row in of_columns or rows}
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
