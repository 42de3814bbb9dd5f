"""Images of data sets on disk: files to train, validate and test on."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np

from harness.config.errors import HarnessError
from harness.config.files import load_data_set
from harness.config.run_specs import OnDiskTrainingData, TestFiles, TestSet, TrainingFiles
from harness.config.settings import Task
from harness.data.images.arrays import Image8
from harness.data.images.cache import DecodedImages
from harness.data.images.crops import centre_crop
from harness.data.images.read import read_image
from harness.data.on_disk.found_set import PairFiles
from harness.data.on_disk.published_noise import published_noise
from harness.data.on_disk.test_sets import ColumnFiles
from harness.data.on_disk.training_sets import SetAndGroup, TrainingPaths, is_noise, trained_on
from harness.data.sources.originals import Original
from harness.data.synthetic.degradations.noise import Noise


@dataclass(frozen=True, eq=False)
class TrainingFileImages:
    """Pairs of files to train on; noise alone is added to clean ones.

    A sample's set is drawn by its number of images times its repeats, as if the published list
    were there, and the image evenly.
    """

    images: DecodedImages
    data: OnDiskTrainingData
    files: TrainingPaths

    def choose(self, task: Task, index: int, rng: np.random.Generator) -> Original:
        """See :class:`TrainingImages`."""
        sets = [entry for entry in self.data.files if entry.family == task.family]
        weights = np.array([entry.repeat * len(self._trained[_key(entry)]) for entry in sets])
        chosen = sets[int(rng.choice(len(sets), p=weights / weights.sum()))]
        pairs = self._trained[_key(chosen)]
        return self._read(pairs[int(rng.integers(len(pairs)))], task)

    def version(self, original: Original, task: Task) -> Original:
        """See :class:`TrainingImages`.

        Raises:
            HarnessError: no training set has the image as ``task`` degrades it.
        """
        clean = self._clean_files[original.where]
        if is_noise(task):
            return Original(original.key, str(clean), original.clean)
        pair = self._by_clean.get((task.family, clean))
        if pair is None:
            raise HarnessError(
                f"{clean} has no version with {task.family} among the training sets, and the "
                "method compares each image with all its versions; train on a setting whose "
                "images have all degradations, or on its synthetic version (leave --data-root out)"
            )
        return self._read(pair, task)

    def held_out(self, task: Task) -> list[Original]:
        """See :class:`TrainingImages`."""
        originals: list[Original] = []
        for entry in self.data.files:
            if entry.family != task.family:
                continue
            for pair in self.files[_key(entry)]:
                if pair.image in entry.held_out:
                    originals.append(self._read(pair, task))
        return originals

    def _read(self, pair: PairFiles, task: Task) -> Original:
        clean = self.images.read(pair.clean)
        if pair.degraded is None or is_noise(task):
            return Original((pair.image,), str(pair.clean), clean)
        degraded = self.images.read(pair.degraded)
        return Original((pair.image,), str(pair.degraded), clean, degraded)

    @functools.cached_property
    def _clean_files(self) -> dict[str, Path]:
        """Clean files, by what messages call the images."""
        files: dict[str, Path] = {}
        for pairs in self._trained.values():
            for pair in pairs:
                files[str(pair.clean)] = files[str(pair.degraded)] = pair.clean
        return files

    @functools.cached_property
    def _by_clean(self) -> dict[tuple[str, Path], PairFiles]:
        """The degraded version of each clean file, by the family of its task."""
        found: dict[tuple[str, Path], PairFiles] = {}
        for entry in self.data.files:
            for pair in self._trained[_key(entry)]:
                if pair.degraded is not None:
                    found[entry.family, pair.clean] = pair
        return found

    @functools.cached_property
    def _trained(self) -> dict[SetAndGroup, tuple[PairFiles, ...]]:
        trained: dict[SetAndGroup, tuple[PairFiles, ...]] = {}
        for entry in self.data.files:
            trained[_key(entry)] = trained_on(self.files[_key(entry)], entry.held_out)
        return trained


def _key(entry: TrainingFiles) -> SetAndGroup:
    return entry.set, entry.group


@dataclass(frozen=True)
class TestFileImages:
    """Files to test on; noise alone is added where there is no degraded one."""

    __test__ = False  # pytest would take the name for a test class

    test: TestSet
    files: ColumnFiles

    def data_set(self, column: str) -> str:
        """See :class:`TestImages`."""
        files = next(entry for entry in self.test.files if entry.column == column)
        return load_data_set(files.set).label

    def read(self, column: str, image: str) -> Original:
        """See :class:`TestImages`.

        Raises:
            HarnessError: a file cannot be read, the two differ in size, or there is no degraded
                one and the task is not noise.
        """
        files = self.files[column][image]
        clean = read_image(files.clean)
        if files.degraded is None:
            self._check_noise(column, files.clean)
            return Original((image,), str(files.clean), clean)
        degraded = read_image(files.degraded)
        if degraded.shape != clean.shape:
            raise HarnessError(
                f"{files.degraded} has {_size(degraded)} pixels and {files.clean} {_size(clean)}; "
                "check the data set with: python -m harness data check"
            )
        return Original((image,), str(files.degraded), clean, degraded)

    def _check_noise(self, column: str, clean: Path) -> None:
        kind = self.task(column).degradation.kind
        if kind != "noise":
            raise HarnessError(
                f"{clean} has no degraded counterpart, and {kind} is not added to images on disk; "
                "check the data set with: python -m harness data check"
            )

    def task(self, column: str) -> Task:
        """Return the task of a column."""
        name = next(entry.task for entry in self.test.columns if entry.name == column)
        return next(task for task in self.test.tasks if task.name == name)


def _size(image: Image8) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


@dataclass(frozen=True)
class PublishedNoiseImages:
    """Files to test on, with noise of one stream that passes through each folder in order.

    The noise of an image depends on all images before it, whether these are scored or not; see
    :mod:`harness.data.on_disk.published_noise`.
    """

    images: TestFileImages
    _drawing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def data_set(self, column: str) -> str:
        """See :class:`TestImages`."""
        return self.images.data_set(column)

    def read(self, column: str, image: str) -> Original:
        """See :class:`TestImages`."""
        original = self.images.read(column, image)
        if original.degraded is not None:
            return original
        with self._drawing:
            noisy = self._noisy[column, image]
        return replace(original, clean=self._cut(original.clean), degraded=noisy)

    @functools.cached_property
    def _noisy(self) -> dict[tuple[str, str], Image8]:
        """Noisy images by column and image, drawn set by set through all levels of the setting."""
        noisy: dict[tuple[str, str], Image8] = {}
        for entries in self._clean_only_sets():
            noisy |= self._drawn(entries)
        return noisy

    def _clean_only_sets(self) -> list[list[TestFiles]]:
        """Return the columns that noise is added to, those of one data set together."""
        by_set: dict[str, list[TestFiles]] = {}
        for entry in self.images.test.files:
            files = self.images.files[entry.column].values()
            if all(pair.degraded is None for pair in files):
                by_set.setdefault(entry.set, []).append(entry)
        return list(by_set.values())

    def _drawn(self, entries: list[TestFiles]) -> dict[tuple[str, str], Image8]:
        """Draw the noise of one data set's columns."""
        column_of: dict[float, str] = {}
        for entry in entries:
            degradation = self.images.task(entry.column).degradation
            if isinstance(degradation, Noise):
                column_of[degradation.sigma_255[0]] = entry.column
        files = self.images.files[entries[0].column]
        names = list(files)
        clean = [self._cut(read_image(files[name].clean)) for name in names]
        drawn: dict[tuple[str, str], Image8] = {}
        for noisy in published_noise(clean, self._levels_255()):
            column = column_of.get(noisy.sigma_255)
            if column is not None:
                drawn[column, names[noisy.index]] = noisy.degraded
        return drawn

    def _levels_255(self) -> list[float]:
        levels: list[float] = []
        for task in self.images.test.tasks:
            if isinstance(task.degradation, Noise):
                levels.append(task.degradation.sigma_255[0])
        return levels

    def _cut(self, image: Image8) -> Image8:
        return centre_crop(image, self.images.test.preprocessing.crop_multiple, None)
