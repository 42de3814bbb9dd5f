"""Names and digits that a request chooses for tables, figures and reports instead of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.config.errors import UsageError, did_you_mean
from harness.config.settings import Column
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.plan import Plan
from harness.planning.request import RunRequest


def check_wording(plan: Plan) -> None:
    """Refuse a name that no table of the plan shows, before anything is computed.

    Raises:
        UsageError: names it, and the nearest that is shown.
    """
    metrics = list(_metric_names(plan.metrics))
    for name in plan.request.decimals:
        if name not in metrics:
            raise UsageError(f"--decimals {name} is no metric here; {did_you_mean(name, metrics)}")
    known = [*metrics, *(column.name for column in plan.columns)]
    methods = {}
    for run in plan.runs:
        known += [run.method.id, run.method.label]
        methods[run.method.id] = worded_label(plan.request, run.method.id, run.method.label)
    for name in plan.request.labels:
        if name not in known:
            raise UsageError(
                f"--label {name} is no method, column or metric here; {did_you_mean(name, known)}"
            )
    _check_distinct(methods, set(plan.request.labels.values()))


def _check_distinct(methods: Mapping[str, str], chosen: Collection[str]) -> None:
    """Refuse one chosen label for two methods; ``methods`` are labels by id."""
    by_label: dict[str, str] = {}
    for method, label in methods.items():
        if label in by_label and label in chosen:
            raise UsageError(
                f"--label calls both {by_label[label]} and {method} '{label}'; choose two names"
            )
        by_label[label] = method


def _metric_names(ids: Sequence[str]) -> Iterator[str]:
    """Yield what a request may call metrics: id, label, and label in small letters."""
    for name in ids:
        facts = metric_facts(name)
        yield from (name, facts.id, facts.label, facts.label.lower())


def worded(plan: Plan) -> Plan:
    """Return a plan whose methods have the labels that its request chooses.

    Specs, and so all hashes, stay as they are.

    Raises:
        UsageError: a name is replaced that nothing of the plan has.
    """
    check_wording(plan)
    return _worded(plan)


def _worded(plan: Plan) -> Plan:
    runs = []
    for run in plan.runs:
        label = worded_label(plan.request, run.method.id, run.method.label)
        runs.append(replace(run, method=replace(run.method, shown_as=label)))
    return replace(plan, runs=tuple(runs), others=tuple(map(_worded, plan.others)))


def column_labels(plan: Plan) -> dict[str, str]:
    """Return the labels of all columns of a plan by name, those that are not shown too."""
    labels = {}
    for column in plan.columns:
        labels[column.name] = worded_column(plan.request, column).label
    return labels


def worded_label(request: RunRequest, method_id: str, label: str) -> str:
    """Return the label of a method."""
    return request.labels.get(method_id, request.labels.get(label, label))


def worded_column(request: RunRequest, column: Column) -> Column:
    """Return a column under its chosen label."""
    label = request.labels.get(column.name)
    if label is None:
        return column
    return column.model_copy(update={"label": label, "latex_label": None})


def worded_metric(request: RunRequest, facts: MetricFacts) -> MetricFacts:
    """Return a metric with its chosen label and digits."""
    label, decimals = facts.label, facts.decimals
    for name in _metric_names([facts.id]):
        label = request.labels.get(name, label)
        decimals = request.decimals.get(name, decimals)
    return replace(facts, label=label, decimals=decimals)
