"""Test pairs of any source, made one at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.config.run_specs import TestSet
from harness.config.seeding import generator
from harness.config.settings import Task
from harness.data.images.arrays import Float, Image8
from harness.data.images.crops import centre_crop, to_unit
from harness.data.on_disk.clean_names import clean_names
from harness.data.sources.originals import TestImages
from harness.data.sources.samples import Pair
from harness.data.synthetic.degrade import degrade


@dataclass(frozen=True)
class ImagePairs:
    """Crops the images of a test set and degrades those that no file has degraded.

    Attributes:
        images: what the pairs are made of.
        test: columns, tasks and preprocessing.
        split: first part of the key that degradations are drawn by.
    """

    images: TestImages
    test: TestSet
    split: str = "test"

    def data_set(self, column: str) -> str:
        """See :class:`TestPairs`."""
        return self.images.data_set(column)

    def names(self) -> Iterator[tuple[str, str]]:
        """See :class:`TestPairs`."""
        for column, images in self.test.images_by_column().items():
            for image in images:
                yield column, image

    def make(self, column: str, image: str) -> Pair:
        """Make a pair; its degradation is keyed by preprocessing, column and image.

        Raises:
            HarnessError: a file cannot be read, the two of a pair differ in size, or one has no
                degraded version and it cannot be made.
        """
        task, rule = self._task(column), self.test.preprocessing
        original = self.images.read(column, image)
        clean = self._cut(original.clean)
        if original.degraded is None:
            rng = generator(self.split, rule.id, column, *original.key)
            degraded = degrade(clean, task.degradation, [rng], rule.noise_rounding)
        else:
            degraded = self._cut(original.degraded)
        return Pair(
            column=column,
            task=task.name,
            image=image,
            photograph=self._clean_names.get((column, image), str(original.key[0])),
            degraded=_channels_last(degraded),
            clean=_channels_last(clean),
        )

    @functools.cached_property
    def _clean_names(self) -> dict[tuple[str, str], str]:
        return clean_names(self.test)

    def _task(self, column: str) -> Task:
        name = next(entry.task for entry in self.test.columns if entry.name == column)
        return next(task for task in self.test.tasks if task.name == name)

    def _cut(self, image: Image8) -> Float:
        multiple, side = self.test.preprocessing.crop_multiple, self.test.centre_px
        return to_unit([centre_crop(image, multiple, side)])


def _channels_last(batch: Float) -> Float:
    """Return the one image of a (1, 3, H, W) batch as contiguous (H, W, 3)."""
    return np.ascontiguousarray(batch[0].transpose(1, 2, 0))
