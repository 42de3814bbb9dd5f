"""From a plan's stored runs to the differences of a study's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.evaluation.metrics import MetricFacts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.planning.studies import Study, StudyAxis, StudyValue
from harness.published.tables import AVERAGE
from harness.reporting.benchmark_table import not_finite_sentences
from harness.reporting.plan_summary import results_by_method, runs_by_method, summary_of_results
from harness.reporting.prompt_report import is_known
from harness.reporting.same_values import have_same_values
from harness.reporting.statistics import (
    Difference,
    Spread,
    difference,
    has_enough,
    natural_spread,
    pair,
)
from harness.reporting.summary import Summary, SummaryRequest
from harness.store.prompt_files import stored_summary
from harness.store.result_columns import ResultColumns
from harness.store.results import Result


@dataclass(frozen=True)
class ValueResult:
    """A value of an axis as it came out.

    Attributes:
        label: the value's, as its study has it.
        averages: metric -> mean over columns, None where a score is missing.
        deltas: metric -> difference to the baseline, None for the baseline itself.
        columns: difference in the first metric per column.
        prompt_swap_gap_db: mean over seeds, None without prompts.
        failed: why there is no number, empty if all is well.
        not_finite: sentences on images whose values are not finite.
        same_as_baseline: whether every image has the value that it has with the baseline.
    """

    label: str
    averages: dict[str, float | None]
    deltas: dict[str, Difference | None]
    columns: dict[str, float] = field(default_factory=dict)
    prompt_swap_gap_db: float | None = None
    failed: str = ""
    not_finite: tuple[str, ...] = ()
    same_as_baseline: bool = False


@dataclass(frozen=True)
class AxisResult:
    """One axis of a study as it came out.

    Attributes:
        study: name of the study.
        axis: name of the axis.
        title: of the study.
        label: of the axis.
        baseline: what differences are to, in words.
        metrics: of the table.
        columns: labels of the table's columns.
        values: in order.
        context: setting, recipe, seeds and images in one sentence.
        spread: what the intervals show.
    """

    study: str
    axis: str
    title: str
    label: str
    baseline: str
    metrics: tuple[MetricFacts, ...]
    columns: tuple[str, ...]
    values: tuple[ValueResult, ...]
    context: str
    spread: Spread

    @property
    def has_intervals(self) -> bool:
        """Whether any difference has an interval."""
        for value in self.values:
            for delta in value.deltas.values():
                if delta is not None and delta.low is not None:
                    return True
        return False


@dataclass(frozen=True)
class CrossValue:
    """One combination of two values as it came out in one metric; see :class:`ValueResult`."""

    label: str
    average: float | None
    delta: Difference | None
    failed: str = ""
    not_finite: tuple[str, ...] = ()


@dataclass(frozen=True)
class CrossValues:
    """The combinations of two axes in one metric, by row and column."""

    metric: MetricFacts
    rows: tuple[tuple[CrossValue, ...], ...]
    spread: Spread
    context: str


def cross_values(
    rows: Sequence[Sequence[StudyValue]],
    plan: Plan,
    failed: Mapping[str, str],
    spread: Spread | None,
) -> list[CrossValues]:
    """Return the results of combined values, by metric; the arguments are as of axes."""
    stored = _Stored.of(plan, failed, spread or natural_spread(len(plan.seeds)))
    results = []
    for row in rows:
        results.append([_value(value, stored) for value in row])
    found = []
    for metric in stored.summary.request.metrics:
        shown = []
        for of_row in results:
            shown.append(tuple(_in_metric(result, metric.id) for result in of_row))
        context = _context(plan, stored.summary.request)
        found.append(CrossValues(metric, tuple(shown), stored.spread, context))
    return found


def _in_metric(result: ValueResult, metric: str) -> CrossValue:
    return CrossValue(
        label=result.label,
        average=result.averages[metric],
        delta=result.deltas[metric],
        failed=result.failed,
        not_finite=result.not_finite,
    )


def axis_results(
    study: Study, plan: Plan, failed: Mapping[str, str], spread: Spread | None
) -> list[AxisResult]:
    """Return the result of each axis of ``study`` from what is stored of ``plan``.

    ``failed`` maps a run's label to why it failed; ``spread`` is what intervals show, by default
    all that the number of seeds lets them.
    """
    stored = _Stored.of(plan, failed, spread or natural_spread(len(plan.seeds)))
    request = stored.summary.request
    labels = tuple(column.label for column in request.columns)
    found = []
    for axis in study.axes:
        values = []
        for value in axis.values:
            values.append(_value(value, stored))
        found.append(
            AxisResult(
                study=study.name,
                axis=axis.name,
                title=study.title,
                label=axis.label,
                baseline=_baseline(study, axis),
                metrics=request.metrics,
                columns=labels,
                values=tuple(values),
                context=_context(plan, request),
                spread=stored.spread,
            )
        )
    return found


def _context(plan: Plan, request: SummaryRequest) -> str:
    """Return setting, recipe, seeds and images in one sentence."""
    seeds = ", ".join(map(str, plan.seeds))
    context = (
        f"Setting {plan.setting.name}, {request.images_are}; recipe {plan.recipe.name}; protocol "
        f"{plan.setting.protocol.id}; seed{'s' if len(plan.seeds) > 1 else ''} {seeds}."
    )
    if request.left_out:
        context += f" Columns chosen, without {', '.join(request.left_out)}."
    return context


@dataclass(frozen=True)
class _Stored:
    """What is stored of a plan.

    Attributes:
        summary: the numbers of its table.
        runs: by method id.
        results: by method id.
        failed: why a run failed, by its label.
        spread: what intervals show.
    """

    summary: Summary
    runs: Mapping[str, Sequence[Run]]
    results: Mapping[str, Sequence[Result]]
    failed: Mapping[str, str]
    spread: Spread

    @classmethod
    def of(cls, plan: Plan, failed: Mapping[str, str], spread: Spread) -> _Stored:
        results = results_by_method(plan)
        summary = summary_of_results(plan, results)
        return cls(summary, runs_by_method(plan), results, failed, spread)


def _value(value: StudyValue, stored: _Stored) -> ValueResult:
    averages: dict[str, float | None] = {}
    for metric in stored.summary.request.metrics:
        entry = stored.summary.entry(value.method, AVERAGE, metric.id)
        averages[metric.id] = None if entry is None else entry.value
    runs = stored.runs[value.method]
    reasons = _failures(runs, stored.failed)
    deltas: dict[str, Difference | None] = dict.fromkeys(averages)
    columns: dict[str, float] = {}
    same_as_baseline = False
    # A part of the seeds or images gives another mean, not a worse estimate of this one.
    is_compared = value.method != value.baseline and not reasons
    if is_compared and _is_complete(value.method, stored):
        deltas = _deltas(value, stored)
        columns = _column_differences(value, stored)
        own, others = stored.results[value.method], stored.results[value.baseline]
        same_as_baseline = have_same_values(own, others)
    return ValueResult(
        label=value.label,
        averages=averages,
        deltas=deltas,
        columns=columns,
        prompt_swap_gap_db=_prompt_swap_gap_db(runs),
        failed="; ".join(reasons),
        not_finite=tuple(not_finite_sentences(stored.summary, value.method)),
        same_as_baseline=same_as_baseline,
    )


def _failures(runs: Sequence[Run], failed: Mapping[str, str]) -> list[str]:
    """Return why runs failed; of several trainings, with the seed."""
    reasons = []
    for run in runs:
        if run.label in failed:
            seed = f"seed {run.train.seed}: " if len(runs) > 1 else ""
            reasons.append(seed + failed[run.label])
    return reasons


def _is_complete(method: str, stored: _Stored) -> bool:
    """Return whether a method is scored on all images of the columns that have data."""
    request = stored.summary.request
    for column in request.columns:
        if column.name in request.absent:
            continue
        entry = stored.summary.entry(method, column.name, request.metrics[0].id)
        if entry is None or not entry.complete:
            return False
    return True


def _shown_results(method: str, stored: _Stored) -> ResultColumns:
    """Return a method's results in the columns that are shown."""
    shown = {column.name for column in stored.summary.request.columns}
    results = ResultColumns.of(stored.results[method])
    return results.select(results.are("column", shown.__contains__))


