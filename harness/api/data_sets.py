"""Data sets on this machine's disk: finding, checking and comparing them, and their manifests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError, UsageError
from harness.config.files import data_set_names, load_data_set, load_setting
from harness.data.on_disk.absence import why_absent
from harness.data.on_disk.duplicates import Duplicate, find_duplicates, read_thumbnails
from harness.data.on_disk.found_set import FoundSet
from harness.data.on_disk.integrity import SetReport, check_set
from harness.data.on_disk.locate import (
    DataRoots,
    find_data_roots,
    find_set,
    how_to_name_a_root,
)
from harness.data.on_disk.manifests import (
    Differences,
    compare,
    hashes,
    manifest_path,
    manifest_text,
)
from harness.data.on_disk.names import readable
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.synthetic.photographs import size_px
from harness.store.files import write_text

__all__ = [
    "Comparison",
    "Differences",
    "Duplicate",
    "FoundSet",
    "Located",
    "SetReport",
    "check_set",
    "compare_data_sets",
    "data_sets_of",
    "locate_data_set",
    "locate_data_sets",
    "names_with_manifest",
    "photograph_size",
    "readable",
    "root_hint",
    "verify_manifest",
    "write_manifest",
]

Counter = Callable[[str], AbstractContextManager[OnProgress]]
"""Opens a display of how many images of a data set are done."""


@dataclass(frozen=True)
class Located:
    """Data sets that are there, and a sentence on each that was named and is not."""

    found: tuple[FoundSet, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The images that two data sets share, or that are twice in one."""

    where: str
    duplicates: tuple[Duplicate, ...]


def root_hint(data_root: Path | None) -> str | None:
    """Return how data sets are made known, None if a folder of data sets is known."""
    return None if find_data_roots(data_root) else how_to_name_a_root()


def locate_data_set(name: str, data_root: Path | None) -> FoundSet | None:
    """Return a data set as it is on disk, None if it is not there.

    Raises:
        UsageError: the name is unknown; the nearest is named.
    """
    return find_set(load_data_set(name), find_data_roots(data_root))


def locate_data_sets(names: Sequence[str], data_root: Path | None) -> Located:
    """Return the named data sets; without names, all that are there.

    Raises:
        UsageError: a name is unknown.
        HarnessError: nothing was named and nothing is there.
    """
    roots = find_data_roots(data_root)
    found: list[FoundSet] = []
    absent: list[str] = []
    for name in dict.fromkeys(names or data_set_names()):
        spec = load_data_set(name)
        data_set = find_set(spec, roots)
        if data_set is not None:
            found.append(data_set)
        elif names:
            absent.append(why_absent(spec, roots))
    if not found and not names:
        raise HarnessError(_nothing_found(roots))
    return Located(tuple(found), tuple(absent))


def _nothing_found(roots: DataRoots) -> str:
    if not roots:
        return f"no folder of data sets is known; {how_to_name_a_root()}"
    return (
        f"no data set is found below {_where(roots)}; python -m harness data show NAME lists the "
        "names and layouts that its folder may have"
    )


def _where(roots: DataRoots) -> str:
    return f"{roots.folder or 'the folders'} (from {roots.origin})"


def data_sets_of(setting_name: str) -> list[str]:
    """Return the names of the training and test sets of a setting, each once."""
    setting = load_setting(setting_name)
    training = [source.set for source in setting.training_sources]
    tests = [source.set for source in setting.test_sources]
    return list(dict.fromkeys([*training, *tests]))


def compare_data_sets(found: Sequence[FoundSet], counter: Counter) -> list[Comparison]:
    """Compare the clean images of every two data sets, then those inside each.

    Raises:
        HarnessError: an image cannot be read.
    """
    thumbnails = {}
    for data_set in found:
        name = data_set.spec.name
        images = [(_clean_name(data_set, path), path) for path in data_set.clean_files]
        with counter(name) as on_progress:
            thumbnails[name] = read_thumbnails(name, images, on_progress)
    comparisons: list[Comparison] = []
    for first, second in itertools.combinations(thumbnails, 2):
        matches = find_duplicates(thumbnails[first], thumbnails[second])
        comparisons.append(Comparison(f"{first} and {second}", tuple(matches)))
    for name, own in thumbnails.items():
        comparisons.append(Comparison(f"inside {name}", tuple(find_duplicates(own, own))))
    return comparisons


def _clean_name(found: FoundSet, path: Path) -> str:
    return path.relative_to(found.folder).with_suffix("").as_posix()


def write_manifest(
    found: FoundSet, folder: Path, on_progress: OnProgress = no_progress
) -> tuple[Path, int]:
    """Write the manifest of a data set to ``folder``; return its file and its number of entries.

    Raises:
        HarnessError: a file cannot be read, or has a name that a manifest cannot hold.
    """
    digests = hashes(found, on_progress)
    path = manifest_path(folder, found.spec.name)
    write_text(path, manifest_text(digests))
    return path, len(digests)


def verify_manifest(
    found: FoundSet, folder: Path, on_progress: OnProgress = no_progress
) -> Differences:
    """Return how a data set differs from its manifest in ``folder``.

    Raises:
        HarnessError: the manifest is missing or damaged, or a file cannot be read.
    """
    return compare(found, manifest_path(folder, found.spec.name), on_progress)


def names_with_manifest(folder: Path) -> list[str]:
    """Return the names of the data sets that have a manifest in ``folder``.

    Raises:
        UsageError: there is none.
    """
    names = [name for name in data_set_names() if manifest_path(folder, name).is_file()]
    if not names:
        raise UsageError(
            f"{folder} holds no manifest; python -m harness data manifest write makes one"
        )
    return names


def photograph_size(name: str) -> tuple[int, int]:
    """Return width and height of an embedded photograph.

    Raises:
        HarnessError: it is missing or damaged; says how to install it.
    """
    height, width = size_px(name)
    return width, height
