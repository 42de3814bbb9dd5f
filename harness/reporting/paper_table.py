"""A table as papers lay it out: cited rows first, what was measured here below them.

It is a pure function of a published table and of the numbers that are stored. Rows of different
origin are never ranked among each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any

from harness.config.errors import UsageError
from harness.planning.plan import Plan
from harness.published.reading import load_published
from harness.published.tables import AVERAGE, AVERAGE_HEADING, CitedColumn, CitedTable, tables_of
from harness.reporting.benchmark_table import not_finite_sentences
from harness.reporting.paper_cited import CitedContext, cited_rows
from harness.reporting.paper_own import own_detail, own_rows
from harness.reporting.paper_row import PaperRow, ranks_of
from harness.reporting.paper_selection import EVERYTHING, CitedSelection, select_rows
from harness.reporting.plan_summary import (
    is_anything_stored,
    reevaluated_summary,
    summary_of,
)
from harness.reporting.summary import Summary
from harness.reporting.table import (
    MISSING,
    Cell,
    CellKey,
    Column,
    Part,
    Row,
    RowGroup,
    Table,
    marks_of,
    metric_panel,
)
from harness.reporting.table_files import content_id, table_id, table_stem
from harness.reporting.table_report import TableReport
from harness.store.results import Origin

NOTHING_MEASURED = "Nothing was measured here: all values are cited."

IMAGES_OF = "Images of"
"""Label of the row that says which data set the values below it are of."""

VENUE, PARAMS, DELTA = "venue", "params", "delta"
"""Keys of the columns in addition to those of values."""

FIELDS = (
    *("setting", "origin", "from", "type", "method", "venue", "params", "column", "metric"),
    *("value", "std_over_seeds", "images_scored", "images_expected", "rank", "protocol"),
    *("notes", "data_set"),
)
"""Columns of the CSV file."""


@dataclass(frozen=True)
class PaperPart:
    """Rows of one origin; they are ranked among themselves and never with other parts.

    Attributes:
        origin: of all rows.
        name: the origin as the caption names it.
        heading: over the rows.
        detail: what the values were measured on, in half a sentence.
        rows: in order.
        data_sets: by column, the data set whose images these rows are of; empty for cited rows,
            whose columns are named after theirs.
    """

    origin: Origin
    name: str
    heading: str
    detail: str
    rows: Sequence[PaperRow]
    data_sets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable(TableReport):
    """A table in a paper's layout; ``parts`` holds its values."""

    parts: tuple[PaperPart, ...]


def paper_table_of(
    plan: Plan | None,
    setting: str,
    source: str | None = None,
    wanted: CitedSelection = EVERYTHING,
) -> PaperTable:
    """Return a published table of a setting, with what is stored of a plan below it.

    Args:
        plan: what was measured; None for a setting that this installation cannot measure.
        setting: name of the setting.
        source: whose table, as ``cpl``; by default that of the first source.
        wanted: which of its rows.

    Raises:
        UsageError: nothing is published of the setting, or by that source, or no wanted row, or
            columns are chosen.
    """
    if plan is not None and plan.request.columns:
        raise UsageError(
            "--columns chooses and averages columns of what was measured, and a published table "
            "has its own; leave --columns or --style paper out"
        )
    published = load_published()
    whole = tables_of(published, setting, source)[0]
    cited = select_rows(whole, wanted)
    measured = reevaluated = None
    if plan is not None:
        measured = summary_of(plan) if is_anything_stored(plan) else None
        reevaluated = reevaluated_summary(plan)
    context = CitedContext.of(whole, published)
    found = paper_table(cited, measured, reevaluated, context)
    if plan is None:
        return replace(found, stem=f"{found.stem}{_suffix(wanted)}")
    own = [] if reevaluated is None else [method.id for method in reevaluated.request.methods]
    chosen: dict[str, Any] = {"selection": asdict(wanted)} if wanted else {}
    identity = table_id(plan, source=cited.source, table=cited.table, reevaluated=own, **chosen)
    stem = table_stem(plan, identity, f"paper-{cited.source}")
    return replace(found, stem=stem, identity=identity)


def _suffix(wanted: CitedSelection) -> str:
    """Return what tells the files of chosen rows from those of the whole table."""
    return f"-{content_id(asdict(wanted))}" if wanted else ""


