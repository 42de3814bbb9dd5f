"""Data sets on disk: what a setting names, found under the user's data roots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.recipes import TestAmount
from harness.config.run_specs import OnDiskTrainingData, TestFiles, TestSet, TrainSpec
from harness.config.settings import Setting
from harness.data.images.cache import DecodedImages, default_folder
from harness.data.on_disk.locate import DataRoots
from harness.data.on_disk.overlap import overlap_notes
from harness.data.on_disk.test_sets import FoundTests, find_tests
from harness.data.on_disk.training_sets import (
    FoundTraining,
    check_training_sizes,
    find_training,
    made_here,
)
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.file_images import (
    PublishedNoiseImages,
    TestFileImages,
    TrainingFileImages,
)
from harness.data.sources.pairs import ImagePairs
from harness.data.sources.stream import CropStream
from harness.data.sources.validation import HeldOutPairs


@dataclass(frozen=True)
class OnDiskSource:
    """Reads the data sets that a setting names, of those that are there.

    Attributes:
        roots: where data sets are.
        train_sets: by family of tasks, the set to train on instead of the setting's.
        on_progress: receives how many files have been hashed.
    """

    roots: DataRoots
    train_sets: Mapping[str, str] = field(default_factory=dict)
    on_progress: OnProgress = no_progress
    name: str = "on disk"
    _tests: dict[str, FoundTests] = field(default_factory=dict, repr=False, compare=False)
    _training: dict[str, FoundTraining] = field(default_factory=dict, repr=False, compare=False)

    def training_data(self, setting: Setting) -> OnDiskTrainingData:
        """See :class:`DataSource`."""
        return self.found_training(setting).data

    def check_training_sizes(self, setting: Setting, patch_px: int) -> None:
        """See :class:`DataSource`; sizes are read from the headers of files."""
        check_training_sizes(self.found_training(setting), patch_px, self.on_progress)

    def test_set(self, setting: Setting, amount: TestAmount) -> TestSet:
        """See :class:`DataSource`; which images are scored is part of what a score is."""
        files: list[TestFiles] = []
        for entry in self.found_tests(setting).tests:
            files.append(entry.model_copy(update={"images": amount.first(entry.images)}))
        return TestSet(
            setting=setting.name,
            setting_version=setting.version,
            columns=amount.columns(setting.columns),
            tasks=setting.tasks,
            photographs=(),
            files=tuple(files),
            centre_px=amount.centre_px,
            preprocessing=setting.preprocessing,
            degradation_versions=made_here(setting),
        )

    def absent_columns(self, setting: Setting) -> Mapping[str, str]:
        """See :class:`DataSource`."""
        return self.found_tests(setting).absent

    def expected_images(self, test: TestSet, setting: Setting) -> Mapping[str, int]:
        """See :class:`DataSource`; a column of which less is scored on purpose is complete."""
        found = self.found_tests(setting)
        expected: dict[str, int] = {}
        for column, images in test.images_by_column().items():
            whole = found.expected.get(column)
            if whole is not None and len(images) == len(found.files[column]):
                expected[column] = whole
        return expected

    def absent_families(self, setting: Setting) -> Mapping[str, tuple[str, ...]]:
        """See :class:`DataSource`."""
        return self.found_training(setting).absent

    def overlap_notes(self, setting: Setting) -> list[str]:
        """See :class:`DataSource`; asked of what was found before."""
        trained: set[Path] = set()
        tested: set[Path] = set()
        example = ""
        for training in self._training.values():
            for (name, _), pairs in training.files.items():
                example = example or name
                trained |= {pair.clean for pair in pairs}
        for by_image in self.found_tests(setting).files.values():
            tested |= {pair.clean for pair in by_image.values()}
        way_out = f"compare two sets with: python -m harness data duplicates {example} TEST_SET"
        return overlap_notes({"training": sorted(trained), "test": sorted(tested)}, way_out)

    def stream(self, spec: TrainSpec, views: int, versions: bool = False) -> CropStream:
        """See :class:`DataSource`."""
        return CropStream(self._training_images(spec), spec, views, versions)

    def validation(self, spec: TrainSpec) -> HeldOutPairs:
        """See :class:`DataSource`."""
        images = self._training_images(spec)
        return HeldOutPairs(images, images.data)

    def pairs(self, test: TestSet) -> ImagePairs:
        """See :class:`DataSource`."""
        found = self._tests[test.setting]
        images = TestFileImages(test, found.files)
        if test.preprocessing.noise_stream == "published":
            return ImagePairs(PublishedNoiseImages(images), test)
        return ImagePairs(images, test)

    def found_tests(self, setting: Setting) -> FoundTests:
        """Return the test sets of ``setting`` on disk; every file is hashed, once."""
        if setting.name not in self._tests:
            self._tests[setting.name] = find_tests(setting, self.roots)
        return self._tests[setting.name]

    def found_training(self, setting: Setting) -> FoundTraining:
        """Return the training sets of ``setting`` on disk; every file is hashed, once."""
        if setting.name not in self._training:
            found = find_training(setting, self.roots, self.train_sets, self.on_progress)
            self._training[setting.name] = found
        return self._training[setting.name]

    def _training_images(self, spec: TrainSpec) -> TrainingFileImages:
        assert isinstance(spec.data, OnDiskTrainingData)
        found = next(found for found in self._training.values() if found.data == spec.data)
        return TrainingFileImages(DecodedImages(default_folder()), spec.data, found.files)
