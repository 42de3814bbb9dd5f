"""The probes of ``--probes``: routing, redundancy, prompt swaps, classifiers, other degradations.

docs/probes.md defines each quantity and its range. All are measured on the centre of test images.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.config.run_specs import TestSet
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.protocol import TestPairs
from harness.evaluation.probes.classifier import classifier_decisions
from harness.evaluation.probes.observe import Observed, ObservedColumn, Observer
from harness.evaluation.probes.out_of_distribution import ood_tasks
from harness.evaluation.probes.pairs import centre_of, ood_pair
from harness.evaluation.probes.prompt_swap import prompt_swap
from harness.evaluation.probes.routing import redundancy_at, routing_at

SIDE_PX = 192
"""The centre of each image is probed, of at most this side."""

MOST_IMAGES = 24
"""At most so many images of a column are probed."""


def analyse_prompts(
    observer: Observer,
    source: TestPairs,
    test: TestSet,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Return all probes of a prompted method on ``test`` as plain values.

    Args:
        observer: the method.
        source: makes the pairs of ``test``.
        test: columns and tasks.
        on_progress: receives how many images are probed, of how many.
    """
    columns = _observe_columns(observer, source, test)
    routing, redundancy = {}, {}
    for level in columns[0].levels:
        routing[level] = routing_at(level, columns)
        redundancy[level] = redundancy_at(level, observer.bank(level), columns)
    tasks = [task.name for task in test.tasks]
    result: dict[str, Any] = _plain(
        {
            "columns": [column.name for column in columns],
            "families": [column.family for column in columns],
            "images": {column.name: len(column.images) for column in columns},
            "input_db": [column.input_psnr_db for column in columns],
            "routing": routing,
            "redundancy": redundancy,
            "prompt_swap": prompt_swap(observer, columns, on_progress),
            "explicit": classifier_decisions(observer, columns, tasks),
            "out_of_distribution": _out_of_distribution(observer, test),
        }
    )
    return result


def _observe_columns(observer: Observer, source: TestPairs, test: TestSet) -> list[ObservedColumn]:
    """Observe the first images of each column that has any."""
    observed: dict[str, list[Observed]] = {}
    for name, image in source.names():
        images = observed.setdefault(name, [])
        if len(images) < MOST_IMAGES:
            images.append(observer.observe(centre_of(source.make(name, image), SIDE_PX)))
    family_of_task = {task.name: task.family for task in test.tasks}
    columns = []
    for column in test.columns:
        if column.name in observed:
            family = family_of_task[column.task]
            images = observed[column.name]
            columns.append(ObservedColumn(column.name, column.task, family, images))
    return columns


def _out_of_distribution(observer: Observer, test: TestSet) -> list[dict[str, Any]]:
    """Return how degradations are routed that the setting's training never showed.

    Only on photographs that are degraded here; not for a method that needs task labels.
    """
    if observer.needs_task_labels or not test.photographs:
        return []
    found = []
    for kind, task in ood_tasks(test.tasks):
        images = []
        for photograph in test.photographs:
            pair = ood_pair(test, task, photograph.name, SIDE_PX)
            images.append(observer.observe(pair))
        column = ObservedColumn(task.name, task.name, task.family, images)
        load = {level: column.expert_load(level).tolist() for level in column.levels}
        content = {
            "kind": kind,
            "name": task.name,
            "input_db": column.input_psnr_db,
            "restored_db": column.psnr_db,
            "expert_load": load,
        }
        found.append(content)
    return found


def _plain(value: Any) -> Any:
    """Round floats, and turn what is not finite into None, throughout nested values."""
    if isinstance(value, dict):
        return {key: _plain(of_key) for key, of_key in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 5) if np.isfinite(value) else None
    return value
