"""The probes of ``--probes``: routing, redundancy, prompt swaps, classifiers, other degradations.

docs/probes.md defines each quantity and its range. All are measured on the centre of test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.run_specs import TestSet
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.protocol import TestPairs
from harness.evaluation.probes.classifier import classifier_decisions
from harness.evaluation.probes.observe import Observed, Observer
from harness.evaluation.probes.out_of_distribution import ood_tasks
from harness.evaluation.probes.pairs import centre_of, ood_pair
from harness.evaluation.probes.prompt_swap import prompt_swap
from harness.evaluation.probes.routing import redundancy_at, routing_at, weight_shares

SIDE_PX = 192
"""The centre of each image is probed, of at most this side."""

MOST_IMAGES = 24
"""At most so many images of a column are probed."""


def analyse_prompts(
    observer: Observer,
    source: TestPairs,
    test: TestSet,
    datasets: Path,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Return all probes of a prompted method on ``test`` as plain values.

    Args:
        observer: the method.
        source: makes the pairs of ``test``.
        test: columns and tasks.
        datasets: folder of the YAML files that name the photographs.
        on_progress: receives how many images are probed, of how many.
    """
    observed = _observe_columns(observer, source, test)
    truths = _tasks_of(test, list(observed))
    family_of_task = {task.name: task.family for task in test.tasks}
    families = [family_of_task[task] for task in truths]
    levels = list(next(iter(observed.values()))[0].weights)
    routing, redundancy = {}, {}
    for level in levels:
        routing[level] = routing_at(level, observed, families)
        redundancy[level] = redundancy_at(level, observer.bank(level), observed, families)
    tasks = list(family_of_task)
    result: dict[str, Any] = _plain(
        {
            "columns": list(observed),
            "families": families,
            "images": {column: len(images) for column, images in observed.items()},
            "input_db": [_mean_input_db(images) for images in observed.values()],
            "routing": routing,
            "redundancy": redundancy,
            "prompt_swap": prompt_swap(observer, observed, families, on_progress),
            "explicit": classifier_decisions(observer, observed, tasks, truths),
            "out_of_distribution": _out_of_distribution(observer, test, datasets),
        }
    )
    return result


def _observe_columns(
    observer: Observer, source: TestPairs, test: TestSet
) -> dict[str, list[Observed]]:
    """Observe the first images of each column that has any."""
    names: dict[str, list[str]] = {column.name: [] for column in test.columns}
    for column, image in source.names():
        if len(names[column]) < MOST_IMAGES:
            names[column].append(image)
    observed: dict[str, list[Observed]] = {}
    for column, images in names.items():
        for image in images:
            pair = centre_of(source.make(column, image), SIDE_PX)
            observed.setdefault(column, []).append(observer.observe(pair))
    return observed


def _tasks_of(test: TestSet, columns: Sequence[str]) -> list[str]:
    """Return the task of each column."""
    task_of_column = {column.name: column.task for column in test.columns}
    return [task_of_column[column] for column in columns]


def _out_of_distribution(observer: Observer, test: TestSet, datasets: Path) -> list[dict[str, Any]]:
    """Return how degradations are routed that the setting's training never showed.

    Only on photographs that are degraded here; not for a method that needs task labels.
    """
    if observer.needs_task_labels or not test.photographs:
        return []
    found = []
    for kind, task in ood_tasks(test.tasks):
        images = []
        for photograph in test.photographs:
            pair = ood_pair(datasets, test, task, photograph.name, SIDE_PX)
            images.append(observer.observe(pair))
        load = {}
        for level in images[0].weights:
            load[level] = weight_shares(images, level).mean(axis=0).tolist()
        content = {
            "kind": kind,
            "name": task.name,
            "input_db": _mean_input_db(images),
            "restored_db": float(np.mean([image.psnr_db for image in images])),
            "expert_load": load,
        }
        found.append(content)
    return found


def _mean_input_db(images: Sequence[Observed]) -> float:
    return float(np.mean([image.input_psnr_db for image in images]))


def _plain(value: Any) -> Any:
    """Round floats, and turn NaN into None, throughout nested values."""
    if isinstance(value, dict):
        return {key: _plain(of_key) for key, of_key in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 5)
    return value
