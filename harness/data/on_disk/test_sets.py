"""Test pairs from data sets on disk: what a setting's card names, found under a person's roots."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from harness.config.data_sets import load_data_set
from harness.config.errors import HarnessError, UsageError
from harness.config.run_specs import TestFiles, TestSet
from harness.config.seeding import generator
from harness.config.settings import Setting, Task
from harness.data.images.arrays import Float
from harness.data.images.read import read_image
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.layouts import FoundSet, PairFiles
from harness.data.on_disk.locate import DataRoots, find_set, how_to_name_a_root
from harness.data.on_disk.published_noise import published_noise
from harness.data.sources.pairs import Pair, centre_crop
from harness.data.synthetic.degradations.noise import Noise
from harness.data.synthetic.degrade import degrade

DATASET = "real images"
Files = Mapping[str, Mapping[str, PairFiles]]
"""Column -> image -> its files."""


@dataclass(frozen=True)
class OnDisk:
    """The columns of a setting whose data are there, and the sets of those that are not."""

    tests: tuple[TestFiles, ...]
    files: Files
    absent: Mapping[str, str]


def find_tests(setting: Setting, roots: DataRoots) -> OnDisk:
    """Find the test sets that ``setting`` names; every file is hashed.

    Raises:
        UsageError: the card names no real data, or none of it is there.
        HarnessError: files of a set have no counterpart.
    """
    if not setting.test_sources:
        raise UsageError(
            f"the card of {setting.name} names no data sets yet; leave --data-root out to use its "
            "synthetic twin"
        )
    found: dict[str, FoundSet | None] = {}
    tests, files, absent = [], {}, {}
    for real in setting.test_sources:
        if real.set not in found:
            found[real.set] = find_set(load_data_set(real.set), roots)
        of_set = found[real.set]
        if of_set is None:
            absent[real.column] = real.set
            continue
        check_paired(of_set)
        pairs = of_group(of_set, real.group)
        if not pairs:
            absent[real.column] = f"{real.set}, group {real.group}"
            continue
        files[real.column] = {pair.image: pair for pair in pairs}
        tests.append(
            TestFiles(
                column=real.column,
                set=real.set,
                layout=of_set.layout.name,
                images=tuple(pair.image for pair in pairs),
                sha256=content_sha256(pairs),
            )
        )
    if not tests:
        names = ", ".join(dict.fromkeys(absent.values()))
        raise UsageError(f"none of {names} is there; {how_to_name_a_root()}")
    return OnDisk(tuple(tests), files, absent)


def check_paired(found: FoundSet) -> None:
    """Raise :class:`HarnessError` if files of a set have no counterpart; names the first."""
    if found.unpaired:
        first = found.unpaired[0]
        raise HarnessError(
            f"{len(found.unpaired)} files of {found.spec.name} in {found.folder} have no "
            f"counterpart, such as {first.path}: {first.reason}; look at them with: "
            f"python -m harness data check {found.spec.name}"
        )


def of_group(found: FoundSet, group: str | None) -> tuple[PairFiles, ...]:
    """Return the pairs of a group of a set's folders, all of them without one."""
    return tuple(pair for pair in found.pairs if group is None or pair.group == group)


@dataclass(frozen=True)
class DiskPairs:
    """Makes the pairs of a test set on disk."""

    test: TestSet
    files: Files
    _drawing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def data_set(self, column: str) -> str:
        """Return the name of the data set that fills ``column``, such as CBSD68."""
        files = next(entry for entry in self.test.files if entry.column == column)
        return load_data_set(files.set).label

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield (column, image) of every pair, in order."""
        for test in self.test.files:
            for image in test.images:
                yield test.column, image

    def make(self, column: str, image: str) -> Pair:
        """Read a pair; where there is no degraded file, the task's noise is added.

        Noise is keyed by preparation, column and image, so it depends on no order; under the
        published stream it depends on all images before.

        Raises:
            HarnessError: a file cannot be read, or the two differ in size.
        """
        files, rule = self.files[column][image], self.test.preprocessing
        name = next(c.task for c in self.test.columns if c.name == column)
        task = next(task for task in self.test.tasks if task.name == name)
        clean = read_image(files.clean)
        side = self.test.centre_px
        cut = centre_crop(clean, rule.crop_multiple, side)
        unit = cut.astype(np.float32) / np.float32(255)
        if files.degraded is None:
            if task.degradation.kind != "noise":
                raise HarnessError(
                    f"{files.clean} has no degraded counterpart, and {task.degradation.kind} is "
                    "not added to real images"
                )
            degraded = self._noisy(task, column, image, unit)
        else:
            given = read_image(files.degraded)
            if given.shape != clean.shape:
                raise HarnessError(
                    f"{files.degraded} has {given.shape[1]}x{given.shape[0]} pixels and "
                    f"{files.clean} {clean.shape[1]}x{clean.shape[0]}; check the data set with: "
                    "python -m harness data check"
                )
            cut = centre_crop(given, rule.crop_multiple, side)
            degraded = cut.astype(np.float32) / np.float32(255)
        return Pair(column, name, image, image, degraded, unit)

    def _noisy(self, task: Task, column: str, image: str, unit: Float) -> Float:
        rule = self.test.preprocessing
        if rule.noise_stream == "published":
            with self._drawing:
                return self._published[column, image].astype(np.float32) / np.float32(255)
        rng = generator("test", rule.id, column, image)
        batch = np.ascontiguousarray(unit.transpose(2, 0, 1)[None])
        noisy = degrade(batch, task.degradation, [rng], rule.noise_rounding)
        return np.ascontiguousarray(noisy[0].transpose(1, 2, 0))

    @functools.cached_property
    def _published(self) -> dict[tuple[str, str], NDArray[np.uint8]]:
        """Noisy images of all columns, drawn set by set through all levels of the setting."""
        by_set: dict[str, list[TestFiles]] = {}
        for entry in self.test.files:
            if all(pair.degraded is None for pair in self.files[entry.column].values()):
                by_set.setdefault(entry.set, []).append(entry)
        levels = [
            task.degradation.sigma_255[0]
            for task in self.test.tasks
            if isinstance(task.degradation, Noise)
        ]
        tasks = {column.name: column.task for column in self.test.columns}
        drawn = {}
        for entries in by_set.values():
            files, multiple = self.files[entries[0].column], self.test.preprocessing.crop_multiple
            clean = [
                centre_crop(read_image(files[image].clean), multiple, self.test.centre_px)
                for image in entries[0].images
            ]
            columns = {
                task.degradation.sigma_255[0]: entry
                for entry in entries
                for task in self.test.tasks
                if task.name == tasks[entry.column] and isinstance(task.degradation, Noise)
            }
            for noisy in published_noise(clean, levels):
                if noisy.sigma_255 in columns:
                    entry = columns[noisy.sigma_255]
                    drawn[entry.column, entry.images[noisy.index]] = noisy.degraded
        return drawn
