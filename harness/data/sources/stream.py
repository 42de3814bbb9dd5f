"""The training stream: batch ``step`` is a function of data, seed and step alone.

So a resumed run sees what an uninterrupted one sees, with any number of loader workers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.config.recipes import Optimisation
from harness.config.run_specs import PlacedStage, Stage, SyntheticTrainingData, stage_at
from harness.config.seeding import generator
from harness.config.settings import DeadLeavesSpec, Task
from harness.data.images.arrays import Float, Image8
from harness.data.images.crops import crop_alike, to_unit
from harness.data.sources.protocol import TrainingStream
from harness.data.sources.samples import Samples
from harness.data.synthetic.dead_leaves import canvas
from harness.data.synthetic.degrade import degrade
from harness.data.synthetic.photographs import load

_CANVASES_AT_ONCE = 8
"""Dead-leaves images that consecutive samples are drawn from, so that a batch is varied."""


def sampled_tasks(stream: TrainingStream, tasks: Sequence[Task], step: int) -> list[str]:
    """Choose the tasks of a batch among those of its stage: in turn, reshuffled, or by shares."""
    train, placed = stream.train, stage_at(stream.stages, step)
    of_stage = [task for task in tasks if task.name in placed.stage.tasks]
    return [_task(stream, of_stage, placed, step, slot) for slot in range(train.batch)]


def _task(
    stream: TrainingStream, tasks: Sequence[Task], placed: PlacedStage, step: int, slot: int
) -> str:
    batch = stream.train.batch
    if stream.train.task_sampling == "balanced":
        index = (step - placed.first_step) * batch + slot
        turn, place = divmod(index, len(tasks))
        later = [placed.number] if placed.number else []
        order = generator("task-order", stream.seed, turn, *later).permutation(len(tasks))
        return tasks[int(order[place])].name
    shares = np.array([task.share for task in tasks])
    rng = generator("task-share", stream.seed, step * batch + slot)
    return tasks[int(rng.choice(len(tasks), p=shares / shares.sum()))].name


@dataclass(frozen=True)
class SyntheticStream:
    """Makes any batch of a run on demand; picklable, so loader workers can hold it.

    ``cards`` is the folder of cards, which names the files of the photographs.
    """

    cards: Path
    data: SyntheticTrainingData
    train: Optimisation
    seed: int
    stages: tuple[Stage, ...]
    views: int = 1

    def batch(self, step: int) -> Samples:
        """Return batch ``step`` (from 0)."""
        size = self.train.batch
        names = sampled_tasks(self, self.data.tasks, step)
        rngs = [generator("train", self.seed, step, slot) for slot in range(size)]
        images = [self._image(step * size + slot, rng) for slot, rng in enumerate(rngs)]
        clean, degraded = self._cut(images, names, rngs)
        second_view = None
        if self.views == 2:
            others = [generator("second-view", self.seed, step, slot) for slot in range(size)]
            _, second_view = self._cut(images, names, others)
        return Samples(degraded, clean, tuple(names), step, second_view)

    def _cut(
        self, images: Sequence[Image8], names: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> tuple[Float, Float]:
        """Cut a patch of each image, turn and degrade it; return (clean, degraded)."""
        side, dihedral = self.train.patch_px, self.train.augmentation == "dihedral"
        clean = to_unit(
            [
                crop_alike([image], side, rng, dihedral)[0]
                for image, rng in zip(images, rngs, strict=True)
            ]
        )
        degraded = np.empty_like(clean)
        for task in self.data.tasks:
            slots = [slot for slot, name in enumerate(names) if name == task.name]
            if slots:
                degraded[slots] = degrade(
                    clean[slots],
                    task.degradation,
                    [rngs[slot] for slot in slots],
                    self.data.preprocessing.noise_rounding,
                )
        return clean, degraded

    def _image(self, index: int, rng: np.random.Generator) -> Image8:
        """Choose a photograph or a dead-leaves image."""
        if rng.random() < self.data.dead_leaves_share:
            spec = self.data.dead_leaves
            window = index // (spec.crops_per_canvas * _CANVASES_AT_ONCE)
            number = window * _CANVASES_AT_ONCE + int(rng.integers(_CANVASES_AT_ONCE))
            names = tuple(photograph.name for photograph in self.data.train)
            return _canvas(self.cards, spec, names, self.seed, number)
        chosen = self.data.train[int(rng.integers(len(self.data.train)))]
        return load(self.cards, chosen.name)


@functools.lru_cache(maxsize=2 * _CANVASES_AT_ONCE)
def _canvas(
    cards: Path, spec: DeadLeavesSpec, names: tuple[str, ...], seed: int, number: int
) -> Image8:
    photographs = [load(cards, name) for name in names]
    return canvas(spec, photographs, generator("leaves", seed, number))
