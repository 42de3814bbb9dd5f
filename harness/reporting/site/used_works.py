"""What a plan used that somebody published: methods, data sets, metrics and the setting."""

from __future__ import annotations

from collections.abc import Sequence

from harness.config.files import load_data_set
from harness.config.run_specs import OnDiskTrainingData
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan
from harness.published.works import Work

_PARTS = "+"
"""Between the names of a host and of what was added to it."""

_BASIC_METRICS = ("psnr",)
"""Metrics that nobody is cited for."""


def used_works(plan: Plan, works: Sequence[Work]) -> tuple[list[Work], list[str]]:
    """Return the works that a plan used, and what it used that no work is known of."""
    by_name: dict[str, list[Work]] = {}
    for work in works:
        for name in work.names:
            by_name.setdefault(name, []).append(work)
    found: dict[str, Work] = {}
    without: list[str] = []
    for name, label in used_names(plan).items():
        known = by_name.get(name, [])
        if not known:
            without.append(label)
        for work in known:
            found[work.key] = work
    return list(found.values()), without


def used_names(plan: Plan) -> dict[str, str]:
    """Return the names of what a plan used, as ``method:cpl``, each with its words."""
    names: dict[str, str] = {f"setting:{plan.setting.name}": f"setting {plan.setting.name}"}
    for run in plan.all_runs:
        if run.method.spec.is_input:
            continue
        for part in run.method.spec.name.split(_PARTS):
            names[f"method:{part}"] = f"method {run.method.label}"
    if plan.source.name != "synthetic":
        for name in _data_sets(plan):
            names[f"set:{name}"] = f"data set {load_data_set(name).label}"
    for metric in plan.metrics:
        family = metric.removeprefix("pyiqa:").partition("_")[0]
        if family not in _BASIC_METRICS:
            names[f"metric:{family}"] = f"metric {metric_facts(metric).label}"
    return names


def _data_sets(plan: Plan) -> list[str]:
    shown = {column.name for column in plan.shown_columns}
    names = [files.set for files in plan.test.files if files.column in shown]
    for run in plan.runs:
        if isinstance(run.train.data, OnDiskTrainingData):
            names += [files.set for files in run.train.data.files]
    return list(dict.fromkeys(names))