def paper_table(
    cited: CitedTable,
    measured: Summary | None = None,
    reevaluated: Summary | None = None,
    context: CitedContext | None = None,
) -> PaperTable:
    """Lay out a published table, with what this project has of it below.

    ``measured`` holds trainings of this project, ``reevaluated`` pretrained weights scored here;
    of both, methods without any value are left out. Columns that the published table does not
    have are added behind its own; its metrics are kept. ``context`` is the whole table of which
    ``cited`` may be a part, and what other tables print.
    """
    context = context or CitedContext.of(cited)
    own = list(filter(None, (measured, reevaluated)))
    parts = tuple(_parts(cited, measured, reevaluated, context))
    columns = _value_columns(cited, own)
    facts = _facts(parts, len(cited.metrics) * (len(columns) + 1))
    table = Table(
        layout="wide",
        name=f"{cited.setting}-{cited.source}",
        columns=tuple(_columns(columns, facts)),
        panels=(metric_panel(cited.metrics),),
        parts=tuple(map(_table_part, parts)),
        caption=_caption(cited, facts, parts),
        details=_details(cited, parts),
        remarks=tuple(_remarks(cited, own, facts)),
        fields=FIELDS,
        records=list(_records(cited, parts)),
    )
    warnings: list[str] = []
    for summary in own:
        warnings += not_finite_sentences(summary)
    stem = f"{cited.setting}-paper-{cited.source}"
    return PaperTable(table, stem, parts, warnings=tuple(warnings))


@dataclass(frozen=True)
class _Facts:
    """What a table has.

    Attributes:
        parts: how many.
        venues: whether any row names a venue.
        params: whether any row states its parameters.
        deltas: whether any row can be compared with a cited one.
        gaps: whether any value is missing.
    """

    parts: int
    venues: bool
    params: bool
    deltas: bool
    gaps: bool


def _facts(parts: Sequence[PaperPart], values_of_row: int) -> _Facts:
    """Return what a table has whose complete rows have ``values_of_row`` values."""
    venues = params = deltas = gaps = False
    for part in parts:
        for row in part.rows:
            venues = venues or bool(row.venue)
            params = params or bool(row.params)
            deltas = deltas or bool(row.delta)
            gaps = gaps or len(row.values) < values_of_row
    return _Facts(len(parts), venues, params, deltas, gaps)


def _parts(
    cited: CitedTable,
    measured: Summary | None,
    reevaluated: Summary | None,
    context: CitedContext,
) -> Iterator[PaperPart]:
    detail = f"{cited.reference}{context.left_out_text(cited)}"
    yield PaperPart("cited", "Cited", "Cited", detail, cited_rows(cited, context))
    if reevaluated is not None:
        yield from _own_part("re-evaluated", reevaluated, cited)
    if measured is not None:
        yield from _own_part("measured", measured, cited)


def _own_part(origin: Origin, own: Summary, cited: CitedTable) -> Iterator[PaperPart]:
    rows = own_rows(own, cited)
    if not rows:
        return
    name = origin.capitalize()
    # The columns are named after the cited data sets, so the part says what its images are.
    heading = f"{name} on synthetic data" if own.request.is_synthetic else name
    data_sets = own.request.data_sets
    yield PaperPart(origin, name, heading, own_detail(own, origin), rows, data_sets)


def _value_columns(cited: CitedTable, own: Sequence[Summary]) -> list[CitedColumn]:
    """Return the columns in printed order, then those that only this project has."""
    columns = {column.name: column for column in cited.columns}
    for summary in own:
        for column in summary.request.columns:
            added = CitedColumn(column.name, column.name, column.group, column.label)
            columns.setdefault(column.name, added)
    return list(columns.values())


def _columns(values: Sequence[CitedColumn], facts: _Facts) -> Iterator[Column]:
    if facts.venues:
        yield Column(VENUE, "Venue", "Venue", per_metric=False, is_text=True)
    if facts.params:
        yield Column(PARAMS, "Params", "Params", per_metric=False, is_text=True)
    for column in values:
        heading = _heading(column.group, column.label)
        yield Column(column.name, heading, column.label, column.group)
    yield Column(AVERAGE, AVERAGE_HEADING, AVERAGE_HEADING, is_trailing=True)
    if facts.deltas:
        yield Column(DELTA, "Δ", "Δ", is_trailing=True, is_signed=True)


