"""Test images one by one: what each method makes of them, and which are worth looking at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.plan_summary import runs_by_method
from harness.store.stored_results import results_of

CaseKey = tuple[str, str]
"""Column and image."""


@dataclass(frozen=True)
class Case:
    """One test image.

    Attributes:
        column: of the table.
        image: its name in the column.
        values: by method id and metric id; of the first seed, whose images are shown.
    """

    column: str
    image: str
    values: Mapping[tuple[str, str], float]

    @property
    def key(self) -> CaseKey:
        """Column and image."""
        return self.column, self.image

    def finite(self, methods: Sequence[str], metric: str) -> list[float]:
        """Return the finite values of several methods."""
        found = []
        for method in methods:
            value = self.values.get((method, metric))
            if value is not None and math.isfinite(value):
                found.append(value)
        return found


def shown_runs(plan: Plan) -> list[Run]:
    """Return the run of each method whose images are shown: that of the first seed."""
    return [runs[0] for runs in runs_by_method(plan).values()]


def cases_of(plan: Plan) -> list[Case]:
    """Return all test images of the columns that are shown, in order."""
    values: dict[CaseKey, dict[tuple[str, str], float]] = {}
    images = plan.test.images_by_column()
    for column in plan.shown_columns:
        for image in images[column.name]:
            values[column.name, image] = {}
    for run in shown_runs(plan):
        for result in results_of(run.folder.results, run.score):
            key = result.column, result.image
            if key in values:
                values[key][run.method.id, result.metric] = result.value
    return [Case(column, image, found) for (column, image), found in values.items()]


def ranked_methods(plan: Plan) -> list[str]:
    """Return the ids of the methods that cases are ordered by: those that tables rank."""
    ranked = []
    for run in shown_runs(plan):
        if run.method.spec.role != "reference":
            ranked.append(run.method.id)
    return ranked


def notable_cases(plan: Plan, count: int) -> list[CaseKey]:
    """Return, of each column, the worst and the best cases and the largest disagreements.

    Cases are compared by the mean over methods of the protocol's first metric, and by its range
    over methods; ``count`` is of each of the three. Without a method, the input is compared.
    """
    metric = metric_facts(plan.metrics[0])
    methods = _compared_methods(plan)
    found: dict[CaseKey, None] = {}
    for cases in _cases_by_column(plan):
        found |= dict.fromkeys(_notable(cases, methods, metric, count))
    return list(found)


def worst_cases(plan: Plan, count: int) -> list[CaseKey]:
    """Return the worst cases of each column alone; see :func:`notable_cases`."""
    metric = metric_facts(plan.metrics[0])
    methods = _compared_methods(plan)
    found: list[CaseKey] = []
    for cases in _cases_by_column(plan):
        found += [case.key for case in _by_mean(cases, methods, metric)[:count]]
    return found


def _compared_methods(plan: Plan) -> list[str]:
    """Return the ids of the methods by whose values cases are ordered."""
    return ranked_methods(plan) or [run.method.id for run in shown_runs(plan)]


def _cases_by_column(plan: Plan) -> list[list[Case]]:
    """Return the cases of each column that is shown, in its order."""
    found: dict[str, list[Case]] = {column.name: [] for column in plan.shown_columns}
    for case in cases_of(plan):
        found[case.column].append(case)
    return list(found.values())


def _notable(
    cases: Sequence[Case], methods: Sequence[str], metric: MetricFacts, count: int
) -> list[CaseKey]:
    by_mean = _by_mean(cases, methods, metric)
    by_range = sorted(by_mean, key=lambda case: -_range(case.finite(methods, metric.id)))
    chosen = [*by_mean[:count], *by_mean[-count:], *by_range[:count]]
    return [case.key for case in chosen]


def _by_mean(cases: Sequence[Case], methods: Sequence[str], metric: MetricFacts) -> list[Case]:
    """Return the cases that have a value, the worst first."""
    sign = 1 if metric.higher_is_better else -1
    known = [case for case in cases if case.finite(methods, metric.id)]
    return sorted(known, key=lambda case: sign * _mean(case.finite(methods, metric.id)))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _range(values: Sequence[float]) -> float:
    return max(values) - min(values)
