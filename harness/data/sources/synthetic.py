"""The synthetic version of a setting: clean images that are degraded here.

The clean images are photographs of installed packages, or those of folders of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.data_sets import SYNTHETIC
from harness.config.errors import UsageError
from harness.config.preprocessing import centred_id
from harness.config.recipes import TestAmount
from harness.config.run_specs import SyntheticTrainingData, TestSet, TrainSpec
from harness.config.settings import Setting, SyntheticData, degradation_versions
from harness.data.sources.clean_folders import CleanFolders
from harness.data.sources.clean_images import TestFolder, TestPhotographs, files_of, reader
from harness.data.sources.pairs import ImagePairs
from harness.data.sources.stream import CropStream
from harness.data.sources.training_images import SyntheticTrainingImages
from harness.data.sources.validation import HeldOutPairs
from harness.data.synthetic import dead_leaves
from harness.data.synthetic.photographs import describe, path_of, size_px

if TYPE_CHECKING:
    from harness.data.on_disk.clean_images import CleanImages


@dataclass(frozen=True)
class SyntheticSource:
    """Degrades clean images by the setting's degradations.

    Attributes:
        folders: clean images that take the place of the embedded ones. No dead-leaves images are
            trained on next to a folder's.
    """

    folders: CleanFolders = field(default_factory=CleanFolders)

    @property
    def name(self) -> str:
        """See :class:`DataSource`."""
        words = [SYNTHETIC]
        if self.folders.train is not None:
            words += ["trained on", self.folders.train.name]
        if self.folders.test is not None:
            words += ["tested on", self.folders.test.name]
        return " ".join(words)

    def training_data(self, setting: Setting) -> SyntheticTrainingData:
        """See :class:`DataSource`.

        Raises:
            UsageError: the setting has no synthetic version, or a folder has too few images.
        """
        _refuse_given(setting)
        versions = degradation_versions(setting.tasks)
        train_folder, validation_folder = self.folders.of_training()
        share, leaves = 0.0, None
        if train_folder is None:
            own = _images_of(setting)
            share, leaves = own.dead_leaves_share, own.dead_leaves
            versions = {**versions, "dead-leaves": dead_leaves.VERSION}
        train = () if train_folder is not None else _images_of(setting).train
        validation = () if validation_folder is not None else _images_of(setting).validation
        return SyntheticTrainingData(
            tasks=setting.tasks,
            train=tuple(map(describe, train)),
            validation=tuple(map(describe, validation)),
            dead_leaves_share=share,
            dead_leaves=leaves,
            preprocessing=setting.preprocessing,
            degradation_versions=dict(sorted(versions.items())),
            train_folder=train_folder,
            validation_folder=validation_folder,
        )

    def check_training_sizes(self, setting: Setting, patch_px: int) -> None:
        """See :class:`DataSource`.

        Raises:
            UsageError: a photograph or the canvas of dead-leaves images is smaller than a patch.
            HarnessError: an image of a folder is, or is no image.
        """
        least_px = setting.preprocessing.crop_multiple
        self.folders.check_training_sizes(least_px, patch_px)
        if self.folders.train is None:
            _check_embedded_sizes(setting, patch_px)

    def test_set(self, setting: Setting, amount: TestAmount) -> TestSet:
        """See :class:`DataSource`; of a folder each image is tested once per column, and whole.

        Where a recipe for trials tests the centre of images alone, the id of the preprocessing
        says so.

        Raises:
            HarnessError: an image of a folder is too small, or is no image.
        """
        _refuse_given(setting)
        if self.folders.test is not None:
            return self._folder_test_set(setting, amount, self.folders.test)
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
        folders, own = self.folders, _images_of(setting)
        if folders.train is None and folders.val is None and folders.test is None:
            return []
        from harness.data.on_disk.overlap import overlap_notes

        splits = {
            "training": _paths(folders.train, own.train),
            "test": _paths(folders.test, own.test),
        }
        # Without a folder of their own, validation images are held out of those of training.
        if folders.val is not None or folders.train is None:
            splits["validation"] = _paths(folders.val, own.validation)
        way_out = "look for the same scenes in both folders before their numbers are compared"
        return overlap_notes(splits, way_out)

    def stream(self, spec: TrainSpec, views: int, versions: bool = False) -> CropStream:
        """See :class:`DataSource`."""
        return CropStream(self._training_images(spec), spec, views, versions)

    def validation(self, spec: TrainSpec) -> HeldOutPairs:
        """See :class:`DataSource`."""
        images = self._training_images(spec)
        return HeldOutPairs(images, images.data)

    def pairs(self, test: TestSet) -> ImagePairs:
        """See :class:`DataSource`.

        Raises:
            UsageError: the preprocessing asks for the published noise stream.
        """
        if test.folder is None:
            return photograph_pairs(test)
        assert self.folders.test is not None
        return ImagePairs(TestFolder(test.folder.set, files_of(self.folders.test)), test)

    def _folder_test_set(self, setting: Setting, amount: TestAmount, found: CleanImages) -> TestSet:
        self.folders.check_test_sizes(setting.preprocessing.crop_multiple)
        once = amount.model_copy(update={"draws": 1})
        preprocessing = setting.preprocessing
        if amount.centre_px is not None:
            identifier = centred_id(preprocessing.id, amount.centre_px)
            preprocessing = preprocessing.model_copy(update={"id": identifier})
        return TestSet(
            setting=setting.name,
            setting_version=setting.version,
            columns=once.columns(setting.columns),
            tasks=setting.tasks,
            photographs=(),
            centre_px=amount.centre_px,
            preprocessing=preprocessing,
            degradation_versions=degradation_versions(setting.tasks),
            folder=found.spec(found.pairs[: amount.most_images]),
        )

    def _training_images(self, spec: TrainSpec) -> SyntheticTrainingImages:
        data = spec.data
        assert isinstance(data, SyntheticTrainingData)
        train, validation = self.folders.train, self.folders.of_validation
        return SyntheticTrainingImages(
            data=data,
            seed=spec.seed,
            train=reader(data.train_folder, train, data.train),
            held=reader(data.validation_folder, validation, data.validation),
        )


def _paths(folder: CleanImages | None, names: Sequence[str]) -> Sequence[Path]:
    """Return the images of a folder, or without one the embedded photographs called ``names``."""
    return folder.paths if folder is not None else [path_of(name) for name in names]


def _check_embedded_sizes(setting: Setting, patch_px: int) -> None:
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


def _refuse_given(setting: Setting) -> None:
    """Refuse a setting with degraded images that come from files alone."""
    for task in setting.tasks:
        if task.degradation.kind == "given":
            raise UsageError(
                f"task {task.name} of setting {setting.name} has degraded images from files alone; "
                "add --data-root"
            )


def _images_of(setting: Setting) -> SyntheticData:
    """Return the embedded images of a setting.

    Raises:
        UsageError: it has no synthetic version.
    """
    if setting.synthetic is None:
        raise UsageError(
            f"setting {setting.name} has no synthetic version; add --data-root, folders of clean "
            "images (--clean-images train=DIR and test=DIR), or the key 'synthetic' to its file"
        )
    return setting.synthetic


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
