"""Training images on disk: what a setting's card names, found under a person's roots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.data_sets import load_data_set
from harness.config.errors import UsageError, did_you_mean
from harness.config.run_specs import OnDiskTrainingData, TrainingFiles
from harness.config.seeding import generator
from harness.config.settings import Setting, Task, TrainingSource, degradation_versions
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.layouts import PairFiles
from harness.data.on_disk.locate import DataRoots, find_set, how_to_name_a_root
from harness.data.on_disk.test_sets import check_paired, of_group
from harness.data.parallel_map import OnProgress, no_progress

_HELD_OUT = 4
_LEAST = 10

Source = tuple[str, str | None]
"""A set and the group of it, if it is one group alone."""
TrainingPaths = Mapping[Source, tuple[PairFiles, ...]]


@dataclass(frozen=True)
class OnDiskTraining:
    """What can be trained on: the spec, where its files lie, and what is not there.

    ``absent`` names, by family without any image, the sets that the card asks for.
    """

    data: OnDiskTrainingData
    files: TrainingPaths
    absent: Mapping[str, tuple[str, ...]]


def is_noise(task: Task) -> bool:
    """Tell whether a task's degradation is added to clean images here, as published code does."""
    return task.degradation.kind == "noise"


def find_training(
    setting: Setting,
    roots: DataRoots,
    replaced: Mapping[str, str],
    on_progress: OnProgress = no_progress,
) -> OnDiskTraining:
    """Find the training sets of ``setting``; every file is hashed, once.

    ``replaced`` names, by family, another set to train on. Clean images of every set are held
    out by name for validation, the same for all families.

    Raises:
        UsageError: the card names no training sets, none is there, a replacement is unknown, is
            a test set, or has no degraded images for a family that needs them.
        HarnessError: files of a set have no counterpart.
    """
    if not setting.training_sources and not replaced:
        raise UsageError(
            f"the card of {setting.name} names no training sets; name one per family with "
            "--train-set FAMILY=SET"
        )
    for family in replaced:
        if family not in setting.families:
            raise UsageError(
                f"--train-set {family}=…: {setting.name} has no family '{family}'; "
                f"{did_you_mean(family, setting.families)}"
            )
    entries: list[TrainingFiles] = []
    files: dict[Source, tuple[PairFiles, ...]] = {}
    absent: dict[str, tuple[str, ...]] = {}
    for family in setting.families:
        sources = _sources(setting, family, replaced)
        for source in sources:
            found = _entry(setting, source, roots, files, on_progress)
            if found is not None:
                entries.append(found)
        if not any(entry.family == family for entry in entries):
            absent[family] = tuple(source.set for source in sources)
    if not entries:
        names = ", ".join(dict.fromkeys(name for sets in absent.values() for name in sets))
        raise UsageError(f"none of {names} is there; {how_to_name_a_root()}")
    data = OnDiskTrainingData(
        tasks=tuple(task for task in setting.tasks if task.family not in absent),
        files=tuple(entries),
        preprocessing=setting.preprocessing,
        degradation_versions=degradation_versions(setting.tasks),
    )
    return OnDiskTraining(data, files, absent)


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


def trained_on(pairs: Sequence[PairFiles], kept: Sequence[str]) -> tuple[PairFiles, ...]:
    """Return the pairs whose clean image is none of those of the images ``kept`` for validation."""
    apart = {pair.clean for pair in pairs if pair.image in set(kept)}
    return tuple(pair for pair in pairs if pair.clean not in apart)


def _sources(
    setting: Setting, family: str, replaced: Mapping[str, str]
) -> tuple[TrainingSource, ...]:
    if family in replaced:
        return (TrainingSource(family=family, set=replaced[family]),)
    return tuple(source for source in setting.training_sources if source.family == family)


def _entry(
    setting: Setting,
    source: TrainingSource,
    roots: DataRoots,
    files: dict[Source, tuple[PairFiles, ...]],
    on_progress: OnProgress,
) -> TrainingFiles | None:
    card = load_data_set(source.set)
    if card.split == "test":
        raise UsageError(
            f"--train-set {source.family}={source.set}: {source.set} is a test set, and is not "
            "trained on"
        )
    found = find_set(card, roots)
    if found is None:
        return None
    check_paired(found)
    pairs = of_group(found, source.group)
    tasks = [task for task in setting.tasks if task.family == source.family]
    if not all(map(is_noise, tasks)) and any(pair.degraded is None for pair in pairs):
        raise UsageError(
            f"{source.set} holds clean images alone, and {source.family} needs pairs; noise is "
            "the one degradation that is added to real images"
        )
    validation = held_out(pairs, source.set)
    if not validation:
        raise UsageError(
            f"{source.set} in {found.folder} has {len(pairs)} images, too few to hold one out for "
            f"validation; a training set has at least {_LEAST}"
        )
    files[source.set, source.group] = pairs
    return TrainingFiles(
        family=source.family,
        set=source.set,
        group=source.group,
        layout=found.layout.name,
        repeat=source.repeat,
        count=len(pairs),
        held_out=tuple(pair.image for pair in validation),
        sha256=content_sha256(pairs, on_progress),
    )
