"""The synthetic version of a setting: photographs of installed packages, degraded here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.config.errors import UsageError
from harness.config.recipes import TestAmount
from harness.config.run_specs import SyntheticTrainingData, TestSet, TrainSpec
from harness.config.seeding import generator
from harness.config.settings import (
    Column,
    DeadLeavesSpec,
    Setting,
    SyntheticData,
    Task,
    degradation_versions,
)
from harness.data.images.arrays import Image8
from harness.data.sources.originals import Original
from harness.data.sources.pairs import ImagePairs
from harness.data.sources.samples import Pair
from harness.data.sources.stream import CropStream
from harness.data.sources.validation import HeldOutPairs
from harness.data.synthetic import dead_leaves
from harness.data.synthetic.photographs import describe, load, size_px

SYNTHETIC = "synthetic"
"""The name of the data set that results on the embedded photographs carry."""
_CANVASES_AT_ONCE = 8
"""Dead-leaves images that consecutive samples are drawn from, so that a batch is varied."""


@dataclass(frozen=True)
class SyntheticSource:
    """Degrades the embedded photographs and dead-leaves images by the setting's degradations."""

    name: str = SYNTHETIC

    def training_data(self, setting: Setting) -> SyntheticTrainingData:
        """See :class:`DataSource`."""
        data = _images_of(setting)
        versions = {**degradation_versions(setting.tasks), "dead-leaves": dead_leaves.VERSION}
        return SyntheticTrainingData(
            tasks=setting.tasks,
            train=tuple(map(describe, data.train)),
            validation=tuple(map(describe, data.validation)),
            dead_leaves_share=data.dead_leaves_share,
            dead_leaves=data.dead_leaves,
            preprocessing=setting.preprocessing,
            degradation_versions=dict(sorted(versions.items())),
        )

    def check_training_sizes(self, setting: Setting, patch_px: int) -> None:
        """See :class:`DataSource`.

        Raises:
            UsageError: a photograph or the canvas of dead-leaves images is smaller than a patch.
        """
        data = _images_of(setting)
        if data.dead_leaves_share > 0 and data.dead_leaves.canvas_px < patch_px:
            raise UsageError(
                f"dead-leaves images of {setting.name} have {data.dead_leaves.canvas_px} pixels a "
                f"side, and the patch has {patch_px}; lower patch_px in the recipe"
            )
        for name in data.train:
            height, width = size_px(name)
            if min(height, width) < patch_px:
                raise UsageError(
                    f"photograph '{name}' of {setting.name} has {width}x{height} pixels, and the "
                    f"patch {patch_px}; lower patch_px in the recipe"
                )

    def test_set(self, setting: Setting, amount: TestAmount) -> TestSet:
        """See :class:`DataSource`."""
        names = amount.first(_images_of(setting).test)
        return TestSet(
            setting=setting.name,
            setting_version=setting.version,
            columns=amount.columns(setting.columns, len(names)),
            tasks=setting.tasks,
            photographs=tuple(map(describe, names)),
            centre_px=amount.photograph_side_px,
            preprocessing=setting.preprocessing,
            degradation_versions=degradation_versions(setting.tasks),
        )

    def absent_columns(self, setting: Setting) -> Mapping[str, str]:
        """See :class:`DataSource`; nothing is ever absent."""
        return {}

    def expected_images(self, test: TestSet, setting: Setting) -> Mapping[str, int]:
        """See :class:`DataSource`; nothing is ever incomplete."""
        return {}

    def absent_families(self, setting: Setting) -> Mapping[str, tuple[str, ...]]:
        """See :class:`DataSource`; nothing is ever absent."""
        return {}

    def overlap_notes(self, setting: Setting) -> list[str]:
        """See :class:`DataSource`; a scene of the embedded images belongs to one split."""
        return []

    def stream(self, spec: TrainSpec, views: int, versions: bool = False) -> CropStream:
        """See :class:`DataSource`."""
        assert isinstance(spec.data, SyntheticTrainingData)
        return CropStream(TrainingPhotographs(spec.data, spec.seed), spec, views, versions)

    def validation(self, spec: TrainSpec) -> HeldOutPairs:
        """See :class:`DataSource`."""
        assert isinstance(spec.data, SyntheticTrainingData)
        return HeldOutPairs(TrainingPhotographs(spec.data, spec.seed), spec.data)

    def pairs(self, test: TestSet) -> ImagePairs:
        """See :class:`DataSource`.

        Raises:
            UsageError: the preprocessing asks for the published noise stream.
        """
        return photograph_pairs(test)


