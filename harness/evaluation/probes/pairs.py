"""The pairs that probes look at: the centre of an image, at most a given side of it."""

from __future__ import annotations

from dataclasses import replace

from harness.config.run_specs import TestSet
from harness.config.settings import Column, Task
from harness.data.images.crops import centre_crop
from harness.data.sources.pairs import ImagePairs
from harness.data.sources.protocol import TestPairs
from harness.data.sources.samples import Pair
from harness.data.sources.synthetic import make_pair


def summary_pair(test: TestSet, task: Task, photograph: str, side: int) -> Pair:
    """Degrade a test photograph as the test set's column of ``task`` does, in its first draw.

    A task that is trained and has no column is degraded under its own name.
    """
    column = _own_column(task)
    for shown in test.columns:
        if shown.task == task.name:
            column = shown
    centred = test.model_copy(update={"centre_px": side})
    return make_pair(centred, column, f"{photograph}#0")


def ood_pair(source: TestPairs, test: TestSet, task: Task, image: str, side: int) -> Pair:
    """Degrade a clean test image by a task that does not belong to the setting.

    Args:
        source: makes the pairs of ``test``, and reads the clean images of a folder.
        test: its photographs, or the clean images of its folder, are degraded.
        task: the degradation.
        image: name of a photograph, or of an image of the folder.
        side: the centre that is degraded, in pixels.
    """
    column = _own_column(task)
    changes = {"tasks": (task,), "columns": (column,), "centre_px": side}
    centred = test.model_copy(update=changes)
    if isinstance(source, ImagePairs) and test.folder is not None:
        return replace(source, test=centred, split="probe").make(column.name, image)
    return make_pair(centred, column, f"{image}#0", split="probe")


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