def _heading(group: str, label: str) -> str:
    """Return one heading; a group that says no more than its label adds nothing."""
    if "σ" not in label:
        return label
    short = group.partition("(")[2].rstrip(")")
    return f"{short or group} {label}"


def _table_part(part: PaperPart) -> Part:
    by_type: dict[str, list[Row]] = {}
    if part.data_sets:
        cells: dict[CellKey, Cell] = {(VENUE, ""): Cell(""), (PARAMS, ""): Cell("")}
        cells[AVERAGE, ""] = Cell("")
        cells[DELTA, ""] = Cell("")
        for column, data_set in part.data_sets.items():
            cells[column, ""] = Cell(data_set)
        by_type[""] = [Row(IMAGES_OF, cells, is_of_columns=True)]
    for row in part.rows:
        by_type.setdefault(row.type, []).append(_table_row(row, part.origin))
    groups = []
    for name, rows in by_type.items():
        groups.append(RowGroup(name, tuple(rows)))
    note = f"as printed in {part.detail}" if part.origin == "cited" else ""
    return Part(part.heading, tuple(groups), note)


def _table_row(row: PaperRow, origin: Origin) -> Row:
    cells: dict[CellKey, Cell] = {(VENUE, ""): Cell(row.venue), (PARAMS, ""): Cell(row.params)}
    for key, value in row.values.items():
        cells[key] = Cell(value.text, value.rank, value.notes, value.spread)
        metric = key[1]
        if origin == "cited":
            # Nothing is missing where there is nothing to compare.
            cells[DELTA, metric] = Cell("")
    for metric, difference in row.delta.items():
        cells[DELTA, metric] = Cell(difference)
    return Row(row.method, cells, row.notes)


def _caption(cited: CitedTable, facts: _Facts, parts: Sequence[PaperPart]) -> str:
    """Return what the figures are, in two lines."""
    metrics = []
    for metric in cited.metrics:
        metrics.append(f"{metric.label} in {metric.unit}" if metric.unit else metric.label)
    marks = marks_of(ranks_of(chain.from_iterable(part.rows for part in parts)))
    ranked = f" {marks}{' within each part' if facts.parts > 1 else ''}." if marks else ""
    missing = f" {MISSING} where nothing is known." if facts.gaps else ""
    return f"{cited.title}. {' / '.join(metrics)}.{ranked}{missing}"


def _details(cited: CitedTable, parts: Sequence[PaperPart]) -> str:
    """Return where the figures are from, and how they were scored."""
    details = [f"{part.name}: {part.detail}" for part in parts]
    return f"{'. '.join(details)}. How the cited values were scored: {cited.protocol}."


def _remarks(cited: CitedTable, own: Sequence[Summary], facts: _Facts) -> Iterator[str]:
    if facts.parts == 1:
        yield NOTHING_MEASURED
    if any(row.average == "computed" for row in cited.rows):
        yield "The averages were computed from the values; the source prints none."
    if facts.deltas:
        yield "Δ: the average of this line minus the cited average of the same method."
    if facts.parts > 1 and any(summary.request.is_synthetic for summary in own):
        yield (
            "The synthetic data have other images than the cited benchmark, so the difference of "
            "a measured and a cited value is mostly that of the images."
        )


def _records(cited: CitedTable, parts: Sequence[PaperPart]) -> Iterator[Mapping[str, Any]]:
    for part in parts:
        for row in part.rows:
            shared = {
                "setting": cited.setting,
                "origin": part.origin,
                "from": part.detail,
                "type": row.type,
                "method": row.method,
                "venue": row.venue,
                "params": row.params,
                "protocol": row.protocol,
            }
            for (column, metric), value in row.values.items():
                yield {
                    **shared,
                    "column": column,
                    "metric": metric,
                    "value": value.exact,
                    "std_over_seeds": value.spread,
                    "images_scored": value.scored,
                    "images_expected": value.expected,
                    "rank": value.rank,
                    "notes": "; ".join([*row.notes, *value.notes]),
                    "data_set": part.data_sets.get(column, ""),
                }
            for metric, difference in row.delta.items():
                column = "average minus cited"
                yield {**shared, "column": column, "metric": metric, "value": difference}
