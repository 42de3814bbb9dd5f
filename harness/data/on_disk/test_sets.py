"""The test sets that a setting names, found under the data roots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_data_set
from harness.config.run_specs import TestFiles
from harness.config.settings import Setting, TestSource
from harness.data.on_disk.absence import none_is_there, refuse_unpaired
from harness.data.on_disk.found_set import FoundSet, PairFiles, expected_pairs, group_pairs
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.locate import DataRoots, find_set
from harness.data.on_disk.names import readable
from harness.data.on_disk.sizes import SizeRule, check_sizes

ColumnFiles = Mapping[str, Mapping[str, PairFiles]]
"""Column -> image -> its files."""


@dataclass(frozen=True)
class FoundTests:
    """The columns of a setting whose images are on disk.

    Attributes:
        tests: what determines the images of each column.
        files: where they are.
        absent: by column without images, the data set that would fill it.
        expected: by column, the images of a complete data set, where this one has fewer.
    """

    tests: tuple[TestFiles, ...]
    files: ColumnFiles
    absent: Mapping[str, str]
    expected: Mapping[str, int] = field(default_factory=dict)


def find_tests(setting: Setting, roots: DataRoots) -> FoundTests:
    """Find the test sets that ``setting`` names; every file is hashed.

    Raises:
        UsageError: the setting names no data sets, or none of them is there.
        HarnessError: files of a set have no counterpart, or images are of the wrong size.
    """
    if not setting.test_sources:
        raise UsageError(
            f"setting {setting.name} names no data sets; leave --data-root out to score its "
            "synthetic version"
        )
    names = dict.fromkeys(source.set for source in setting.test_sources)
    sets = {name: _find(name, roots) for name in names}
    multiple = setting.preprocessing.crop_multiple
    rule = SizeRule(
        least_px=multiple,
        what=f"the {multiple} pixels that test images are cut to multiples of",
        way_out="take them out, or choose another --crop-multiple",
    )
    tests: list[TestFiles] = []
    files: dict[str, dict[str, PairFiles]] = {}
    absent: dict[str, str] = {}
    expected: dict[str, int] = {}
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
        test = _test_files(source, found, pairs)
        check_sizes(source.set, pairs, test.sha256, rule)
        tests.append(test)
        whole = expected_pairs(found, source.group)
        if whole is not None and len(pairs) < whole:
            expected[source.column] = whole
    if not tests:
        raise UsageError(none_is_there(names, roots))
    return FoundTests(tuple(tests), files, absent, expected)


def _find(name: str, roots: DataRoots) -> FoundSet | None:
    spec = load_data_set(name)
    found = find_set(spec, roots)
    if found is None:
        refuse_unpaired(spec, roots)
    return found


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
            f"counterpart, such as {readable(first.path)}: {first.reason}; look at them with: "
            f"python -m harness data check {found.spec.name}"
        )
