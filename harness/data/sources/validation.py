"""Pairs for validation: of images that are neither trained on nor scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.config.run_specs import OnDiskTrainingData, SyntheticTrainingData
from harness.config.seeding import generator
from harness.config.settings import Task
from harness.data.images.arrays import Float, Image8
from harness.data.images.crops import centre_crop, to_unit
from harness.data.sources.originals import Original, TrainingImages
from harness.data.synthetic.degrade import degrade

_SIDE_PX = 128
_CROPS = 24
_CROP_PX = 64


@dataclass(frozen=True)
class HeldOutPairs:
    """The images that a source holds out, degraded by keys, so that all methods use the same."""

    images: TrainingImages
    data: SyntheticTrainingData | OnDiskTrainingData

    @property
    def tasks(self) -> tuple[Task, ...]:
        """See :class:`ValidationPairs`."""
        return self.data.tasks

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """See :class:`ValidationPairs`."""
        for original in self.images.held_out(task):
            clean = self._centre(original.clean)
            if original.degraded is None:
                rng = generator("validation", *original.key, task.name)
                yield self._degraded(clean, task, rng), clean
            else:
                yield self._centre(original.degraded), clean

    def crops(self, task: Task) -> Float:
        """See :class:`ValidationPairs`."""
        originals = self.images.held_out(task)
        side = min([_CROP_PX, *(min(original.clean.shape[:2]) for original in originals)])
        crops: list[Float] = []
        for number in range(_CROPS):
            rng = generator("validation-crop", task.name, number)
            original = originals[int(rng.integers(len(originals)))]
            crops.append(self._crop(original, task, side, rng))
        return np.concatenate(crops)

    def _crop(self, original: Original, task: Task, side: int, rng: np.random.Generator) -> Float:
        image = original.clean if original.degraded is None else original.degraded
        height, width = image.shape[:2]
        top = int(rng.integers(height - side + 1))
        left = int(rng.integers(width - side + 1))
        crop = to_unit([image[top : top + side, left : left + side]])
        return self._degraded(crop, task, rng) if original.degraded is None else crop

    def _centre(self, image: Image8) -> Float:
        return to_unit([centre_crop(image, self.data.preprocessing.crop_multiple, _SIDE_PX)])

    def _degraded(self, clean: Float, task: Task, rng: np.random.Generator) -> Float:
        rounding = self.data.preprocessing.noise_rounding
        return degrade(clean, task.degradation, [rng], rounding)
