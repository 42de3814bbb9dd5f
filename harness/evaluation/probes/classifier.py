"""The predictions of a classifier that chooses the prompts, and their effect on restoration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.evaluation.probes.observe import ObservedColumn, Observer


def classifier_decisions(
    observer: Observer, columns: Sequence[ObservedColumn], tasks: Sequence[str]
) -> dict[str, Any] | None:
    """Return predictions and PSNR by column; None where no classifier chooses the prompt.

    ``psnr_db`` has, per column, the images that were recognised, those that were not, and the
    latter as they would have been under the prompt of their true task.

    Args:
        observer: the method.
        columns: its observed images.
        tasks: all tasks, in the order of the classifier's outputs.
    """
    if observer.needs_task_labels:
        return None
    confusion, values = {}, {}
    for column in columns:
        predicted = [image.chosen for image in column.images]
        if None in predicted:
            return None
        confusion[column.name] = [predicted.count(task) for task in range(len(tasks))]
        values[column.name] = _psnr_by_decision(observer, column, tasks.index(column.task))
    return {"tasks": list(tasks), "confusion": confusion, "psnr_db": values}


def _psnr_by_decision(
    observer: Observer, column: ObservedColumn, truth: int
) -> dict[str, float | None]:
    right, wrong, corrected = [], [], []
    for image in column.images:
        if image.chosen == truth:
            right.append(image.psnr_db)
        else:
            wrong.append(image.psnr_db)
            corrected += observer.psnr_under(image.pair, [image.one_hot(truth)])
    return {
        "right": _mean(right),
        "wrong": _mean(wrong),
        "wrong_with_true_task": _mean(corrected),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
