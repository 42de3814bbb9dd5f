"""Pairs for validation: of photographs that training never sees, and that are never scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.config.run_specs import OnDiskTrainingData, SyntheticTrainingData
from harness.config.seeding import generator
from harness.config.settings import Task
from harness.data.images.arrays import Float
from harness.data.images.cache import DecodedImages
from harness.data.images.crops import to_unit
from harness.data.on_disk.layouts import PairFiles
from harness.data.on_disk.training_sets import TrainingPaths, is_noise
from harness.data.sources.pairs import centre_crop
from harness.data.synthetic.degrade import degrade
from harness.data.synthetic.photographs import load

_SIDE_PX = 128
_CROPS = 24
_CROP_PX = 64


@dataclass(frozen=True)
class SyntheticValidation:
    """Degrades the twin's validation photographs; keyed, so all methods see the same."""

    cards: Path
    data: SyntheticTrainingData

    @property
    def tasks(self) -> tuple[Task, ...]:
        """See :class:`ValidationPairs`."""
        return self.data.tasks

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """See :class:`ValidationPairs`."""
        rule = self.data.preprocessing
        for photograph in self.data.validation:
            image = load(self.cards, photograph.name)
            clean = to_unit([centre_crop(image, rule.crop_multiple, _SIDE_PX)])
            rng = generator("validation", photograph.name, task.name)
            yield degrade(clean, task.degradation, [rng], rule.noise_rounding), clean

    def crops(self, task: Task) -> Float:
        """See :class:`ValidationPairs`."""
        rngs = [generator("validation-crop", task.name, k) for k in range(_CROPS)]
        clean = np.concatenate([self._crop(rng) for rng in rngs])
        return degrade(clean, task.degradation, rngs, self.data.preprocessing.noise_rounding)

    def _crop(self, rng: np.random.Generator) -> Float:
        chosen = self.data.validation[int(rng.integers(len(self.data.validation)))]
        image = load(self.cards, chosen.name)
        top, left = (int(rng.integers(n - _CROP_PX + 1)) for n in image.shape[:2])
        return to_unit([image[top : top + _CROP_PX, left : left + _CROP_PX]])


@dataclass(frozen=True)
class OnDiskValidation:
    """Reads the pairs that are held out of training sets on disk."""

    images: DecodedImages
    data: OnDiskTrainingData
    files: TrainingPaths

    @property
    def tasks(self) -> tuple[Task, ...]:
        """See :class:`ValidationPairs`."""
        return self.data.tasks

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """See :class:`ValidationPairs`."""
        multiple = self.data.preprocessing.crop_multiple
        for pair in self._held_out(task):
            rng = generator("validation", pair.image, task.name)
            clean = to_unit([centre_crop(self.images.read(pair.clean), multiple, _SIDE_PX)])
            if is_noise(task) or pair.degraded is None:
                yield self._noisy(clean, task, [rng]), clean
            else:
                given = self.images.read(pair.degraded)
                yield to_unit([centre_crop(given, multiple, _SIDE_PX)]), clean

    def crops(self, task: Task) -> Float:
        """See :class:`ValidationPairs`."""
        held_out, crops = self._held_out(task), []
        for k in range(_CROPS):
            rng = generator("validation-crop", task.name, k)
            pair = held_out[int(rng.integers(len(held_out)))]
            given = None if is_noise(task) else pair.degraded
            image = self.images.read(given or pair.clean)
            top, left = (int(rng.integers(n - _CROP_PX + 1)) for n in image.shape[:2])
            crop = to_unit([image[top : top + _CROP_PX, left : left + _CROP_PX]])
            crops.append(self._noisy(crop, task, [rng]) if given is None else crop)
        return np.concatenate(crops)

    def _held_out(self, task: Task) -> list[PairFiles]:
        return [
            pair
            for entry in self.data.files
            if entry.family == task.family
            for pair in self.files[entry.set, entry.group]
            if pair.image in entry.held_out
        ]

    def _noisy(self, clean: Float, task: Task, rngs: list[np.random.Generator]) -> Float:
        return degrade(clean, task.degradation, rngs, self.data.preprocessing.noise_rounding)
