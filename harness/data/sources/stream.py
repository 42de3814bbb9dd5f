"""The training stream: batch ``step`` is a function of data, seed and step alone.

So a resumed run uses the same batches as an uninterrupted one, with any number of loader workers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.config.errors import HarnessError
from harness.config.recipes import Optimisation
from harness.config.run_specs import PlacedStage, Stage, TrainSpec, stage_at
from harness.config.seeding import generator
from harness.config.settings import Task
from harness.data.images.arrays import Float, Image8
from harness.data.images.crops import crop_alike, to_unit
from harness.data.sources.originals import Original, TrainingImages
from harness.data.sources.samples import Samples
from harness.data.synthetic.degrade import degrade


@dataclass(frozen=True, eq=False)
class CropStream:
    """Cuts, turns and degrades crops of the images that a source chooses.

    It makes any batch of a run on demand and can be pickled, so loader workers can hold it.

    Attributes:
        images: what is cropped.
        spec: data, optimisation, seed and stages of the run.
        views: 2 for methods that need other crops of the same images as well.
        versions: whether each crop is made under all other tasks as well.
    """

    images: TrainingImages
    spec: TrainSpec
    views: int = 1
    versions: bool = False

    @property
    def train(self) -> Optimisation:
        """The optimisation; batch size, patch size and task sampling matter here."""
        assert self.spec.optimisation is not None
        return self.spec.optimisation

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the training and their tasks."""
        return self.spec.stages

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.spec.seed

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are trained, in the order of the setting."""
        assert self.spec.data is not None
        return self.spec.data.tasks

    def batch(self, step: int, slots: range | None = None) -> Samples:
        """Return batch ``step`` (from 0), or those of its samples that ``slots`` counts.

        Raises:
            HarnessError: a file cannot be read, a pair differs in size, or is too small.
        """
        slots = range(self.train.batch) if slots is None else slots
        if not slots:
            none = np.empty((0, 3, self.train.patch_px, self.train.patch_px), np.float32)
            return Samples(none, none, (), step)
        tasks = self.batch_tasks(step)[slots.start : slots.stop]
        rngs = self._generators("train", step, slots)
        originals: list[Original] = []
        for slot, task, rng in zip(slots, tasks, rngs, strict=True):
            index = step * self.train.batch + slot
            originals.append(self.images.choose(task, index, rng))
        versions = self._versions(originals, tasks, rngs, (step, slots)) if self.versions else None
        degraded, clean = self._cut(originals, tasks, rngs)
        second_view = None
        if self.views == 2:
            others = self._generators("second-view", step, slots)
            second_view, _ = self._cut(originals, tasks, others)
        names = tuple(task.name for task in tasks)
        return Samples(degraded, clean, names, step, second_view, versions)

    def batch_tasks(self, step: int) -> list[Task]:
        """Choose a batch's tasks among those of its stage: in turn, reshuffled, or by shares."""
        placed = stage_at(self.stages, step)
        of_stage = [task for task in self.tasks if task.name in placed.stage.tasks]
        balanced = self.train.task_sampling == "balanced"
        chosen: list[Task] = []
        for slot in range(self.train.batch):
            index = step * self.train.batch + slot
            if balanced:
                chosen.append(self._task_in_turn(of_stage, index, placed))
            else:
                chosen.append(self._task_by_share(of_stage, index))
        return chosen

    def _task_in_turn(self, tasks: Sequence[Task], index: int, placed: PlacedStage) -> Task:
        in_stage = index - placed.first_step * self.train.batch
        turn, position = divmod(in_stage, len(tasks))
        later = [placed.number] if placed.number else []
        order = generator("task-order", self.seed, turn, *later).permutation(len(tasks))
        return tasks[int(order[position])]

    def _task_by_share(self, tasks: Sequence[Task], index: int) -> Task:
        shares = np.array([task.share for task in tasks])
        rng = generator("task-share", self.seed, index)
        return tasks[int(rng.choice(len(tasks), p=shares / shares.sum()))]

    def _generators(self, use: str, step: int, slots: range) -> list[np.random.Generator]:
        return [generator(use, self.seed, step, slot) for slot in slots]

    def _versions(
        self,
        originals: Sequence[Original],
        tasks: Sequence[Task],
        rngs: Sequence[np.random.Generator],
        keys: tuple[int, range],
    ) -> Float:
        """Return (N, tasks - 1, 3, H, W): the same crops under each of the other tasks.

        ``rngs`` are left where they are: copies of them choose the crops again. ``keys`` are the
        step and the slots of the samples.
        """
        found = []
        for number in range(len(self.tasks) - 1):
            others = [self._other_tasks(task)[number] for task in tasks]
            images = []
            for original, other in zip(originals, others, strict=True):
                images.append(self.images.version(original, other))
            degrading = self._generators(f"version-{number}", *keys)
            degraded, _ = self._cut(images, others, copy.deepcopy(rngs), degrading)
            found.append(degraded)
        return np.stack(found, axis=1)

    def _other_tasks(self, task: Task) -> list[Task]:
        return [other for other in self.tasks if other.name != task.name]

    def _cut(
        self,
        originals: Sequence[Original],
        tasks: Sequence[Task],
        rngs: Sequence[np.random.Generator],
        degrading: Sequence[np.random.Generator] | None = None,
    ) -> tuple[Float, Float]:
        """Cut a patch of each image, turn it, and degrade what no file has degraded.

        Degradations are drawn from ``degrading`` or, without it, from ``rngs``, as patches are.
        """
        degraded_crops: list[Image8] = []
        clean_crops: list[Image8] = []
        for original, rng in zip(originals, rngs, strict=True):
            degraded, clean = self._crop(original, rng)
            degraded_crops.append(degraded)
            clean_crops.append(clean)
        degraded_batch, clean_batch = to_unit(degraded_crops), to_unit(clean_crops)
        for task in self.tasks:
            slots = _slots_to_degrade(task, tasks, originals)
            if slots:
                own = [(degrading or rngs)[slot] for slot in slots]
                degraded_batch[slots] = self._degrade(clean_batch[slots], task, own)
        return degraded_batch, clean_batch

    def _crop(self, original: Original, rng: np.random.Generator) -> tuple[Image8, Image8]:
        """Cut the same patch of the degraded and the clean image; of the clean one if alone."""
        images = [original.clean]
        if original.degraded is not None:
            images.insert(0, original.degraded)
        side, augmentation = self.train.patch_px, self.train.augmentation
        try:
            crops = crop_alike(images, side, rng, augmentation)
        except HarnessError as error:
            raise HarnessError(f"{original.where}: {error}") from error
        return crops[0], crops[-1]

    def _degrade(self, clean: Float, task: Task, rngs: Sequence[np.random.Generator]) -> Float:
        assert self.spec.data is not None
        rounding = self.spec.data.preprocessing.noise_rounding
        return degrade(clean, task.degradation, rngs, rounding)


def _slots_to_degrade(
    task: Task, tasks: Sequence[Task], originals: Sequence[Original]
) -> list[int]:
    slots = []
    for slot, original in enumerate(originals):
        if tasks[slot].name == task.name and original.degraded is None:
            slots.append(slot)
    return slots
