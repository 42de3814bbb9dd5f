"""The training stream: batch ``step`` is a function of data, seed and step alone.

So a resumed run sees what an uninterrupted one sees, with any number of loader workers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.crops import crop_alike, to_unit
from harness.data.degradations import degrade
from harness.data.keys import generator
from harness.data.leaves import canvas
from harness.data.photographs import Image8, load
from harness.spec import LeavesSpec, Optimisation, TrainingData

Float = NDArray[np.float32]

_CANVASES_AT_ONCE = 8
"""Dead-leaves images that consecutive samples are drawn from, so that a batch is varied."""


@dataclass(frozen=True)
class Samples:
    """A batch as arrays: (N, 3, H, W) float32 in [0, 1], N task names, and the step."""

    degraded: Float
    clean: Float
    tasks: tuple[str, ...]
    step: int


@dataclass(frozen=True)
class TrainingStream:
    """Makes any batch of a run on demand; picklable, so loader workers can hold it.

    ``cards`` is the folder of cards, which names the files of the photographs.
    """

    cards: Path
    data: TrainingData
    train: Optimisation
    seed: int

    def batch(self, step: int) -> Samples:
        """Return batch ``step`` (from 0)."""
        size, side = self.train.batch, self.train.patch_px
        names = [self._task(step * size + slot) for slot in range(size)]
        rngs = [generator("train", self.seed, step, slot) for slot in range(size)]
        clean = to_unit([self._crop(step * size + slot, rng) for slot, rng in enumerate(rngs)])
        degraded = np.empty((size, 3, side, side), dtype=np.float32)
        for task in self.data.tasks:
            slots = [slot for slot, name in enumerate(names) if name == task.name]
            if slots:
                degraded[slots] = degrade(
                    clean[slots],
                    task.degradation,
                    [rngs[slot] for slot in slots],
                    self.data.preparation.noise_rounding,
                )
        return Samples(degraded=degraded, clean=clean, tasks=tuple(names), step=step)

    def _task(self, index: int) -> str:
        """Choose the task of the run's sample ``index``: in turn, reshuffled, or by shares."""
        tasks = self.data.tasks
        if self.train.task_sampling == "balanced":
            turn, place = divmod(index, len(tasks))
            order = generator("task-order", self.seed, turn).permutation(len(tasks))
            return tasks[int(order[place])].name
        shares = np.array([task.share for task in tasks])
        rng = generator("task-share", self.seed, index)
        return tasks[int(rng.choice(len(tasks), p=shares / shares.sum()))].name

    def _crop(self, index: int, rng: np.random.Generator) -> Image8:
        """Cut and turn a patch of a photograph or of a dead-leaves image."""
        if rng.random() < self.data.leaves_share:
            spec = self.data.leaves
            window = index // (spec.crops_per_canvas * _CANVASES_AT_ONCE)
            number = window * _CANVASES_AT_ONCE + int(rng.integers(_CANVASES_AT_ONCE))
            names = tuple(photograph.name for photograph in self.data.train)
            image = _canvas(self.cards, spec, names, self.seed, number)
        else:
            chosen = self.data.train[int(rng.integers(len(self.data.train)))]
            image = load(self.cards, chosen.name)
        dihedral = self.train.augmentation == "dihedral"
        return crop_alike([image], self.train.patch_px, rng, dihedral)[0]


@functools.lru_cache(maxsize=2 * _CANVASES_AT_ONCE)
def _canvas(
    cards: Path, spec: LeavesSpec, names: tuple[str, ...], seed: int, number: int
) -> Image8:
    photographs = [load(cards, name) for name in names]
    return canvas(spec, photographs, generator("leaves", seed, number))