def _deltas(value: StudyValue, stored: _Stored) -> dict[str, Difference | None]:
    """Return the paired differences by metric; none where a column's data are not on this disk."""
    found: dict[str, Difference | None] = {}
    for metric in stored.summary.request.metrics:
        found[metric.id] = None
        if stored.summary.request.absent:
            continue
        own = _shown_results(value.method, stored)
        baseline = _shown_results(value.baseline, stored)
        paired = pair(own, baseline, metric.id, stored.summary.request.clean_images)
        if paired is not None:
            delta = difference(paired, stored.spread)
            is_enough = has_enough(paired, stored.spread)
            found[metric.id] = delta if is_enough else replace(delta, low=None, high=None)
    return found


def _column_differences(value: StudyValue, stored: _Stored) -> dict[str, float]:
    """Return the difference in the first metric by the label of each column."""
    request = stored.summary.request
    metric = request.metrics[0].id
    found = {}
    for column in request.columns:
        own = stored.summary.entry(value.method, column.name, metric)
        baseline = stored.summary.entry(value.baseline, column.name, metric)
        if column.name in request.absent or own is None or baseline is None:
            continue
        # A part of the images has another mean.
        if own.is_whole and baseline.is_whole:
            found[column.label] = own.value - baseline.value
    return found


def _baseline(study: Study, axis: StudyAxis) -> str:
    """Return what differences are to, in words."""
    baselines = {value.baseline for value in axis.values}
    labels = {value.method: f"{axis.label} = {value.label}" for value in axis.values}
    others = [baseline for baseline in baselines if baseline != study.base]
    if len(others) > 1:
        return "the same network without it, where the row is none"
    if others and len(baselines) > 1:
        return f"{labels[others[0]]}, and of that one to {study.base}"
    (baseline,) = baselines
    return labels.get(baseline, study.base)


def _prompt_swap_gap_db(runs: Sequence[Run]) -> float | None:
    """Return the mean over seeds; None if one has none, since a part of them has another."""
    import numpy as np

    gaps_db: list[float] = []
    for run in runs:
        prompts = stored_summary(run.folder).get("prompts") or {}
        gap_db: Any = prompts.get("prompt_swap_gap_db")
        if not is_known(gap_db):
            return None
        gaps_db.append(gap_db)
    return float(np.mean(gaps_db)) if gaps_db else None
