"""Synthetic training images: clean ones, and dead-leaves images drawn with their colours."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from harness.config.run_specs import SyntheticTrainingData
from harness.config.seeding import generator
from harness.config.settings import DeadLeavesSpec, Task
from harness.data.images.arrays import Image8
from harness.data.sources.clean_images import CleanReader
from harness.data.sources.originals import Original
from harness.data.synthetic import dead_leaves
from harness.data.synthetic.photographs import load

_CANVASES_AT_ONCE = 8
"""Dead-leaves images that consecutive samples are drawn from, so that a batch is varied."""


@dataclass(frozen=True)
class SyntheticTrainingImages:
    """Clean images and dead-leaves images to train on, and clean images to validate on."""

    data: SyntheticTrainingData
    seed: int
    train: CleanReader
    held: CleanReader

    def choose(self, task: Task, index: int, rng: np.random.Generator) -> Original:
        """See :class:`TrainingImages`; consecutive samples share a few dead-leaves images."""
        spec = self.data.dead_leaves
        if rng.random() < self.data.dead_leaves_share and spec is not None:
            window = index // (spec.crops_per_canvas * _CANVASES_AT_ONCE)
            number = window * _CANVASES_AT_ONCE + int(rng.integers(_CANVASES_AT_ONCE))
            image = _dead_leaves(spec, self.train.names, self.seed, number)
            return Original(("dead-leaves", number), "a dead-leaves image", image)
        names = self.train.names
        return self.train.read(names[int(rng.integers(len(names)))])

    def version(self, original: Original, task: Task) -> Original:
        """See :class:`TrainingImages`; every image is degraded here."""
        return original

    def held_out(self, task: Task) -> list[Original]:
        """See :class:`TrainingImages`."""
        return [self.held.read(name) for name in self.held.names]


@functools.lru_cache(maxsize=2 * _CANVASES_AT_ONCE)
def _dead_leaves(spec: DeadLeavesSpec, names: tuple[str, ...], seed: int, number: int) -> Image8:
    photographs = [load(name) for name in names]
    return dead_leaves.canvas(spec, photographs, generator("leaves", seed, number))
