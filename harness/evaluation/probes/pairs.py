"""The pairs that probes look at: the centre of an image, at most a given side of it."""

from __future__ import annotations

from dataclasses import replace

from harness.config.run_specs import TestSet
from harness.config.settings import Column, Task
from harness.data.images.crops import centre_crop
from harness.data.sources.pairs import ImagePairs
from harness.data.sources.protocol import TestPairs
from harness.data.sources.samples import Pair
from harness.data.sources.synthetic import photograph_pairs

MOST_CLEAN_IMAGES = 10
"""Images of a folder that probes degrade in ways of their own."""


def clean_images(test: TestSet) -> list[str]:
    """Return the clean images that probes degrade: all photographs, or the first of a folder.

    Degraded images that come from files have none.
    """
    if test.folder is not None:
        return list(test.folder.images[:MOST_CLEAN_IMAGES])
    return [photograph.name for photograph in test.photographs]


def summary_pair(source: TestPairs, test: TestSet, task: Task, image: str, side: int) -> Pair:
    """Degrade a clean test image as the test set's column of ``task`` does, in its first draw.

    A task that is trained and has no column is degraded under its own name.
    """
    column = _own_column(task)
    for shown in test.columns:
        if shown.task == task.name:
            column = shown
    return _degraded(source, _one_column(test, task, column, side), image, "test")


def ood_pair(source: TestPairs, test: TestSet, task: Task, image: str, side: int) -> Pair:
    """Degrade a clean test image by a task that does not belong to the setting.

    Args:
        source: makes the pairs of ``test``, and reads the clean images of a folder.
        test: its photographs, or the clean images of its folder, are degraded.
        task: the degradation.
        image: one of :func:`clean_images`.
        side: the centre that is degraded, in pixels.
    """
    one = _one_column(test, task, _own_column(task), side)
    return _degraded(source, one, image, "probe")


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


def _degraded(source: TestPairs, one: TestSet, image: str, split: str) -> Pair:
    """Degrade the centre of a clean image as the one column of ``one`` says."""
    (column,) = one.columns
    if isinstance(source, ImagePairs) and one.folder is not None:
        return replace(source, test=one, split=split).make(column.name, image)
    return photograph_pairs(one, split).make(column.name, f"{image}#0")


def _one_column(test: TestSet, task: Task, column: Column, side: int) -> TestSet:
    """Return a test set with a single column, of whose images the centre is taken."""
    changes = {"tasks": (task,), "columns": (column,), "centre_px": side}
    return test.model_copy(update=changes)
