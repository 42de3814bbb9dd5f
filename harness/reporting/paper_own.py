"""The part of a paper's table that this project measured or re-evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from harness.config.files import load_setting, setting_names
from harness.evaluation.metrics import MetricFacts
from harness.published.slips import places
from harness.published.tables import AVERAGE, CitedMetric, CitedRow, CitedTable
from harness.reporting.benchmark_table import value_cell
from harness.reporting.paper_images import (
    TestImages,
    cited_names,
    difference_to_papers,
    kind_of,
    named_protocols,
)
from harness.reporting.paper_row import PaperRow, PaperValue, ValueKey
from harness.reporting.printed_ranks import printed_ranks
from harness.reporting.summary import MethodRow, Summary
from harness.store.results import Origin


def own_rows(own: Summary, cited: CitedTable) -> list[PaperRow]:
    """Return a row for each method with a value, in the metrics of the cited table."""
    scored = _Scored.of(own, cited)
    rows = []
    for method in own.request.methods:
        row = _own_row(scored, cited, method)
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
    """A metric that a table cites and this project measured.

    Attributes:
        cited: as the table prints it.
        measured: the one of the protocol, else the first of its kind.
        digits: decimals that the table prints.
        is_of_protocol: whether the protocol names it, so that papers who follow it print it.
        ranks: by column and method, of the values as printed.
    """

    cited: CitedMetric
    measured: MetricFacts
    digits: int
    is_of_protocol: bool
    ranks: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class _Scored:
    """What was scored here, next to a cited table.

    Attributes:
        own: its numbers.
        metrics: those of the table that were measured.
        other_images: what its images differ in from those of papers; empty if in nothing.
    """

    own: Summary
    metrics: Sequence[_SharedMetric]
    other_images: str

    @classmethod
    def of(cls, own: Summary, cited: CitedTable) -> _Scored:
        """Return what was scored, compared with the setting's own rules."""
        request = own.request
        setting = load_setting(request.setting) if request.setting in setting_names() else None
        names = cited_names(request.protocol, setting, named_protocols())
        metrics = []
        for metric in cited.metrics:
            measured = _same_metric(metric, request.metrics, names)
            if measured is not None:
                digits = _digits(cited, metric.id)
                ranks = {}
                for column in request.column_names:
                    ranks[column] = printed_ranks(own, column, measured, digits)
                is_of_protocol = measured.id in names
                shared = _SharedMetric(metric, measured, digits, is_of_protocol, ranks)
                metrics.append(shared)
        counts = {column: len(images) for column, images in request.images.items()}
        images = TestImages(request.preprocessing, request.data_sets, counts)
        return cls(own, metrics, difference_to_papers(images, setting))


def _own_row(scored: _Scored, cited: CitedTable, method: MethodRow) -> PaperRow:
    request = scored.own.request
    values: dict[ValueKey, PaperValue] = {}
    delta: dict[str, str] = {}
    notes = dict.fromkeys(method.notes)
    counterpart = _counterpart(method, cited)
    for metric in scored.metrics:
        if not metric.is_of_protocol:
            notes[f"{metric.cited.label} is {metric.measured.id}"] = None
        for column in request.column_names:
            value = _value(scored.own, method.id, column, metric)
            if value is not None:
                values[column, metric.cited.id] = value
        average = scored.own.entry(method.id, AVERAGE, metric.measured.id)
        published = cited.values.get((counterpart, AVERAGE, metric.cited.id))
        if average is None or published is None:
            continue
        reason = _not_comparable(scored, cited, metric, published)
        if reason:
            notes[f"no Δ to the cited average: {reason}"] = None
        else:
            difference = Decimal(repr(average.value)) - published.value
            delta[metric.cited.id] = f"{round(difference, metric.digits):+}"
    return PaperRow(
        method=method.label,
        venue="",
        type="",
        values=values,
        notes=tuple(notes),
        delta=delta,
        protocol=request.protocol,
    )


def _not_comparable(
    scored: _Scored, cited: CitedTable, metric: _SharedMetric, published: CitedRow
) -> str:
    """Return why an own average has no difference to a cited one; empty if it has.

    Both must be of the same images, columns, protocol and metric, as in a list of the leaderboard.
    """
    request = scored.own.request
    if scored.other_images:
        return scored.other_images
    if not published.protocol:
        return "the protocol of the cited row is not stated"
    if published.protocol != request.protocol:
        return f"the cited row is of protocol {published.protocol}"
    if not metric.is_of_protocol:
        return f"{metric.measured.id} is no metric of protocol {request.protocol}"
    averaged = set()
    for row in cited.rows:
        if (row.method, row.metric) == (published.method, published.metric):
            averaged.add(row.column)
    if averaged != set(request.column_names):
        return "the cited average is of other columns"
    return ""


def _value(own: Summary, method: str, column: str, metric: _SharedMetric) -> PaperValue | None:
    entry = own.entry(method, column, metric.measured.id)
    if entry is None:
        return None
    cell = value_cell(entry, metric.digits)
    return PaperValue(
        text=cell.text,
        exact=repr(entry.value),
        rank=metric.ranks[column].get(method),
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


def _same_metric(
    cited: CitedMetric, metrics: Sequence[MetricFacts], names: Mapping[str, str]
) -> MetricFacts | None:
    """Return the measured metric that stands for a cited one.

    That is the protocol's own, which ``names`` has, else the first of its kind: ``psnr_y601`` is
    PSNR.
    """
    of_kind = [metric for metric in metrics if kind_of(metric.id) == cited.id]
    own = [metric for metric in of_kind if metric.id in names]
    return next(iter(own or of_kind), None)
