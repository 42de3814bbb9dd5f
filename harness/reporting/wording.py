"""Names and digits that a request chooses for tables, figures and reports instead of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.config.errors import UsageError, did_you_mean
from harness.config.settings import Column
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.plan import Plan
from harness.planning.request import RunRequest
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.columns import EXTRA_COLUMNS


def check_wording(plan: Plan) -> None:
    """Refuse a name that no table of the plan shows, before anything is computed.

    Raises:
        UsageError: names it, and the nearest that is shown; or two things of one kind that a
            chosen label would call alike.
    """
    metrics = list(_metric_names(plan.metrics))
    for name in plan.request.decimals:
        if name not in metrics:
            raise UsageError(f"--decimals {name} is no metric here; {did_you_mean(name, metrics)}")
    known = [*metrics, *(column.name for column in plan.columns)]
    for run in plan.runs:
        known += [run.method.id, run.method.label]
    for name in plan.request.labels:
        if name not in known:
            raise UsageError(
                f"--label {name} is no method, column or metric here; {did_you_mean(name, known)}"
            )
    for part in plan.by_protocol:
        for named in _named(part):
            _check_distinct(named)


@dataclass(frozen=True)
class _Named:
    """A method, column or metric: what it is called by itself, and what tables call it."""

    name: str
    own: str
    shown: str


def _named(plan: Plan) -> Iterator[list[_Named]]:
    """Yield all methods, all headings of columns, and all metrics of a plan's tables."""
    request = plan.request
    methods = {}
    for run in plan.runs:
        name, own = run.method.id, run.method.label
        methods[name] = _Named(name, own, worded_label(request, name, own))
    yield list(methods.values())
    columns = []
    for column in plan.shown_columns:
        shown = worded_column(request, column).label
        columns.append(_Named(column.name, column.label, shown))
    columns.append(_Named(f"the {AVERAGE}", AVERAGE_HEADING, AVERAGE_HEADING))
    for name in request.show:
        if name in EXTRA_COLUMNS:
            heading = EXTRA_COLUMNS[name].heading
            columns.append(_Named(name, heading, heading))
    yield columns
    metrics = []
    for facts in map(metric_facts, plan.metrics):
        metrics.append(_Named(facts.id, facts.label, worded_metric(request, facts).label))
    yield metrics


def _check_distinct(named: Sequence[_Named]) -> None:
    """Refuse one label for two of ``named``, unless both are called so by themselves."""
    by_label: dict[str, _Named] = {}
    for one in named:
        label = one.shown.strip()
        other = by_label.get(label)
        if other is not None and (one.shown != one.own or other.shown != other.own):
            raise UsageError(
                f"--label calls both {other.name} and {one.name} '{label}'; choose another text"
            )
        by_label[label] = one


def _metric_names(ids: Sequence[str]) -> Iterator[str]:
    """Yield what a request may call metrics: id, label, and label in small letters."""
    for name in ids:
        facts = metric_facts(name)
        yield from (name, facts.id, facts.label, facts.label.lower())


def worded(plan: Plan) -> Plan:
    """Return a plan whose methods have the labels that its request chooses.

    Methods whose own labels are the same are called by their ids, so that none takes another's
    place in a figure. Specs, and so all hashes, stay as they are.

    Raises:
        UsageError: a name is replaced that nothing of the plan has.
    """
    check_wording(plan)
    return _worded(plan)


def _worded(plan: Plan) -> Plan:
    labels = {}
    for run in plan.runs:
        labels[run.method.id] = worded_label(plan.request, run.method.id, run.method.label)
    methods_of = Counter(labels.values())
    runs = []
    for run in plan.runs:
        label = labels[run.method.id]
        if methods_of[label] > 1:
            label = run.method.id
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
