"""Pairs for validation: of photographs that training never sees, and that are never scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.crops import to_unit
from harness.data.decoded import DecodedImages
from harness.data.degradations import degrade
from harness.data.keys import generator
from harness.data.layouts import PairFiles
from harness.data.pairs import centre_crop
from harness.data.photographs import load
from harness.data.training_sets import TrainingPaths, is_noise
from harness.spec import RealTrainingData, Task, TrainingData

Float = NDArray[np.float32]

_SIDE_PX = 128
_CROPS = 24
_CROP_PX = 64


class ValidationPairs(Protocol):
    """Pairs by task; both degraded and clean are (N, 3, H, W) float32 in [0, 1]."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are trained, in the order of the card."""
        ...

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """Yield (degraded, clean), one image each: the centre 128 pixels of every image."""
        ...

    def crops(self, task: Task) -> Float:
        """Return 24 degraded crops of 64 pixels, for a classifier."""
        ...


@dataclass(frozen=True)
class TwinValidation:
    """Degrades the twin's validation photographs; keyed, so all methods see the same."""

    cards: Path
    data: TrainingData

    @property
    def tasks(self) -> tuple[Task, ...]:
        """See :class:`ValidationPairs`."""
        return self.data.tasks

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """See :class:`ValidationPairs`."""
        rule = self.data.preparation
        for photograph in self.data.validation:
            image = load(self.cards, photograph.name)
            clean = to_unit([centre_crop(image, rule.crop_multiple, _SIDE_PX)])
            rng = generator("validation", photograph.name, task.name)
            yield degrade(clean, task.degradation, [rng], rule.noise_rounding), clean

    def crops(self, task: Task) -> Float:
        """See :class:`ValidationPairs`."""
        rngs = [generator("validation-crop", task.name, k) for k in range(_CROPS)]
        clean = np.concatenate([self._crop(rng) for rng in rngs])
        return degrade(clean, task.degradation, rngs, self.data.preparation.noise_rounding)

    def _crop(self, rng: np.random.Generator) -> Float:
        chosen = self.data.validation[int(rng.integers(len(self.data.validation)))]
        image = load(self.cards, chosen.name)
        top, left = (int(rng.integers(n - _CROP_PX + 1)) for n in image.shape[:2])
        return to_unit([image[top : top + _CROP_PX, left : left + _CROP_PX]])


@dataclass(frozen=True)
class RealValidation:
    """Reads the pairs that are held out of training sets on disk."""

    images: DecodedImages
    data: RealTrainingData
    files: TrainingPaths

    @property
    def tasks(self) -> tuple[Task, ...]:
        """See :class:`ValidationPairs`."""
        return self.data.tasks

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """See :class:`ValidationPairs`."""
        multiple = self.data.preparation.crop_multiple
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
        return degrade(clean, task.degradation, rngs, self.data.preparation.noise_rounding)
