"""The benchmark table: methods by columns, from what is stored of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.evaluation.metrics import MetricFacts
from harness.planning.plan import Plan
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.apart import Apart, marks_sentence, seconds_apart
from harness.reporting.columns import extra_columns
from harness.reporting.plan_summary import (
    results_by_method,
    runs_by_method,
    summary_of_results,
)
from harness.reporting.printed_ranks import NARROW_DECIMALS, Marks
from harness.reporting.summary import Entry, EntryKey, MethodRow, Summary, SummaryRequest
from harness.reporting.table import (
    MISSING,
    Cell,
    CellKey,
    Column,
    Panel,
    Part,
    Row,
    RowGroup,
    Table,
    metric_panel,
    metric_title,
)
from harness.reporting.table_files import table_id, table_stem
from harness.reporting.table_report import TableReport

FIELDS = (
    *("method", "column", "metric", "mean", "std_over_seeds", "seeds", "images_scored"),
    *("images_expected", "rank", "setting", "data_set", "recipe", "preprocessing", "protocol"),
    *("images_not_finite", "apart_from_best"),
)
"""Columns of the CSV file and of the data frame."""

_LONGEST_CAPTION = 90
"""Characters of a caption that fit two lines of a text column."""

_MOST_NAMES = 5
"""Images that a footnote names at most."""

_METRICS_IN_A_CELL = 2
"""PSNR and SSIM share a cell; further metrics have a grid of their own."""

Extra = Mapping[str, Mapping[str, str]]
"""Texts of extra columns, by heading and method id."""


@dataclass(frozen=True)
class BenchmarkTable(TableReport):
    """A benchmark table; ``summary`` holds its numbers."""

    summary: Summary


def benchmark_table(plan: Plan, extra: Sequence[str] = ()) -> BenchmarkTable:
    """Return the table of what is stored of a plan; what is not stored is absent.

    ``extra`` names columns of :mod:`harness.reporting.columns`.

    Raises:
        HarnessError: results of two preprocessings, protocols or data sets would be in one
            column.
        UsageError: an extra column is unknown.
    """
    texts: dict[str, dict[str, str]] = {}
    for column in extra_columns(extra):
        texts[column.heading] = {}
        for method, runs in runs_by_method(plan).items():
            texts[column.heading][method] = column.value(runs)
    by_method = results_by_method(plan)
    summary = summary_of_results(plan, by_method)
    found = benchmark_table_of(summary, texts, seconds_apart(summary, by_method))
    identity = table_id(plan)
    return replace(found, stem=table_stem(plan, identity), identity=identity)


def benchmark_table_of(
    summary: Summary, extra: Extra | None = None, apart: Apart | None = None
) -> BenchmarkTable:
    """Return the table of numbers that are known already.

    ``apart`` says which seconds are told apart from the best; others are not marked. Without it
    the values alone decide.
    """
    request = summary.request
    extra = extra or {}
    marks = Marks.of(summary, apart)
    rows = []
    for method in request.methods:
        rows.append(_row(summary, method, extra, marks))
    records = []
    for key, entry in summary.entries.items():
        records.append(_record(request, key, entry, apart))
    table = Table(
        layout="stacked",
        name=request.setting,
        columns=tuple(_columns(request, extra)),
        panels=tuple(_panels(request.metrics)),
        parts=(Part("", (RowGroup("", tuple(rows)),)),),
        caption=_caption(request),
        details=_details(request, marks_sentence(rows, apart)),
        fields=FIELDS,
        records=records,
    )
    stem = f"{request.setting}-{request.recipe}"
    return BenchmarkTable(table, stem, summary, warnings=tuple(not_finite_sentences(summary)))


def not_finite_sentences(summary: Summary, method: str | None = None) -> list[str]:
    """Return one sentence for each value that is not finite, with the images that it is of.

    ``method`` asks for those of one method.
    """
    labels = {column.name: column.label for column in summary.request.columns}
    sentences = []
    for row in summary.request.methods:
        if method not in (None, row.id):
            continue
        for column, label in labels.items():
            for metric in summary.request.metrics:
                entry = summary.entry(row.id, column, metric.id)
                if entry is not None and entry.not_finite:
                    note = not_finite_note(entry)
                    sentences.append(f"{row.label}, {label}, {metric.label}: {note}")
    return sentences


def not_finite_note(entry: Entry) -> str:
    """Return which images have a value that is not finite."""
    shown = list(entry.not_finite[:_MOST_NAMES])
    more = len(entry.not_finite) - len(shown)
    if more:
        shown.append(f"and {more} more")
    return f"not finite on {len(entry.not_finite)} of {entry.scored} images: {'; '.join(shown)}"


def value_cell(entry: Entry, decimals: int) -> Cell:
    """Return an entry as a cell without a rank; ``(scored/expected)`` follows if incomplete."""
    return Cell(
        text=_number(entry, decimals),
        notes=(not_finite_note(entry),) if entry.not_finite else (),
        spread=entry.spread,
        short_text=_number(entry, min(decimals, NARROW_DECIMALS)),
    )


def _number(entry: Entry, decimals: int) -> str:
    text = f"{entry.value:.{decimals}f}"
    if entry.spread is not None:
        text += f"±{entry.spread:.{decimals}f}"
    return text if entry.complete else f"{text} ({entry.scored}/{entry.expected})"


def _columns(request: SummaryRequest, extra: Extra) -> list[Column]:
    columns = []
    for column in request.columns:
        columns.append(
            Column(
                key=column.name,
                heading=column.label,
                label=column.label,
                group=column.group,
                latex_label=column.latex_label,
            )
        )
    columns.append(Column(AVERAGE, AVERAGE_HEADING, AVERAGE_HEADING, is_trailing=True))
    for heading in extra:
        columns.append(Column(heading, heading, heading, per_metric=False, is_trailing=True))
    return columns


def _panels(metrics: Sequence[MetricFacts]) -> list[Panel]:
    panels = [metric_panel(metrics[:_METRICS_IN_A_CELL])]
    for metric in metrics[_METRICS_IN_A_CELL:]:
        panels.append(metric_panel([metric]))
    return panels


def _row(summary: Summary, method: MethodRow, extra: Extra, marks: Marks) -> Row:
    request = summary.request
    cells: dict[CellKey, Cell] = {}
    for column in request.column_names:
        for metric in request.metrics:
            key = method.id, column, metric.id
            entry = summary.entry(*key)
            if entry is None:
                cells[column, metric.id] = Cell(MISSING)
                continue
            shown = value_cell(entry, metric.decimals)
            whole, narrow = marks.whole.get(key), marks.narrow.get(key)
            cells[column, metric.id] = replace(shown, rank=whole, short_rank=narrow)
    for heading, texts in extra.items():
        cells[heading, ""] = Cell(texts.get(method.id, MISSING))
    return Row(method.label, cells, method.notes)


def _record(
    request: SummaryRequest, key: EntryKey, entry: Entry, apart: Apart | None
) -> dict[str, Any]:
    method, column, metric = key
    is_second = apart is not None and key in apart.seconds
    return {
        "method": method,
        "column": column,
        "metric": metric,
        "mean": entry.value,
        "std_over_seeds": entry.spread,
        "seeds": entry.seeds,
        "images_scored": entry.scored,
        "images_expected": entry.expected,
        "rank": entry.rank,
        "setting": request.setting,
        "data_set": _data_set(request, column),
        "recipe": request.recipe,
        "preprocessing": request.preprocessing,
        "protocol": request.protocol,
        "images_not_finite": len(entry.not_finite),
        "apart_from_best": key in apart.told if is_second and apart else None,
    }


def _data_set(request: SummaryRequest, column: str) -> str:
    """Return the data set of a column; an average is made of several."""
    if column != AVERAGE:
        return request.data_sets[column]
    return ", ".join(dict.fromkeys(request.data_sets.values()))


def _caption(request: SummaryRequest) -> str:
    """Return what the figures are, in at most two lines of a column."""
    metrics = " / ".join(map(metric_title, request.metrics))
    figures = f"{metrics}, {request.images_are}."
    caption = f"{request.title}. {figures}"
    if len(caption) > _LONGEST_CAPTION:
        # The details begin with the whole title.
        return f"{request.title.partition(':')[0]}. {figures}"
    return caption


def _details(request: SummaryRequest, marks: str) -> str:
    """Return how the figures came about, in a few sentences; ``marks`` is one of them."""
    counts = []
    for column in request.columns:
        scored, whole = len(request.images[column.name]), request.expected_images(column.name)
        count = f"{scored} of {whole}" if scored < whole else str(scored)
        counts.append(f"{column.label} {count}")
    seeds = ", ".join(map(str, request.seeds))
    several = len(request.seeds) > 1
    spread = "; ± is the standard deviation over seeds" if several else ""
    cut = f" (centre {request.centre_px} px)" if request.centre_px else ""
    missing = _absent(request)
    # What a short caption leaves of the title.
    rest = "" if _caption(request).startswith(f"{request.title}. ") else _rest_of(request.title)
    named = "" if _names_setting(request) else f"setting {request.setting}; "
    rules = (
        f"{named}recipe {request.recipe}; protocol {request.protocol}, preprocessing "
        f"{request.preprocessing}; seed{'s' if several else ''} {seeds}{spread}."
    )
    sentences = [
        rest,
        marks,
        rules[0].upper() + rules[1:],
        request.training,
        f"Images scored{cut}: {', '.join(counts)}.",
        _of_sets(request),
        f"Not there: {missing}." if missing else "",
        f"Average: {_average(request)}.",
    ]
    return " ".join(filter(None, sentences))


def _of_sets(request: SummaryRequest) -> str:
    """Return what metrics of whole columns are, where there are any."""
    labels = [metric.label for metric in request.metrics if metric.of_set]
    if not labels:
        return ""
    return (
        f"{', '.join(labels)} compares all images of a column at once and reads too high where "
        "they are few."
    )


def _rest_of(title: str) -> str:
    """Return what is behind the colon of a title as a sentence."""
    rest = title.partition(":")[2].strip()
    return f"{rest[:1].upper()}{rest[1:]}." if rest else ""


def _names_setting(request: SummaryRequest) -> bool:
    """Return whether the title is the setting's name, but for hyphens and capitals."""
    title = request.title.casefold().replace("-", " ").replace("_", " ")
    return title == request.setting.casefold().replace("-", " ").replace("_", " ")


def _average(request: SummaryRequest) -> str:
    """Return what the average is over."""
    if request.absent:
        present = [column.name for column in request.columns if column.name not in request.absent]
        hint = f" (--columns {','.join(present)} averages those that are there)"
        return "none, for a part of the columns is no average" + (hint if present else "")
    if request.expected:
        return "none, for some columns are incomplete"
    if request.left_out:
        left_out = ", ".join(request.left_out)
        return f"mean of the columns shown, which were chosen; without {left_out}"
    return "mean of the columns"


def _absent(request: SummaryRequest) -> str:
    """Return the columns without data, each with the set that would fill it."""
    absent = []
    for column in request.columns:
        if column.name in request.absent:
            absent.append(f"{column.label} ({request.absent[column.name]})")
    return ", ".join(absent)
