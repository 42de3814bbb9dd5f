"""A table as papers lay it out: cited rows first, what was measured here apart from them.

A pure function of cited rows and of the tables of measured and of re-evaluated rows. What is
known of a cited value (a slip, an average that does not follow) becomes a footnote, never another
number. Rendered by :mod:`harness.reporting.paper_text` and :mod:`harness.reporting.paper_latex`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from harness.evaluation.metrics.registry import Metric
from harness.published.audit import audit, places
from harness.published.tables import AVERAGE, CitedColumn, CitedMetric, CitedRow, CitedTable
from harness.reporting.summary import MethodLine, Table
from harness.reporting.tables import MARKS, number
from harness.store.results import Origin

MISSING = "--"
NOTHING_MEASURED = "Nothing was measured here: all values are cited."

Key = tuple[str, str]
"""Column name (or ``average``) and metric id."""


@dataclass(frozen=True)
class PaperCell:
    """One value: as shown, in full precision, its rank (1, 2 or None), and its footnotes.

    ``scored`` of ``expected`` images stand behind a value of this project; a cited one has None.
    """

    text: str
    exact: str
    rank: int | None = None
    notes: tuple[str, ...] = ()
    spread: float | None = None
    scored: int | None = None
    expected: int | None = None


@dataclass(frozen=True)
class PaperLine:
    """One method; ``delta`` is its average minus the cited one, by metric, as shown."""

    method: str
    venue: str
    type: str
    cells: Mapping[Key, PaperCell]
    notes: tuple[str, ...] = ()
    delta: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""


@dataclass(frozen=True)
class PaperPart:
    """Lines of one origin; they are ranked among themselves and never with other parts."""

    origin: Origin
    heading: str
    detail: str
    lines: tuple[PaperLine, ...]

    @property
    def groups(self) -> list[tuple[str, list[PaperLine]]]:
        """Return the lines by type, types in order of appearance; no type is one group."""
        found: dict[str, list[PaperLine]] = {}
        for line in self.lines:
            found.setdefault(line.type, []).append(line)
        return list(found.items())


@dataclass(frozen=True)
class PaperTable:
    """Everything that a renderer needs; columns come in printed order, then the average."""

    cited: CitedTable
    columns: tuple[CitedColumn, ...]
    metrics: tuple[CitedMetric, ...]
    parts: tuple[PaperPart, ...]
    remarks: tuple[str, ...]

    @property
    def has_venues(self) -> bool:
        """Tell whether any line names a venue."""
        return any(line.venue for part in self.parts for line in part.lines)

    @property
    def has_delta(self) -> bool:
        """Tell whether any line can be compared with a cited one."""
        return any(line.delta for part in self.parts for line in part.lines)

    @property
    def notes(self) -> list[str]:
        """Return the footnotes in the order in which a reader meets them."""
        lines = [line for part in self.parts for _, group in part.groups for line in group]
        found: dict[str, None] = {}
        for line in lines:
            found |= dict.fromkeys(line.notes)
            for name in [*(column.name for column in self.columns), AVERAGE]:
                for metric in self.metrics:
                    cell = line.cells.get((name, metric.id))
                    found |= dict.fromkeys(cell.notes if cell else ())
        return list(found)

    def marks(self, notes: Sequence[str]) -> str:
        """Return the signs of footnotes; after the last sign they are doubled."""
        known = self.notes
        signs = []
        for note in notes:
            round_, place = divmod(known.index(note), len(MARKS))
            signs.append(MARKS[place] * (round_ + 1))
        return "".join(signs)


def paper_table(
    cited: CitedTable, measured: Table | None = None, reevaluated: Table | None = None
) -> PaperTable:
    """Lay out a published table, with what this project has of it below.

    ``measured`` holds trainings of this project, ``reevaluated`` weights of others scored here;
    of both, methods without any value are left out. Columns that the published table does not
    have are added behind its own; its metrics are kept.
    """
    columns, metrics = list(cited.columns), tuple(cited.metrics)
    known = {column.name for column in columns}
    own = [table for table in (measured, reevaluated) if table is not None]
    for table in own:
        for column in table.request.columns:
            if column.name not in known:
                known.add(column.name)
                columns.append(CitedColumn(column.name, column.name, column.group, column.label))
    parts = [PaperPart("cited", "Cited", cited.reference, _cited_lines(cited))]
    for origin, heading, found in _own_parts(measured, reevaluated):
        lines = _own_lines(found, cited, metrics)
        if lines:
            parts.append(PaperPart(origin, heading, _detail(found, origin), lines))
    return PaperTable(cited, tuple(columns), metrics, tuple(parts), _remarks(cited, parts, own))


def caption(table: PaperTable, marks: str) -> str:
    """Return what the figures are; ``marks`` says how best and second look."""
    metrics = " / ".join(f"{m.label}{f' in {m.unit}' if m.unit else ''}" for m in table.metrics)
    parts = ". ".join(f"{part.heading}: {part.detail}" for part in table.parts)
    ranked = " within each part" if len(table.parts) > 1 else ""
    missing = f"; {MISSING} where nothing is known" if _has_gaps(table) else ""
    return (
        f"{table.cited.title}. {metrics}. {parts}. How the cited values "
        f"were scored: {table.cited.protocol}. {_capital(marks)}{ranked}{missing}."
    )


def _own_parts(
    measured: Table | None, reevaluated: Table | None
) -> Iterator[tuple[Origin, str, Table]]:
    if reevaluated is not None:
        yield "re-evaluated", "Re-evaluated", reevaluated
    if measured is not None:
        yield "measured", "Measured", measured


def _cited_lines(cited: CitedTable) -> tuple[PaperLine, ...]:
    values, ranks = cited.values, _ranks(cited)
    wrong = audit([cited]).discrepancies
    listed = ", ".join(f"{d.row.method} {d.row.metric.upper()} {d.corrected}" for d in wrong)
    average_note = f"as printed, though the mean of the row is another: {listed}"
    disagreeing = {(d.row.method, d.row.metric) for d in wrong}
    lines = []
    for method in cited.methods:
        rows = {key[1:]: row for key, row in values.items() if key[0] == method}
        shared = _shared_note(list(rows.values()))
        cells = {}
        for (column, metric), row in rows.items():
            notes = []
            if column != AVERAGE and row.note and row.note != shared:
                notes.append(f"{row.value}: {row.note}")
            if column == AVERAGE and (method, metric) in disagreeing:
                notes.append(average_note)
            rank = ranks.get((method, column, metric))
            cells[column, metric] = PaperCell(str(row.value), str(row.value), rank, tuple(notes))
        first = next(iter(rows.values()))
        of_line = ["quoted by the source from elsewhere"] if first.starred else []
        of_line += [shared] if shared else []
        lines.append(
            PaperLine(method, first.venue, first.type, cells, tuple(of_line), {}, first.protocol)
        )
    return tuple(lines)


def _shared_note(rows: Sequence[CitedRow]) -> str:
    """Return the note that all values of a method carry: it belongs to the method."""
    notes = {row.note for row in rows if row.column != AVERAGE}
    return notes.pop() if len(notes) == 1 else ""


def _ranks(cited: CitedTable) -> dict[tuple[str, str, str], int]:
    """Return best and second of every column; equal values share, two bests leave no second."""
    found = {}
    for metric in cited.metrics:
        for column in [*(column.name for column in cited.columns), AVERAGE]:
            rows = [r for r in cited.rows if (r.column, r.metric) == (column, metric.id)]
            order = sorted({r.value for r in rows}, reverse=metric.higher_is_better)
            if len(rows) < 2:
                continue
            shared_best = sum(row.value == order[0] for row in rows) > 1
            for row in rows:
                rank = order.index(row.value) + 1
                if rank == 1 or (rank == 2 and not shared_best):
                    found[row.method, column, metric.id] = rank
    return found


def _own_lines(
    own: Table, cited: CitedTable, metrics: Sequence[CitedMetric]
) -> tuple[PaperLine, ...]:
    lines = []
    for line in own.request.methods:
        cells, delta = {}, {}
        counterpart = _counterpart(line, cited)
        for metric in metrics:
            same = _same_metric(metric, own.request.metrics)
            if same is None:
                continue
            digits = max(places(r.value) for r in cited.rows if r.metric == metric.id)
            shown = replace(same, decimals=digits)
            for column in [*(c.name for c in own.request.columns), AVERAGE]:
                entry = own.entry(line.id, column, same.id)
                if entry is not None:
                    cells[column, metric.id] = PaperCell(
                        text=number(entry, shown),
                        exact=repr(entry.value),
                        rank=entry.rank,
                        spread=entry.spread,
                        scored=entry.scored,
                        expected=entry.expected,
                    )
            average = own.entry(line.id, AVERAGE, same.id)
            published = cited.values.get((counterpart, AVERAGE, metric.id))
            if average is not None and published is not None:
                difference = Decimal(repr(average.value)) - published.value
                delta[metric.id] = f"{round(difference, digits):+}"
        if cells:
            lines.append(
                PaperLine(
                    method=line.label,
                    venue="",
                    type="",
                    cells=cells,
                    notes=line.notes,
                    delta=delta,
                    protocol=own.request.protocol,
                )
            )
    return tuple(lines)


def _counterpart(line: MethodLine, cited: CitedTable) -> str:
    """Return the cited method that ``line`` is; one with options of its own is none of them."""
    names = {line.id, line.id.split("#")[0], line.id.split()[-1].lower()}
    same = (row.method for row in cited.rows if row.method_id and row.method_id in names)
    return next(same, "")


def _same_metric(cited: CitedMetric, metrics: Sequence[Metric]) -> Metric | None:
    """Return the measured metric of a cited one's kind: ``psnr_rgb`` and ``psnr_y601`` are PSNR."""
    kinds = {m.id.removeprefix("pyiqa:").split("_")[0]: m for m in reversed(metrics)}
    return kinds.get(cited.id)


