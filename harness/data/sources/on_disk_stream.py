"""The training stream from images on disk: a function of data, seed and step, as a twin's is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.config.errors import HarnessError
from harness.config.recipes import Optimisation
from harness.config.run_specs import OnDiskTrainingData, Stage, TrainingFiles
from harness.config.seeding import generator
from harness.config.settings import Task
from harness.data.images.arrays import Float
from harness.data.images.cache import DecodedImages
from harness.data.images.crops import crop_alike, to_unit
from harness.data.on_disk.layouts import PairFiles
from harness.data.on_disk.training_sets import TrainingPaths, is_noise, trained_on
from harness.data.sources.samples import Samples
from harness.data.sources.stream import sampled_tasks
from harness.data.synthetic.degrade import degrade


@dataclass(frozen=True, eq=False)
class OnDiskStream:
    """Makes any batch of a run on demand; picklable, so loader workers can hold it.

    A sample's set is drawn by its number of images times its repeats, as if the published list
    stood there, and the image evenly. Noise is added to the clean crop, at the task's level; all
    other degradations are those of the files.
    """

    images: DecodedImages
    data: OnDiskTrainingData
    files: TrainingPaths
    train: Optimisation
    seed: int
    stages: tuple[Stage, ...]
    views: int = 1

    def batch(self, step: int) -> Samples:
        """Return batch ``step`` (from 0).

        Raises:
            HarnessError: a file cannot be read, a pair differs in size, or is too small.
        """
        size = self.train.batch
        names = sampled_tasks(self, self.data.tasks, step)
        tasks = [next(t for t in self.data.tasks if t.name == name) for name in names]
        rngs = [generator("train", self.seed, step, slot) for slot in range(size)]
        pairs = [self._pair(task, rng) for task, rng in zip(tasks, rngs, strict=True)]
        degraded, clean = self._cut(pairs, tasks, rngs)
        second_view = None
        if self.views == 2:
            others = [generator("second-view", self.seed, step, slot) for slot in range(size)]
            second_view, _ = self._cut(pairs, tasks, others)
        return Samples(degraded, clean, tuple(names), step, second_view)

    def _pair(self, task: Task, rng: np.random.Generator) -> PairFiles:
        sets = [entry for entry in self.data.files if entry.family == task.family]
        weights = np.array([entry.repeat * len(self._trained[_key(entry)]) for entry in sets])
        chosen = sets[int(rng.choice(len(sets), p=weights / weights.sum()))]
        pairs = self._trained[_key(chosen)]
        return pairs[int(rng.integers(len(pairs)))]

    @functools.cached_property
    def _trained(self) -> dict[tuple[str, str | None], tuple[PairFiles, ...]]:
        return {
            _key(entry): trained_on(self.files[_key(entry)], entry.held_out)
            for entry in self.data.files
        }

    def _cut(
        self, pairs: Sequence[PairFiles], tasks: Sequence[Task], rngs: Sequence[np.random.Generator]
    ) -> tuple[Float, Float]:
        """Cut a patch of each pair, turn it, and add what is to be added; (degraded, clean)."""
        side, dihedral = self.train.patch_px, self.train.augmentation == "dihedral"
        degraded, clean = [], []
        for pair, task, rng in zip(pairs, tasks, rngs, strict=True):
            given = None if is_noise(task) else pair.degraded
            paths = [pair.clean] if given is None else [given, pair.clean]
            try:
                crops = crop_alike([self.images.read(p) for p in paths], side, rng, dihedral)
            except HarnessError as error:
                raise HarnessError(f"{paths[0]}: {error}") from error
            clean.append(to_unit(crops[-1:])[0])
            degraded.append(to_unit(crops[:1])[0])
            if given is None:
                rounding = self.data.preprocessing.noise_rounding
                degraded[-1] = degrade(clean[-1][None], task.degradation, [rng], rounding)[0]
        return np.stack(degraded), np.stack(clean)


def _key(entry: TrainingFiles) -> tuple[str, str | None]:
    return entry.set, entry.group
