"""A data set as it was found on disk: its pairs of files, and every file that is in no pair."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.config.data_sets import ANY_GROUP, DataSetSpec, Expected, Layout


@dataclass(frozen=True)
class PairFiles:
    """A clean file and, unless noise is added to it, its degraded one.

    ``image`` is unique in its set: the stem of the degraded file (of the clean one if there is
    no other), after ``group/`` where the layout has groups, as composite's ``haze_rain``.
    """

    image: str
    degraded: Path | None
    clean: Path
    group: str = ""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the pair, the degraded one first."""
        return (self.clean,) if self.degraded is None else (self.degraded, self.clean)


@dataclass(frozen=True)
class Unpaired:
    """An image file, or a whole folder, that has no counterpart; ``reason`` says which."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FoundSet:
    """A data set on disk in the layout that fits best.

    Attributes:
        spec: the data set.
        folder: its folder.
        layout: the layout that its files follow.
        pairs: pairs of files, by image.
        unpaired: images without a counterpart, by path.
        others: what is no image, is hidden, or has another name than the layout's files.
    """

    spec: DataSetSpec
    folder: Path
    layout: Layout
    pairs: tuple[PairFiles, ...]
    unpaired: tuple[Unpaired, ...]
    others: tuple[Path, ...]

    @property
    def expected(self) -> Expected:
        """Counts of a complete set in this layout."""
        return self.spec.expected_of(self.layout)

    @property
    def clean_files(self) -> tuple[Path, ...]:
        """Distinct clean files of the pairs, in the pairs' order."""
        return tuple(dict.fromkeys(pair.clean for pair in self.pairs))

    @property
    def files(self) -> tuple[Path, ...]:
        """All image files of the set, unpaired ones too, sorted."""
        found: set[Path] = set()
        for pair in self.pairs:
            found.update(pair.paths)
        for item in self.unpaired:
            if not item.path.is_dir():
                found.add(item.path)
        return tuple(sorted(filter(os.path.lexists, found)))


def expected_pairs(found: FoundSet, group: str | None) -> int | None:
    """Return how many pairs a complete set has, or one group of it; None where nothing says so."""
    whole, groups = found.expected.pairs, found.layout.groups
    if group is None or whole is None:
        return whole
    if found.expected.group_pairs:
        return found.expected.group_pairs.get(group)
    are_alike = ANY_GROUP not in groups and bool(groups) and whole % len(groups) == 0
    return whole // len(groups) if are_alike else None


def group_pairs(found: FoundSet, group: str | None) -> tuple[PairFiles, ...]:
    """Return the pairs of one group of a set's folders; all of them if ``group`` is None."""
    if group is None:
        return found.pairs
    return tuple(pair for pair in found.pairs if pair.group == group)