def _detail(own: Table, origin: Origin) -> str:
    request = own.request
    where = "synthetic twin" if request.dataset == "synthetic-twin" else request.dataset
    made = f"released weights, scored here on the {where}"
    if origin == "measured":
        seeds = ", ".join(str(seed) for seed in request.seeds)
        several = "s" if len(request.seeds) > 1 else ""
        made = f"trained here on the {where}, recipe {request.recipe}, seed{several} {seeds}"
        made += "; ± is the standard deviation over seeds" if several else ""
    cut = f"; images cut to their centre {request.centre_px} px" if request.centre_px else ""
    return f"{made}; protocol {request.protocol}{cut}"


def _remarks(
    cited: CitedTable, parts: Sequence[PaperPart], own: Sequence[Table]
) -> tuple[str, ...]:
    remarks = [NOTHING_MEASURED] if len(parts) == 1 else []
    if any(row.average == "computed" for row in cited.rows):
        remarks.append("The averages were computed from the values; the source prints none.")
    if any(line.delta for part in parts for line in part.lines):
        remarks.append("Δ: the average of this line minus the cited average of the same method.")
    if len(parts) > 1 and any(table.request.dataset == "synthetic-twin" for table in own):
        remarks.append(
            "The synthetic twin has other images than the cited benchmark, so the difference of "
            "a measured and a cited value is mostly that of the images."
        )
    return tuple(remarks)


def _has_gaps(table: PaperTable) -> bool:
    names = [*(column.name for column in table.columns), AVERAGE]
    return any(
        (name, metric.id) not in line.cells
        for part in table.parts
        for line in part.lines
        for name in names
        for metric in table.metrics
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
