"""The pairs that probes look at: the centre of an image, at most a given side of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.config.run_specs import TestSet
from harness.config.settings import Column, Task
from harness.data.sources.pairs import Pair, centre_crop, make_pair


def summary_pair(datasets: Path, test: TestSet, task: Task, photograph: str, side: int) -> Pair:
    """Degrade a test photograph as the test set's column of ``task`` does, in its first draw.

    A task that is trained and has no column is degraded under its own name.
    """
    column = None
    for shown in test.columns:
        if shown.task == task.name:
            column = shown
    if column is None:
        column = _own_column(task)
    image = f"{photograph}#0"
    return make_pair(datasets, "test", column, test.tasks, image, test.preprocessing, side)


def ood_pair(datasets: Path, test: TestSet, task: Task, photograph: str, side: int) -> Pair:
    """Degrade a test photograph by a task that does not belong to the setting."""
    column, image = _own_column(task), f"{photograph}#0"
    tasks: Sequence[Task] = (task,)
    return make_pair(datasets, "probe", column, tasks, image, test.preprocessing, side)


def centre_of(pair: Pair, side: int) -> Pair:
    """Return the centre of a pair, of at most ``side`` pixels."""
    return replace(
        pair,
        degraded=centre_crop(pair.degraded, 1, side),
        clean=centre_crop(pair.clean, 1, side),
    )


def _own_column(task: Task) -> Column:
    """Return a column that has the name of its task."""
    return Column(
        name=task.name, task=task.name, label=task.name, latex_label="", group="", draws=1
    )
