"""Choosing the source that a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.errors import UsageError
from harness.config.files import load_data_set
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.clean_folders import CleanFolders
from harness.data.sources.protocol import DataSource
from harness.data.sources.synthetic import SyntheticSource

if TYPE_CHECKING:
    from harness.data.on_disk.clean_images import CleanImages


def open_source(
    root: Path | None,
    on_disk: bool,
    train_sets: Mapping[str, str],
    clean_images: Mapping[str, str],
    on_progress: OnProgress = no_progress,
) -> DataSource:
    """Return the source of a request's images.

    Args:
        root: folder of data sets; None looks where the environment or the user's file says.
        on_disk: whether data sets on disk are asked for without naming ``root``.
        train_sets: by family of tasks, the set to train on instead of the setting's.
        clean_images: by ``train``, ``val`` and ``test``, a folder of clean images to degrade.
        on_progress: receives how many files have been hashed.

    Raises:
        UsageError: no folder of data sets is known, a training set is unknown, or a folder of
            clean images does not exist or holds none.
    """
    if clean_images and (root is not None or on_disk):
        raise UsageError(
            "--clean-images is about degradations that are made here, and --data-root about "
            "degraded files; leave one of them out"
        )
    if root is None and not on_disk:
        if train_sets:
            family, name = next(iter(train_sets.items()))
            raise UsageError(
                f"--train-set {family}={name} is about data sets on disk; add --data-root"
            )
        return SyntheticSource(_folders(clean_images, on_progress))
    # Most commands read no data set, and these modules are a tenth of what they import.
    from harness.data.on_disk.locate import find_data_roots, how_to_name_a_root
    from harness.data.sources.on_disk import OnDiskSource

    roots = find_data_roots(root)
    if not roots:
        raise UsageError(f"no folder of data sets is known; {how_to_name_a_root()}")
    for name in train_sets.values():
        load_data_set(name)
    return OnDiskSource(roots, dict(train_sets), on_progress)


def _folders(clean_images: Mapping[str, str], on_progress: OnProgress) -> CleanFolders:
    """Return the folders of clean images by split; one that validates and is another is refused."""
    found: dict[str, CleanImages] = {}
    if clean_images:
        from harness.data.on_disk.clean_images import find_clean_images
    for split, named in clean_images.items():
        found[split] = find_clean_images(split, named, on_progress)
    if "train" in found and "val" in found and found["train"].sha256 == found["val"].sha256:
        raise UsageError(
            f"--clean-images: train and val hold the same images ({found['train'].where}); leave "
            "val out, and some are held out of train"
        )
    if "val" in found and "test" in found and found["val"].sha256 == found["test"].sha256:
        raise UsageError(
            f"--clean-images: val and test hold the same images ({found['test'].where}), so that "
            "test images would judge what is trained; name other images as val, or leave it out"
        )
    return CleanFolders(**found, on_progress=on_progress)
