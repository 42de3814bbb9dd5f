"""The training sets that a setting names, found under the data roots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.degradation import Version
from harness.config.errors import UsageError, did_you_mean
from harness.config.files import load_data_set
from harness.config.run_specs import OnDiskTrainingData, TrainingFiles
from harness.config.seeding import generator
from harness.config.settings import Setting, Task, TrainingSource, degradation_versions
from harness.data.on_disk.absence import none_is_there, refuse_unpaired
from harness.data.on_disk.found_set import FoundSet, PairFiles, group_pairs
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.locate import DataRoots, find_set
from harness.data.on_disk.sizes import SizeRule, check_sizes
from harness.data.on_disk.test_sets import check_paired
from harness.data.parallel_map import OnProgress, no_progress

_HELD_OUT = 4
_LEAST = 10

SetAndGroup = tuple[str, str | None]
"""A data set and the group of it, if it is one group alone."""
TrainingPaths = Mapping[SetAndGroup, tuple[PairFiles, ...]]


@dataclass(frozen=True)
class FoundTraining:
    """What can be trained on.

    Attributes:
        data: what determines it.
        files: where it is.
        absent: by family of tasks without any image, the data sets that would have them.
    """

    data: OnDiskTrainingData
    files: TrainingPaths
    absent: Mapping[str, tuple[str, ...]]


def made_here(setting: Setting) -> dict[str, Version]:
    """Return the versions of the degradations that are added to files of ``setting``: noise."""
    return degradation_versions(task for task in setting.tasks if is_noise(task))


def is_noise(task: Task) -> bool:
    """Return whether a task's degradation is noise, which is added here as published code does."""
    return task.degradation.kind == "noise"


def find_training(
    setting: Setting,
    roots: DataRoots,
    train_sets: Mapping[str, str],
    on_progress: OnProgress = no_progress,
) -> FoundTraining:
    """Find the training sets of ``setting``; every file is hashed, once.

    Clean images of every set are held out by name for validation, the same for all families.

    Args:
        setting: names a data set or several per family of tasks.
        roots: where data sets are.
        train_sets: by family, the data set to train on instead.
        on_progress: receives how many files have been hashed.

    Raises:
        UsageError: the setting names no training sets, none is there, or a set of ``train_sets``
            is unknown, is a test set, or has no degraded images for a family that needs them.
        HarnessError: files of a set have no counterpart.
    """
    if not setting.training_sources and not train_sets:
        raise UsageError(
            f"setting {setting.name} names no training sets; name one per family with "
            "--train-set FAMILY=SET"
        )
    _check_families(setting, train_sets)
    search = _Search(setting, roots, on_progress)
    absent: dict[str, tuple[str, ...]] = {}
    for family in setting.families:
        sources = _sources(setting, family, train_sets)
        if not search.add(sources):
            absent[family] = tuple(source.set for source in sources)
    if not search.entries:
        missing: dict[str, None] = {}
        for names in absent.values():
            missing.update(dict.fromkeys(names))
        raise UsageError(none_is_there(missing, roots))
    data = OnDiskTrainingData(
        tasks=tuple(task for task in setting.tasks if task.family not in absent),
        files=tuple(search.entries),
        preprocessing=setting.preprocessing,
        degradation_versions=made_here(setting),
    )
    return FoundTraining(data, search.files, absent)


def check_training_sizes(
    found: FoundTraining, patch_px: int, on_progress: OnProgress = no_progress
) -> None:
    """Refuse training images that no patch fits in, and pairs of different sizes.

    Raises:
        HarnessError: names the files.
    """
    rule = SizeRule(
        least_px=patch_px,
        what=f"the patch of {patch_px} pixels",
        way_out="take them out, or lower patch_px in the recipe",
    )
    for entry in found.data.files:
        pairs = found.files[entry.set, entry.group]
        check_sizes(entry.set, pairs, entry.sha256, rule, on_progress)


def held_out(pairs: Sequence[PairFiles], set_name: str) -> list[PairFiles]:
    """Return pairs of validation, one for each clean image that is held out.

    Which these are depends on the set's name and those of its clean images alone.
    """
    first: dict[Path, PairFiles] = {}
    for pair in pairs:
        first.setdefault(pair.clean, pair)
    count = min(_HELD_OUT, len(first) // _LEAST)
    by_name = sorted(first.values(), key=lambda pair: pair.clean.name)
    order = generator("held-out", set_name).permutation(len(by_name))
    return [by_name[int(i)] for i in sorted(order[:count])]


def trained_on(pairs: Sequence[PairFiles], validation: Sequence[str]) -> tuple[PairFiles, ...]:
    """Return the pairs whose clean image belongs to no image of ``validation``."""
    names = set(validation)
    excluded = {pair.clean for pair in pairs if pair.image in names}
    return tuple(pair for pair in pairs if pair.clean not in excluded)


def _check_families(setting: Setting, train_sets: Mapping[str, str]) -> None:
    for family in train_sets:
        if family not in setting.families:
            raise UsageError(
                f"--train-set {family}=…: {setting.name} has no family '{family}'; "
                f"{did_you_mean(family, setting.families)}"
            )


def _sources(
    setting: Setting, family: str, train_sets: Mapping[str, str]
) -> tuple[TrainingSource, ...]:
    if family in train_sets:
        return (TrainingSource(family=family, set=train_sets[family]),)
    return tuple(source for source in setting.training_sources if source.family == family)


@dataclass
class _Search:
    """The training sets that were found so far."""

    setting: Setting
    roots: DataRoots
    on_progress: OnProgress
    entries: list[TrainingFiles] = field(default_factory=list)
    files: dict[SetAndGroup, tuple[PairFiles, ...]] = field(default_factory=dict)

    def add(self, sources: Sequence[TrainingSource]) -> bool:
        """Add those of one family's sources that are there; return whether any is."""
        count = len(self.entries)
        for source in sources:
            found = self._find(source)
            if found is not None:
                self.entries.append(self._entry(source, found))
        return len(self.entries) > count

    def _find(self, source: TrainingSource) -> FoundSet | None:
        spec = load_data_set(source.set)
        if spec.split == "test":
            raise UsageError(
                f"--train-set {source.family}={source.set}: {source.set} is a test set, and is not "
                "trained on; name a training set"
            )
        found = find_set(spec, self.roots)
        if found is None:
            refuse_unpaired(spec, self.roots)
        else:
            check_paired(found)
        return found

    def _entry(self, source: TrainingSource, found: FoundSet) -> TrainingFiles:
        pairs = group_pairs(found, source.group)
        self._check_degraded(source, pairs)
        validation = held_out(pairs, source.set)
        if not validation:
            raise UsageError(
                f"{source.set} in {found.folder} has {len({pair.clean for pair in pairs})} clean "
                f"images, too few to hold one out for validation; a training set has at least "
                f"{_LEAST}"
            )
        self.files[source.set, source.group] = pairs
        return TrainingFiles(
            family=source.family,
            set=source.set,
            group=source.group,
            layout=found.layout.name,
            repeat=source.repeat,
            count=len(pairs),
            held_out=tuple(pair.image for pair in validation),
            sha256=content_sha256(pairs, self.on_progress),
        )

    def _check_degraded(self, source: TrainingSource, pairs: Sequence[PairFiles]) -> None:
        of_family = [task for task in self.setting.tasks if task.family == source.family]
        needs_pairs = not all(map(is_noise, of_family))
        if needs_pairs and any(pair.degraded is None for pair in pairs):
            raise UsageError(
                f"{source.set} holds clean images alone, and {source.family} needs pairs; only "
                "noise is added to images on disk"
            )