@dataclass(frozen=True)
class TrainingPhotographs:
    """Photographs and dead-leaves images to train on, and photographs to validate on."""

    data: SyntheticTrainingData
    seed: int

    def choose(self, task: Task, index: int, rng: np.random.Generator) -> Original:
        """See :class:`TrainingImages`; consecutive samples share a few dead-leaves images."""
        if rng.random() < self.data.dead_leaves_share:
            spec = self.data.dead_leaves
            window = index // (spec.crops_per_canvas * _CANVASES_AT_ONCE)
            number = window * _CANVASES_AT_ONCE + int(rng.integers(_CANVASES_AT_ONCE))
            names = tuple(photograph.name for photograph in self.data.train)
            image = _dead_leaves(spec, names, self.seed, number)
            return Original(("dead-leaves", number), "a dead-leaves image", image)
        chosen = self.data.train[int(rng.integers(len(self.data.train)))]
        return _photograph(chosen.name)

    def version(self, original: Original, task: Task) -> Original:
        """See :class:`TrainingImages`; every image is degraded here."""
        return original

    def held_out(self, task: Task) -> list[Original]:
        """See :class:`TrainingImages`."""
        return [_photograph(photograph.name) for photograph in self.data.validation]


def _images_of(setting: Setting) -> SyntheticData:
    """Return the embedded images of a setting.

    Raises:
        UsageError: it has no synthetic version.
    """
    if setting.synthetic is None:
        raise UsageError(
            f"setting {setting.name} has no synthetic version; add --data-root, or the key "
            "'synthetic' to its file"
        )
    for task in setting.tasks:
        if task.degradation.kind == "given":
            raise UsageError(
                f"task {task.name} of setting {setting.name} has degraded images from files alone; "
                "add --data-root"
            )
    return setting.synthetic


def _photograph(name: str) -> Original:
    return Original((name,), f"photograph '{name}'", load(name))


@functools.lru_cache(maxsize=2 * _CANVASES_AT_ONCE)
def _dead_leaves(spec: DeadLeavesSpec, names: tuple[str, ...], seed: int, number: int) -> Image8:
    photographs = [load(name) for name in names]
    return dead_leaves.canvas(spec, photographs, generator("leaves", seed, number))


@dataclass(frozen=True)
class TestPhotographs:
    """Photographs to test on; an image is called by its photograph and the draw, ``china#0``."""

    __test__ = False  # pytest would take the name for a test class

    def data_set(self, column: str) -> str:
        """See :class:`TestImages`."""
        return SYNTHETIC

    def read(self, column: str, image: str) -> Original:
        """See :class:`TestImages`."""
        name, _, draw = image.partition("#")
        return Original((name, int(draw)), f"photograph '{name}'", load(name))


def photograph_pairs(test: TestSet, split: str = "test") -> ImagePairs:
    """Return the pairs of a synthetic test set; ``split`` begins the key of each degradation.

    Raises:
        UsageError: the preprocessing asks for the published noise stream, which passes through a
            folder of images in order and knows no single pair.
    """
    preprocessing = test.preprocessing
    if preprocessing.noise_stream != "keyed":
        raise UsageError(
            f"preprocessing '{preprocessing.id}' asks for the published noise stream, which only "
            "images on disk have; set its noise_stream to keyed"
        )
    return ImagePairs(TestPhotographs(), test, split)


def make_pair(test: TestSet, column: Column, image: str, split: str = "test") -> Pair:
    """Make one pair of a synthetic test set, of a column that need not be among its own.

    Raises:
        UsageError: see :func:`photograph_pairs`.
    """
    with_column = test.model_copy(update={"columns": (column,)})
    return photograph_pairs(with_column, split).make(column.name, image)
