"""The training stream: batch ``step`` is a function of data, seed and step alone.

So a resumed run sees what an uninterrupted one sees, with any number of loader workers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
        clean = np.stack(
            [self._crop(step * size + slot, rng) for slot, rng in enumerate(rngs)]
        ).astype(np.float32) / np.float32(255)
        clean = np.ascontiguousarray(clean.transpose(0, 3, 1, 2))
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
        side = self.train.patch_px
        if rng.random() < self.data.leaves_share:
            spec = self.data.leaves
            window = index // (spec.crops_per_canvas * _CANVASES_AT_ONCE)
            number = window * _CANVASES_AT_ONCE + int(rng.integers(_CANVASES_AT_ONCE))
            names = tuple(photograph.name for photograph in self.data.train)
            image = _canvas(self.cards, spec, names, self.seed, number)
        else:
            chosen = self.data.train[int(rng.integers(len(self.data.train)))]
            image = load(self.cards, chosen.name)
        top = int(rng.integers(image.shape[0] - side + 1))
        left = int(rng.integers(image.shape[1] - side + 1))
        mode = int(rng.integers(0 if self.train.augmentation == "dihedral" else 1, 8))
        return turn(image[top : top + side, left : left + side], mode)


def turn(image: Image8, mode: int) -> Image8:
    """Apply one of the eight symmetries of the square to (H, W, C).

    Numbered as in the published code (PromptIR, utils/image_utils.py): ``mode // 2`` quarter
    turns, then upside down for odd modes; 0 is the identity.
    """
    turned = np.rot90(image, mode // 2)
    return np.flipud(turned) if mode % 2 else turned


@functools.lru_cache(maxsize=2 * _CANVASES_AT_ONCE)
def _canvas(
    cards: Path, spec: LeavesSpec, names: tuple[str, ...], seed: int, number: int
) -> Image8:
    photographs = [load(cards, name) for name in names]
    return canvas(spec, photographs, generator("leaves", seed, number))
