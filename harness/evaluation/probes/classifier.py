"""The predictions of a classifier that chooses the prompts, and their effect on restoration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.evaluation.probes.observe import ByColumn, Observed, Observer


def classifier_decisions(
    observer: Observer, observed: ByColumn, tasks: Sequence[str], truths: Sequence[str]
) -> dict[str, Any] | None:
    """Return predictions and PSNR by column; None where no classifier chooses the prompt.

    ``psnr_db`` has, per column, the images that were recognised, those that were not, and the
    latter as they would have been under the prompt of their true task.

    Args:
        observer: the method.
        observed: images by column.
        tasks: all tasks, in the order of the classifier's outputs.
        truths: the true task of each column.
    """
    if observer.needs_task_labels or not _all_chosen(observed):
        return None
    confusion, values = {}, {}
    for (column, images), truth in zip(observed.items(), truths, strict=True):
        predicted = [image.chosen for image in images]
        confusion[column] = [predicted.count(task) for task in range(len(tasks))]
        values[column] = _psnr_by_decision(observer, images, tasks.index(truth))
    return {"tasks": list(tasks), "confusion": confusion, "psnr_db": values}


def _psnr_by_decision(
    observer: Observer, images: Sequence[Observed], truth: int
) -> dict[str, float | None]:
    right, wrong, corrected = [], [], []
    for image in images:
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


def _all_chosen(observed: ByColumn) -> bool:
    """Return whether something other than a router chose the prompt of every image."""
    chosen: list[int | None] = []
    for images in observed.values():
        chosen += [image.chosen for image in images]
    return None not in chosen


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
