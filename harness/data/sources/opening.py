"""Choosing the source that a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.config.errors import UsageError
from harness.config.files import load_data_set
from harness.data.on_disk.locate import find_data_roots, how_to_name_a_root
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.on_disk import OnDiskSource
from harness.data.sources.protocol import DataSource
from harness.data.sources.synthetic import SyntheticSource


def open_source(
    root: Path | None,
    on_disk: bool,
    train_sets: Mapping[str, str],
    on_progress: OnProgress = no_progress,
) -> DataSource:
    """Return the source of a request's images.

    Args:
        root: folder of data sets; None looks where the environment or the user's file says.
        on_disk: whether data sets on disk are asked for without naming ``root``.
        train_sets: by family of tasks, the set to train on instead of the setting's.
        on_progress: receives how many files have been hashed.

    Raises:
        UsageError: no folder of data sets is known, or a training set is unknown.
    """
    if root is None and not on_disk:
        if train_sets:
            family, name = next(iter(train_sets.items()))
            raise UsageError(
                f"--train-set {family}={name} is about data sets on disk; add --data-root"
            )
        return SyntheticSource()
    roots = find_data_roots(root)
    if not roots:
        raise UsageError(f"no folder of data sets is known; {how_to_name_a_root()}")
    for name in train_sets.values():
        load_data_set(name)
    return OnDiskSource(roots, dict(train_sets), on_progress)
