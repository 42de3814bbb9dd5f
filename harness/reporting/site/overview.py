"""The benchmark table of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.evaluation.metrics import MetricFacts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.benchmark_table import BenchmarkTable, not_finite_note
from harness.reporting.plan_summary import runs_by_method
from harness.reporting.site.rendering import number_text
from harness.reporting.site.run_sources import column_sections, run_section, scoring_section
from harness.reporting.site.score_table import (
    Score,
    ScoreColumn,
    ScoreMetric,
    ScoreRow,
    ScoreTable,
    row_groups,
)
from harness.reporting.site.sources import Sources, joined
from harness.reporting.summary import Entry, MethodRow, Summary
from harness.reporting.table import Marking, Row

_COMMIT_DIGITS = 10
_MARKING = Marking("best bold", "second underlined")


@dataclass(frozen=True)
class PlanSources:
    """Numbers of the sections of a plan.

    Attributes:
        scoring: of the rules.
        columns: by column.
        runs: by method id, those of its runs.
    """

    scoring: int
    columns: dict[str, int]
    runs: dict[str, list[int]]

    @classmethod
    def of(cls, plan: Plan, sources: Sources) -> PlanSources:
        """Add the sections of a plan."""
        runs: dict[str, list[int]] = {}
        for method, found in runs_by_method(plan).items():
            runs[method] = [run_section(sources, run) for run in found]
        return cls(scoring_section(sources, plan), column_sections(sources, plan), runs)

    def of_number(self, method: str, column: str) -> str:
        """Return the sections of a number of the table."""
        return joined([*self.runs[method], self.columns[column], self.scoring])


def score_table(plan: Plan, table: BenchmarkTable, plan_sources: PlanSources) -> ScoreTable:
    """Return the table of a plan for a page."""
    request = table.summary.request
    metrics = tuple(map(score_metric, request.metrics))
    columns = []
    for column in request.columns:
        columns.append(ScoreColumn(column.name, column.label, column.group, metrics))
    columns.append(ScoreColumn(AVERAGE, AVERAGE_HEADING, "", metrics))
    inputs, methods, references = [], [], []
    for method, printed in zip(request.methods, table.table.rows, strict=True):
        row = _row(table.summary, method, printed, plan_sources)
        if method.is_input:
            inputs.append(row)
        elif method.reference:
            references.append(row)
        else:
            methods.append(row)
    return ScoreTable(
        id=f"table-{plan.setting.protocol.id}",
        title=f"Protocol {plan.setting.protocol.id}",
        caption=table.table.caption_with(_MARKING),
        columns=tuple(columns),
        groups=row_groups(inputs, methods, references),
    )


def score_metric(metric: MetricFacts) -> ScoreMetric:
    """Return what headings need of a metric."""
    return ScoreMetric(metric.id, metric.label, metric.unit, metric.higher_is_better)


def _row(summary: Summary, method: MethodRow, printed: Row, plan_sources: PlanSources) -> ScoreRow:
    """Return the row of a method, with the marks of the table that is printed."""
    scores = scores_of(summary, method, lambda column: plan_sources.of_number(method.id, column))
    for key, score in scores.items():
        scores[key] = replace(score, rank=printed.cells[key].rank)
    return ScoreRow(method.label, scores, method.notes)


def scores_of(
    summary: Summary, method: MethodRow, sections_of: Callable[[str], str]
) -> dict[tuple[str, str], Score]:
    """Return the numbers of a method by column and metric; what is missing is absent.

    ``sections_of`` returns the sections of the numbers of a column.
    """
    labels = {column.name: column.label for column in summary.request.columns}
    scores = {}
    for column in summary.request.column_names:
        for metric in summary.request.metrics:
            entry = summary.entry(method.id, column, metric.id)
            if entry is not None:
                what = f"{metric.label} of {method.label}, {labels.get(column, 'average')}"
                scores[column, metric.id] = _score(entry, metric, what, sections_of(column))
    return scores


def _score(entry: Entry, metric: MetricFacts, what: str, sections: str) -> Score:
    unit = f" {metric.unit}" if metric.unit else ""
    text = number_text(entry.value, metric.decimals)
    notes = []
    if not entry.complete:
        notes.append(f"{entry.scored} of {entry.expected} images")
    if entry.not_finite:
        notes.append(not_finite_note(entry))
    return Score(
        text=text,
        value=entry.value,
        what=f"{what}: {text}{unit}",
        sources=sections,
        spread="" if entry.spread is None else number_text(entry.spread, metric.decimals),
        rank=entry.rank,
        note="; ".join(notes),
        is_whole=entry.is_whole,
    )


@dataclass(frozen=True)
class RunLine:
    """What the overview says of a run; a dash stands for what is not stored or does not apply."""

    id: str
    label: str
    seed: str
    parameters: str
    steps: str
    training: str
    weights: str
    commit: str
    sources: str


def run_lines(plan: Plan, plan_sources: PlanSources) -> list[RunLine]:
    """Return a line for each run of a plan that trains or has weights."""
    lines = []
    for method, runs in runs_by_method(plan).items():
        for run, section in zip(runs, plan_sources.runs[method], strict=True):
            if run.method.spec.trained:
                lines.append(_run_line(run, section))
    return lines


def _run_line(run: Run, section: int) -> RunLine:
    provenance = run.folder.read_provenance()
    parameters, steps = provenance.get("parameters"), provenance.get("steps")
    wall_s = provenance.get("wall_s")
    return RunLine(
        id=run.id,
        label=run.method.label,
        seed=str(run.train.seed),
        parameters=f"{parameters:,}" if parameters else "–",
        steps=f"{steps:,}" if steps else "–",
        training=f"{wall_s / 60:.1f} min" if wall_s else "–",
        weights=run.weights_id,
        commit=str(provenance.get("git_commit") or "–")[:_COMMIT_DIGITS],
        sources=joined([section]),
    )
