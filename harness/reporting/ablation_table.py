"""Ablations as tables: each value's difference to its baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.planning.plan import Plan
from harness.planning.studies import Study, StudyAxis
from harness.reporting.ablation_results import AxisResult, ValueResult, axis_results
from harness.reporting.cross_table import CrossTable, cross_files, cross_tables
from harness.reporting.figures.ablation import draw_ablation
from harness.reporting.renderers.latex_style import LatexStyle
from harness.reporting.same_values import REMARK
from harness.reporting.statistics import Difference, Spread, natural_spread
from harness.reporting.table import MISSING, Marking, plain_table
from harness.reporting.table_files import table_id, table_stem
from harness.reporting.table_report import TableReport

FIELDS = (
    *("study", "axis", "value", "metric", "average", "delta", "low", "high", "spread"),
    *("prompt_swap_gap_db", "failed"),
)
"""Columns of the CSV file."""

_INTERVALS_OVER = {
    "images": "over images of this one training: not over seeds",
    "seeds": "over seeds, for these images",
    "seeds and images": "over seeds and images",
}


@dataclass(frozen=True)
class AblationTable(TableReport):
    """The table of one axis of a study; ``result`` holds its numbers."""

    result: AxisResult

    def as_json(self) -> dict[str, Any]:
        """Return the numbers and the caption as JSON values."""
        content = asdict(self.result)
        return {**content, "caption": self.table.caption_with(Marking())}

    def write(self, folder: Path, style: LatexStyle | None = None) -> list[Path]:
        """Write the table as CSV, Markdown and LaTeX and its figure, and return the paths."""
        paths = super().write(folder, style)
        paths += draw_ablation(self.result, folder / self.stem)
        return paths


def ablation_tables(
    study: Study, plan: Plan, failed: Mapping[str, str], spread: Spread | None = None
) -> list[AblationTable | CrossTable]:
    """Return a table per axis of ``study``, and one per metric of its crossed axes.

    Args:
        study: what is compared.
        plan: whose runs are its values.
        failed: by a run's label, why it failed.
        spread: what intervals show, by default all that the number of seeds lets them.
    """
    found: list[AblationTable | CrossTable] = []
    for axis, result in zip(study.axes, axis_results(study, plan, failed, spread), strict=True):
        found.append(ablation_table(result, *_axis_file(study, axis, plan, spread)))
    return [*found, *cross_tables(study, plan, failed, spread)]


def ablation_files(study: Study, plan: Plan, spread: Spread | None = None) -> list[tuple[str, str]]:
    """Return the stem and the identity of each table of a study, before anything is computed."""
    found = [_axis_file(study, axis, plan, spread) for axis in study.axes]
    return [*found, *cross_files(study, plan, spread)]


def _axis_file(study: Study, axis: StudyAxis, plan: Plan, spread: Spread | None) -> tuple[str, str]:
    content = [[value.label, value.method, value.baseline] for value in axis.values]
    methods: set[str] = set()
    for value in axis.values:
        methods |= {value.method, value.baseline}
    runs = [run for run in plan.runs if run.method.id in methods]
    shown = spread or natural_spread(len(plan.seeds))
    identity = table_id(plan, runs, study=study.title, values=content, spread=shown)
    return table_stem(plan, identity, f"ablation-{study.name}-{axis.name}"), identity


def ablation_table(result: AxisResult, stem: str, identity: str = "") -> AblationTable:
    """Return the table of an axis, whose files are called ``stem``."""
    lines, remarks = [], []
    warnings: list[str] = []
    for value in result.values:
        lines.append(_line(result, value))
        if value.failed:
            remarks.append(f"{value.label}: {value.failed}")
        warnings += value.not_finite
        if value.same_as_baseline:
            warnings.append(f"{value.label}: same values as {result.baseline} {REMARK}")
    plain = plain_table(
        _heads(result), lines, _caption(result), f"ablation-{result.study}-{result.axis}"
    )
    table = replace(
        plain,
        details=_details(result),
        heading=f"{result.study}: {result.label}",
        remarks=(*remarks, *warnings),
        fields=FIELDS,
        records=list(_records(result)),
    )
    return AblationTable(table, stem, result, identity=identity, warnings=tuple(warnings))


def _caption(result: AxisResult) -> str:
    """Return what stands in the table."""
    return f"{result.title}. Differences to {result.baseline}, paired by image and seed."


def _details(result: AxisResult) -> str:
    """Return how numbers came about, and what intervals do and do not show."""
    interval = "No interval"
    if result.has_intervals:
        interval = f"In brackets the 95% bootstrap interval {_INTERVALS_OVER[result.spread]}"
    return (
        f"{result.context} {interval}. Columns: difference in {result.metrics[0].label}. "
        "Prompt-swap gap: PSNR of an image under its own prompt minus that under a prompt of "
        "another kind of degradation."
    )


def _heads(result: AxisResult) -> list[str]:
    heads = [result.label]
    for metric in result.metrics:
        heads += [metric.label, f"Δ {metric.label}"]
    heads += map("Δ {}".format, result.columns)
    return [*heads, "prompt-swap gap"]


def _line(result: AxisResult, value: ValueResult) -> list[str]:
    texts = [value.label]
    for metric in result.metrics:
        if value.failed:
            texts += ["failed", MISSING]
            continue
        average = value.averages.get(metric.id)
        texts.append(MISSING if average is None else f"{average:.{metric.decimals}f}")
        texts.append(_delta(value.deltas.get(metric.id), metric.decimals))
    for label in result.columns:
        known = value.columns.get(label)
        texts.append(MISSING if known is None else f"{known:+z.2f}")
    gap_db = value.prompt_swap_gap_db
    texts.append(MISSING if gap_db is None else f"{gap_db:+z.2f} dB")
    return texts


def _delta(delta: Difference | None, decimals: int) -> str:
    return MISSING if delta is None else delta.text(decimals)


def _records(result: AxisResult) -> Iterator[Mapping[str, Any]]:
    for value in result.values:
        for metric in result.metrics:
            delta = value.deltas.get(metric.id)
            yield {
                "study": result.study,
                "axis": result.axis,
                "value": value.label,
                "metric": metric.id,
                "average": value.averages.get(metric.id),
                "delta": None if delta is None else delta.mean,
                "low": None if delta is None else delta.low,
                "high": None if delta is None else delta.high,
                "spread": result.spread,
                "prompt_swap_gap_db": value.prompt_swap_gap_db,
                "failed": value.failed,
            }
