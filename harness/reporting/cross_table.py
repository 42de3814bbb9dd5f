"""Crossed axes of a study: a matrix of averages, one axis down and the other across."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.evaluation.metrics import MetricFacts
from harness.planning.plan import Plan
from harness.planning.studies import Study, StudyCross, StudyValue
from harness.reporting.ablation_results import CrossValue, cross_values
from harness.reporting.figures.matrix import draw_matrix
from harness.reporting.renderers.latex_style import LatexStyle
from harness.reporting.statistics import Spread, natural_spread
from harness.reporting.table import MISSING, Marking, plain_table
from harness.reporting.table_files import table_id, table_stem
from harness.reporting.table_report import TableReport

FIELDS = (
    *("study", "first_axis", "first_value", "second_axis", "second_value", "metric", "average"),
    *("delta", "low", "high", "spread", "failed"),
)
"""Columns of the CSV file."""


@dataclass(frozen=True)
class CrossResult:
    """Two crossed axes as they came out in one metric.

    Attributes:
        study: name of the study.
        title: of the study.
        axes: names of the axes, rows first.
        labels: of the axes, rows first.
        rows: labels of the first axis' values.
        columns: labels of the second axis' values.
        metric: what the numbers are of.
        base: the method that differences are to.
        values: by row and column.
        spread: what intervals show.
        context: setting, recipe, seeds and images in one sentence.
    """

    study: str
    title: str
    axes: tuple[str, str]
    labels: tuple[str, str]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    metric: MetricFacts
    base: str
    values: tuple[tuple[CrossValue, ...], ...]
    spread: Spread
    context: str


@dataclass(frozen=True)
class CrossTable(TableReport):
    """The matrix of one metric; ``result`` holds its numbers."""

    result: CrossResult

    def as_json(self) -> dict[str, Any]:
        """Return the numbers and the caption as JSON values."""
        return {**asdict(self.result), "caption": self.table.caption_with(Marking())}

    def write(self, folder: Path, style: LatexStyle | None = None) -> list[Path]:
        """Write the table as CSV, Markdown and LaTeX and its figure, and return the paths."""
        paths = super().write(folder, style)
        result = self.result
        averages = []
        for row in result.values:
            averages.append([value.average for value in row])
        unit = f" ({result.metric.unit})" if result.metric.unit else ""
        title = f"{result.title}\n{result.metric.label}{unit}, mean of the columns"
        labels = (result.rows, result.columns)
        digits = f".{result.metric.decimals}f"
        stem = folder / self.stem
        return paths + draw_matrix(averages, labels, result.labels, (title, digits), stem)


def cross_tables(
    study: Study, plan: Plan, failed: Mapping[str, str], spread: Spread | None = None
) -> list[CrossTable]:
    """Return the matrix of each metric of a study's crossed axes; none where none are crossed."""
    if study.cross is None:
        return []
    cross = study.cross
    found = []
    files = cross_files(study, plan, spread)
    by_metric = cross_values(_as_values(study, cross), plan, failed, spread)
    for values, (stem, identity) in zip(by_metric, files, strict=True):
        result = CrossResult(
            study=study.name,
            title=study.title,
            axes=(cross.first.name, cross.second.name),
            labels=(cross.first.label, cross.second.label),
            rows=tuple(value.label for value in cross.first.values),
            columns=tuple(value.label for value in cross.second.values),
            metric=values.metric,
            base=study.base,
            values=values.rows,
            spread=values.spread,
            context=values.context,
        )
        found.append(cross_table(result, stem, identity))
    return found


def cross_files(study: Study, plan: Plan, spread: Spread | None = None) -> list[tuple[str, str]]:
    """Return the stem and the identity of the matrix of each metric; none without crossed axes."""
    cross = study.cross
    if cross is None:
        return []
    methods = {study.base}.union(*cross.methods)
    runs = [run for run in plan.runs if run.method.id in methods]
    shown = spread or natural_spread(len(plan.seeds))
    identity = table_id(plan, runs, study=study.title, cross=cross.methods, spread=shown)
    found = []
    for metric in plan.metrics:
        kind = f"ablation-{study.name}-{cross.first.name}-x-{cross.second.name}-{metric}"
        found.append((table_stem(plan, identity, kind), identity))
    return found


def _as_values(study: Study, cross: StudyCross) -> list[list[StudyValue]]:
    """Return each combination as a value whose baseline is the study's base."""
    rows = []
    for first, methods in zip(cross.first.values, cross.methods, strict=True):
        row = []
        for second, method in zip(cross.second.values, methods, strict=True):
            row.append(StudyValue(f"{first.label} x {second.label}", method, study.base))
        rows.append(row)
    return rows


def cross_table(result: CrossResult, stem: str, identity: str = "") -> CrossTable:
    """Return the matrix of one metric, whose files are called ``stem``."""
    lines, failures = [], []
    warnings: list[str] = []
    for label, row in zip(result.rows, result.values, strict=True):
        lines.append([label, *[_text(value, result.metric) for value in row]])
        for value in row:
            if value.failed:
                failures.append(f"{value.label}: {value.failed}")
            warnings += value.not_finite
    first, second = result.labels
    name = f"cross-{result.study}-{'-'.join(result.axes)}-{result.metric.id}"
    heads = [f"{first} / {second}", *result.columns]
    caption = (
        f"{result.title}. {result.metric.label}, mean of the columns, and its difference to "
        f"{result.base}."
    )
    plain = plain_table(heads, lines, caption, name)
    deltas = [value.delta for row in result.values for value in row if value.delta is not None]
    has_intervals = any(delta.low is not None for delta in deltas)
    interval = f"in brackets the 95% bootstrap interval over {result.spread}"
    table = replace(
        plain,
        details=(
            f"{first} down, {second} across. {result.context} Differences are paired by image and "
            f"seed; {interval if has_intervals else 'no interval'}."
        ),
        heading=f"{result.study}: {first} and {second}, {result.metric.label}",
        remarks=(*failures, *dict.fromkeys(warnings)),
        fields=FIELDS,
        records=list(_records(result)),
    )
    return CrossTable(
        table, stem, result, identity=identity, warnings=tuple(dict.fromkeys(warnings))
    )


def _text(value: CrossValue, metric: MetricFacts) -> str:
    if value.failed:
        return "failed"
    if value.average is None:
        return MISSING
    digits = metric.decimals
    text = f"{value.average:.{digits}f}"
    if value.delta is None:
        return text
    text += f" {value.delta.mean:+.{digits}f}"
    if value.delta.low is None or value.delta.high is None:
        return text
    return f"{text} [{value.delta.low:+.{digits}f}, {value.delta.high:+.{digits}f}]"


def _records(result: CrossResult) -> Iterator[Mapping[str, Any]]:
    for first, row in zip(result.rows, result.values, strict=True):
        for second, value in zip(result.columns, row, strict=True):
            delta = value.delta
            yield {
                "study": result.study,
                "first_axis": result.axes[0],
                "first_value": first,
                "second_axis": result.axes[1],
                "second_value": second,
                "metric": result.metric.id,
                "average": value.average,
                "delta": None if delta is None else delta.mean,
                "low": None if delta is None else delta.low,
                "high": None if delta is None else delta.high,
                "spread": result.spread,
                "failed": value.failed,
            }
