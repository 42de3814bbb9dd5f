"""The part of a paper's table that this project measured or re-evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from harness.evaluation.metrics import MetricFacts
from harness.published.slips import places
from harness.published.tables import AVERAGE, CitedMetric, CitedTable
from harness.reporting.benchmark_table import value_cell
from harness.reporting.paper_row import PaperRow, PaperValue, ValueKey
from harness.reporting.summary import MethodRow, Summary
from harness.store.results import Origin


def own_rows(own: Summary, cited: CitedTable) -> list[PaperRow]:
    """Return a row for each method with a value, in the metrics of the cited table."""
    metrics = []
    for metric in cited.metrics:
        measured = _same_metric(metric, own.request.metrics)
        if measured is not None:
            metrics.append(_SharedMetric(metric.id, measured.id, _digits(cited, metric.id)))
    rows = []
    for method in own.request.methods:
        row = _own_row(own, cited, method, metrics)
        if row.values:
            rows.append(row)
    return rows


def own_detail(own: Summary, origin: Origin) -> str:
    """Return what the values of a part were measured on, in half a sentence."""
    request = own.request
    made = f"pretrained weights, scored here on {request.images_are}"
    if origin == "measured":
        seeds = ", ".join(map(str, request.seeds))
        several = len(request.seeds) > 1
        made = (
            f"trained here on {request.images_are}, recipe {request.recipe}, "
            f"seed{'s' if several else ''} {seeds}"
        )
        made += "; ± is the standard deviation over seeds" if several else ""
    cut = f"; images cut to their centre {request.centre_px} px" if request.centre_px else ""
    return f"{made}; protocol {request.protocol}{cut}"


@dataclass(frozen=True)
class _SharedMetric:
    """A metric that a table cites and this project measured, and the digits that it prints."""

    cited: str
    measured: str
    digits: int


def _own_row(
    own: Summary, cited: CitedTable, method: MethodRow, metrics: Sequence[_SharedMetric]
) -> PaperRow:
    values: dict[ValueKey, PaperValue] = {}
    delta = {}
    counterpart = _counterpart(method, cited)
    for metric in metrics:
        for column in own.request.column_names:
            value = _value(own, method.id, column, metric)
            if value is not None:
                values[column, metric.cited] = value
        average = own.entry(method.id, AVERAGE, metric.measured)
        published = cited.values.get((counterpart, AVERAGE, metric.cited))
        if average is not None and published is not None:
            difference = Decimal(repr(average.value)) - published.value
            delta[metric.cited] = f"{round(difference, metric.digits):+}"
    return PaperRow(
        method=method.label,
        venue="",
        type="",
        values=values,
        notes=method.notes,
        delta=delta,
        protocol=own.request.protocol,
    )


def _value(own: Summary, method: str, column: str, metric: _SharedMetric) -> PaperValue | None:
    entry = own.entry(method, column, metric.measured)
    if entry is None:
        return None
    cell = value_cell(entry, metric.digits)
    return PaperValue(
        text=cell.text,
        exact=repr(entry.value),
        rank=entry.rank,
        notes=cell.notes,
        spread=entry.spread,
        scored=entry.scored,
        expected=entry.expected,
    )


def _digits(cited: CitedTable, metric: str) -> int:
    """Return the most decimals that a table prints of a metric."""
    return max(places(row.value) for row in cited.rows if row.metric == metric)


def _counterpart(method: MethodRow, cited: CitedTable) -> str:
    """Return the cited method that ``method`` is; one with options of its own is none of them."""
    names = {method.id, method.id.split("#")[0], method.id.split()[-1].lower()}
    for row in cited.rows:
        if row.method_id and row.method_id in names:
            return row.method
    return ""


def _same_metric(cited: CitedMetric, metrics: Sequence[MetricFacts]) -> MetricFacts | None:
    """Return the first measured metric of a cited one's kind: ``psnr_y601`` is PSNR."""
    for metric in metrics:
        if metric.id.removeprefix("pyiqa:").split("_")[0] == cited.id:
            return metric
    return None
