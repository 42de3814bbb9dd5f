"""Published tables as lists of a leaderboard: one per protocol, each number with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config.protocols import NamedProtocol
from harness.published.audit import Audit, Discrepancy
from harness.published.tables import AVERAGE, CITED_METRICS, CitedRow, CitedTable
from harness.reporting.paper_images import NamedProtocols, named_protocols
from harness.reporting.site.rank_list import (
    NOT_STATED,
    PUBLISHED,
    ListKey,
    ListRow,
    RankList,
    average_column,
)
from harness.reporting.site.score_table import Score, ScoreColumn, ScoreMetric, ScoreRow
from harness.reporting.site.sources import Sources, joined

_INPUT = "degraded-input"


@dataclass(frozen=True)
class CitedContext:
    """What the rows of all tables need: sections, protocols by id, and slips by value."""

    sources: Sources
    protocols: NamedProtocols
    slips: Mapping[tuple[str, str, str, str], Discrepancy]

    @classmethod
    def of(cls, sources: Sources, found: Audit) -> CitedContext:
        """Return the context of an audit's tables."""
        slips = {}
        for item in found.discrepancies:
            slips[_slip_key(item.row)] = item
        return cls(sources, named_protocols(), slips)

    def protocol(self, identity: str, setting: str) -> NamedProtocol | None:
        """Return the protocol of an id; of several of one rule, the setting's own."""
        found = self.protocols.get(identity, {})
        return found.get(setting) or next(iter(found.values()), None)


def cited_lists(table: CitedTable, context: CitedContext) -> list[RankList]:
    """Return a list for each protocol that rows of a table follow."""
    by_protocol: dict[str, dict[str, list[CitedRow]]] = {}
    for row in table.rows:
        of_protocol = by_protocol.setdefault(row.protocol or NOT_STATED, {})
        of_protocol.setdefault(row.method, []).append(row)
    lists = []
    for protocol, by_method in by_protocol.items():
        key = ListKey(table.setting, protocol, PUBLISHED, _names(table))
        rows = tuple(_list_row(found, table, context) for found in by_method.values())
        lists.append(
            RankList(
                key, table.title, _about(protocol, table.setting, context), _columns(table), rows
            )
        )
    return lists


def protocol_section(protocol: str, setting: str, context: CitedContext) -> int:
    """Add what is known of a protocol."""
    named = context.protocol(protocol, setting)
    if named is None:
        return context.sources.add("Protocol", [("Protocol", protocol)])
    facts = [
        ("Protocol", protocol),
        ("Rule", named.title),
        ("Follows", "; ".join(named.sources)),
        ("Notes", named.notes),
    ]
    return context.sources.add(
        "Protocol", facts, named.protocol.model_dump(mode="json"), "Rule in full"
    )


def _about(protocol: str, setting: str, context: CitedContext) -> tuple[str, ...]:
    if protocol == NOT_STATED:
        return (
            "The sources do not state by which protocol these rows were scored, so they may differ "
            "from each other by protocol alone: nothing is marked as best here.",
        )
    named = context.protocol(protocol, setting)
    rule = (f"{named.title}.",) if named else ()
    return (*rule, "Test images of the papers.")


def _names(table: CitedTable) -> tuple[str, ...]:
    return tuple(sorted(column.name for column in table.columns))


def _columns(table: CitedTable) -> tuple[ScoreColumn, ...]:
    metrics = []
    for metric in table.metrics:
        metrics.append(ScoreMetric(metric.id, metric.label, metric.unit, metric.higher_is_better))
    columns = []
    for column in table.columns:
        columns.append(ScoreColumn(column.name, column.label, column.group, tuple(metrics)))
    return (average_column(metrics), *columns)


def _list_row(values: Sequence[CitedRow], table: CitedTable, context: CitedContext) -> ListRow:
    first = values[0]
    sections = joined(
        [
            _row_section(first, table, context),
            _table_section(table, context),
            protocol_section(first.protocol or NOT_STATED, table.setting, context),
        ]
    )
    labels = {column.name: column.label for column in table.columns}
    scores = {}
    for value in values:
        scores[value.column, value.metric] = _score(value, labels, sections, context)
    year, parameters = first.year, first.params_m
    row = ScoreRow(
        label=first.method,
        scores=scores,
        facts={
            "Year": str(year or "–"),
            "Params (M)": str(parameters or "–"),
            "From": f"{table.source} {table.table}",
        },
        attributes={
            "origin": "cited",
            "year": year or "",
            "parameters": parameters or "",
        },
    )
    return ListRow("input" if first.method_id == _INPUT else "methods", row)


def _score(
    value: CitedRow, labels: Mapping[str, str], sections: str, context: CitedContext
) -> Score:
    metric = CITED_METRICS[value.metric]
    notes = [value.note] if value.note else []
    slip = context.slips.get(_slip_key(value)) if value.column == AVERAGE else None
    if slip is not None:
        notes.insert(0, f"the mean of the row is {slip.recomputed}, not what is printed")
    if value.average == "computed":
        notes.append("computed from the row; the source prints no average")
    unit = f" {metric.unit}" if metric.unit else ""
    column = labels.get(value.column, "average")
    return Score(
        text=str(value.value),
        value=float(value.value),
        what=f"{metric.label} of {value.method}, {column}: {value.value}{unit}, cited",
        sources=sections,
        note="; ".join(notes),
    )


def _row_section(row: CitedRow, table: CitedTable, context: CitedContext) -> int:
    facts = [
        ("Origin", "cited, digit by digit as printed"),
        ("Printed as", row.printed_method),
        ("Venue", row.venue),
        ("Kind", row.type),
        ("Parameters", row.params),
        ("Quoted", "the source marks it as quoted from elsewhere" if row.starred else ""),
        ("In this project", row.method_id),
    ]
    return context.sources.add(f"{row.method} in {table.source} {table.table}", facts)


def _table_section(table: CitedTable, context: CitedContext) -> int:
    facts = [
        ("Where", table.reference),
        ("Setting", f"{table.setting}: {table.title}"),
        ("Scored by", table.protocol),
    ]
    return context.sources.add(f"Source: {table.source} {table.table}", facts)


def _slip_key(row: CitedRow) -> tuple[str, str, str, str]:
    return row.source, row.table, row.method, row.metric
