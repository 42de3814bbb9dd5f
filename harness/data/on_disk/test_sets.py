"""The test sets that a setting names, found under the data roots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_data_set
from harness.config.run_specs import TestFiles
from harness.config.settings import Setting, TestSource
from harness.data.on_disk.found_set import FoundSet, PairFiles, group_pairs
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.locate import DataRoots, find_set, how_to_name_a_root

ColumnFiles = Mapping[str, Mapping[str, PairFiles]]
"""Column -> image -> its files."""


@dataclass(frozen=True)
class FoundTests:
    """The columns of a setting whose images are on disk.

    Attributes:
        tests: what determines the images of each column.
        files: where they lie.
        absent: by column without images, the data set that would fill it.
    """

    tests: tuple[TestFiles, ...]
    files: ColumnFiles
    absent: Mapping[str, str]


def find_tests(setting: Setting, roots: DataRoots) -> FoundTests:
    """Find the test sets that ``setting`` names; every file is hashed.

    Raises:
        UsageError: the setting names no data sets, or none of them is there.
        HarnessError: files of a set have no counterpart.
    """
    if not setting.test_sources:
        raise UsageError(
            f"setting {setting.name} names no data sets; leave --data-root out to score its "
            "synthetic version"
        )
    names = dict.fromkeys(source.set for source in setting.test_sources)
    sets = {name: find_set(load_data_set(name), roots) for name in names}
    tests: list[TestFiles] = []
    files: dict[str, dict[str, PairFiles]] = {}
    absent: dict[str, str] = {}
    for source in setting.test_sources:
        found = sets[source.set]
        if found is None:
            absent[source.column] = source.set
            continue
        check_paired(found)
        pairs = group_pairs(found, source.group)
        if not pairs:
            absent[source.column] = f"{source.set}, group {source.group}"
            continue
        _check_degraded(setting, source, pairs)
        files[source.column] = {pair.image: pair for pair in pairs}
        tests.append(_test_files(source, found, pairs))
    if not tests:
        missing = ", ".join(dict.fromkeys(absent.values()))
        raise UsageError(f"none of {missing} is there; {how_to_name_a_root()}")
    return FoundTests(tuple(tests), files, absent)


def _check_degraded(setting: Setting, source: TestSource, pairs: tuple[PairFiles, ...]) -> None:
    """Raise :class:`UsageError` where a column needs degraded files that its set does not have."""
    task = next(column.task for column in setting.columns if column.name == source.column)
    kind = setting.task(task).degradation.kind
    if kind != "noise" and any(pair.degraded is None for pair in pairs):
        raise UsageError(
            f"{source.set} holds clean images alone, and column {source.column} ({kind}) needs "
            "pairs; only noise is added to images on disk"
        )


def _test_files(source: TestSource, found: FoundSet, pairs: tuple[PairFiles, ...]) -> TestFiles:
    return TestFiles(
        column=source.column,
        set=source.set,
        layout=found.layout.name,
        images=tuple(pair.image for pair in pairs),
        sha256=content_sha256(pairs),
    )


def check_paired(found: FoundSet) -> None:
    """Raise :class:`HarnessError` if files of a set have no counterpart; names the first."""
    if found.unpaired:
        first = found.unpaired[0]
        raise HarnessError(
            f"{len(found.unpaired)} files of {found.spec.name} in {found.folder} have no "
            f"counterpart, such as {first.path}: {first.reason}; look at them with: "
            f"python -m harness data check {found.spec.name}"
        )
