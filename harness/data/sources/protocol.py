"""Where images come from: one interface, and what it returns.

A source of one's own satisfies :class:`DataSource`.
:class:`~harness.data.sources.stream.CropStream`,
:class:`~harness.data.sources.validation.HeldOutPairs` and
:class:`~harness.data.sources.pairs.ImagePairs` do the work for any source that supplies originals
(:mod:`harness.data.sources.originals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from harness.config.recipes import Optimisation, TestAmount
from harness.config.run_specs import (
    OnDiskTrainingData,
    SyntheticTrainingData,
    TestSet,
    TrainSpec,
)
from harness.config.settings import Setting, Task
from harness.data.images.arrays import Float
from harness.data.sources.samples import Pair, Samples

TrainingData = SyntheticTrainingData | OnDiskTrainingData


class TrainingStream(Protocol):
    """Training batches: a batch is a function of data, seed and step alone."""

    @property
    def train(self) -> Optimisation:
        """The optimisation; batch size, patch size and task sampling matter here."""
        ...

    def batch(self, step: int, slots: range | None = None) -> Samples:
        """Return batch ``step`` (from 0), or of its samples those of ``slots``, with no others."""
        ...


class ValidationPairs(Protocol):
    """Pairs by task; both degraded and clean are (N, 3, H, W) float32 in [0, 1]."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are trained, in the order of the setting."""
        ...

    def pairs(self, task: Task) -> Iterator[tuple[Float, Float]]:
        """Yield (degraded, clean), one image each: the centre 128 pixels of every image."""
        ...

    def crops(self, task: Task) -> Float:
        """Return 24 degraded crops for a classifier: 64 pixels, or the shortest side there is."""
        ...


class TestPairs(Protocol):
    """Test pairs by column and image, made one at a time."""

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield (column, image) of every pair, in order."""
        ...

    def data_set(self, column: str) -> str:
        """Return the name of the data set that fills a column, as ``CBSD68`` or ``synthetic``."""
        ...

    def make(self, column: str, image: str) -> Pair:
        """Make one pair."""
        ...


class DataSource(Protocol):
    """Where the images of a setting come from.

    Nobody else asks whether images are synthetic or on a disk.
    """

    @property
    def name(self) -> str:
        """What messages call the source: ``synthetic``, with names of folders, or ``on disk``."""
        ...

    def training_data(self, setting: Setting) -> TrainingData:
        """Return what determines the training images of ``setting``."""
        ...

    def check_training_sizes(self, setting: Setting, patch_px: int) -> None:
        """Refuse training images that a patch does not fit in, by name."""
        ...

    def test_set(self, setting: Setting, amount: TestAmount) -> TestSet:
        """Return what determines the test images of ``setting``, as many as a recipe tests."""
        ...

    def absent_columns(self, setting: Setting) -> Mapping[str, str]:
        """Return by column the data set that would fill it and is not there."""
        ...

    def expected_images(self, test: TestSet, setting: Setting) -> Mapping[str, int]:
        """Return by column the images of a complete data set, where the one here has fewer."""
        ...

    def absent_families(self, setting: Setting) -> Mapping[str, tuple[str, ...]]:
        """Return by family of tasks without training images the sets that would have them."""
        ...

    def overlap_notes(self, setting: Setting) -> list[str]:
        """Return sentences on test images that are trained on, too."""
        ...

    def stream(self, spec: TrainSpec, views: int, versions: bool = False) -> TrainingStream:
        """Return the training batches of a run.

        Args:
            spec: data, optimisation, seed and stages of the run.
            views: degraded crops of each sample.
            versions: whether each crop is made under all other tasks as well.
        """
        ...

    def validation(self, spec: TrainSpec) -> ValidationPairs:
        """Return the validation pairs of a run: images that it is neither trained nor tested on."""
        ...

    def pairs(self, test: TestSet) -> TestPairs:
        """Return the pairs of a test set."""
        ...
