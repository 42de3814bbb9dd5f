"""Pairs of files in a folder that follows a documented layout; no file is dropped silently.

Every file of the layout's folders ends in a pair, among the unpaired with the reason, or among
the others (no images, hidden, or outside the layout's name pattern). All orders are by name.
"""

from __future__ import annotations

import fnmatch
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.data_sets import ANY_GROUP, GROUP, DataSetSpec, Expected, Layout
from harness.config.errors import HarnessError
from harness.data.images.read import SUFFIXES


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


@dataclass(frozen=True)
class Unpaired:
    """An image file, or a whole folder, that has no counterpart; ``reason`` says which."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FoundSet:
    """A data set on disk: the layout that fits best and every file in it, sorted by name."""

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
        found = {pair.clean for pair in self.pairs}
        found |= {pair.degraded for pair in self.pairs if pair.degraded is not None}
        found |= {item.path for item in self.unpaired if not item.path.is_dir()}
        return tuple(sorted(path for path in found if os.path.lexists(path)))


def _swap_prefix(stem: str, old: str, new: str) -> str | None:
    return new + stem[len(old) :] if stem.startswith(old) else None


def _swap_ending(stem: str, old: str, new: str) -> str | None:
    return stem[: -len(old)] + new if stem.endswith(old) else None


CLEAN_STEM: dict[str, Callable[[str], str | None]] = {
    # 12.png and 12.png (the suffix is compared as well), or 12.jpg and 12.png.
    "same-name": lambda stem: stem,
    "same-stem": lambda stem: stem,
    # RESIDE: <id>_<airlight>_<beta>.jpg of <id>.png.
    "prefix-before-underscore": lambda stem: stem.split("_", 1)[0] if "_" in stem else None,
    # Outdoor-Rain: im_0001_s80_a04.png of im_0001.png.
    "first-seven-characters": lambda stem: stem[:7] if len(stem) >= 7 else None,
    # RainTrainL: rain-12.png of norain-12.png.
    "rain-to-norain": lambda stem: _swap_prefix(stem, "rain-", "norain-"),
    # RainDrop: 12_rain.png of 12_clean.png.
    "rain-to-clean": lambda stem: _swap_ending(stem, "_rain", "_clean"),
}
"""From the stem of a degraded file to that of its clean one; None where the rule does not fit."""


@dataclass
class _Gathered:
    pairs: list[PairFiles]
    unpaired: list[Unpaired]
    others: list[Path]


def fit(card: DataSetSpec, layout: Layout, folder: Path) -> FoundSet | None:
    """Return the files of ``folder`` under ``layout``, or None if not one pair is there.

    Raises:
        HarnessError: a folder or list cannot be read; the message names it.
    """
    found = _Gathered([], [], [])
    if layout.pairing == "list-file":
        _from_list(layout, folder, found)
    elif layout.pairing == "clean-only":
        _clean_only(layout, folder, found)
    else:
        _by_names(layout, folder, found)
    if not found.pairs:
        return None
    return FoundSet(
        card,
        folder,
        layout,
        tuple(sorted(_unique(found.pairs), key=lambda pair: pair.image)),
        tuple(sorted(found.unpaired, key=lambda item: (item.path, item.reason))),
        tuple(sorted(set(found.others))),
    )


def _clean_only(layout: Layout, folder: Path, found: _Gathered) -> None:
    for group in _groups(layout, folder) or [""]:
        place = folder / layout.clean.replace(GROUP, group)
        for path in _images(place, layout.clean_names, found.others):
            found.pairs.append(PairFiles(_named(group, path.stem), None, path, group))


def _by_names(layout: Layout, folder: Path, found: _Gathered) -> None:
    assert layout.degraded is not None
    by_clean: dict[Path, list[tuple[str, Path]]] = defaultdict(list)
    for group in _groups(layout, folder) or [""]:
        degraded = folder / layout.degraded.replace(GROUP, group)
        if degraded.is_dir():
            by_clean[folder / layout.clean.replace(GROUP, group)].append((group, degraded))
        else:
            found.unpaired.append(Unpaired(degraded, "this folder of degraded images is missing"))
    for clean, sources in sorted(by_clean.items()):
        if clean.is_dir():
            _match(layout, clean, sources, found)
        else:
            found.unpaired.append(Unpaired(clean, "this folder of clean images is missing"))


def _match(
    layout: Layout, clean: Path, sources: Sequence[tuple[str, Path]], found: _Gathered
) -> None:
    rule = CLEAN_STEM[layout.pairing]
    with_suffix = layout.pairing == "same-name"
    candidates: dict[str, list[Path]] = defaultdict(list)
    for path in _images(clean, layout.clean_names, found.others):
        candidates[path.name if with_suffix else path.stem].append(path)
    used: set[Path] = set()
    answered: set[tuple[str, Path]] = set()
    for group, folder in sources:
        for path in _images(folder, layout.degraded_names, found.others):
            if folder == clean and fnmatch.fnmatchcase(path.name, layout.clean_names):
                continue  # both kinds lie in one folder, and this is one of the clean
            wanted = rule(path.stem)
            if wanted is None:
                reason = f"the name does not follow the rule {layout.pairing}"
                found.unpaired.append(Unpaired(path, reason))
                continue
            matches = candidates.get(path.name if with_suffix else wanted, [])
            if len(matches) == 1:
                used.add(matches[0])
                answered.add((group, matches[0]))
                found.pairs.append(PairFiles(_named(group, path.stem), path, matches[0], group))
            elif matches:
                used.update(matches)
                answered.update((group, match) for match in matches)
                names = " and ".join(match.name for match in matches)
                found.unpaired.append(Unpaired(path, f"two clean images answer to it: {names}"))
            else:
                name = path.name if with_suffix else f"{wanted}.*"
                found.unpaired.append(Unpaired(path, f"its clean image {clean / name} is missing"))
    one_each = layout.pairing in {"same-name", "same-stem"}
    for paths in candidates.values():
        for path in paths:
            if path not in used:
                found.unpaired.append(Unpaired(path, "no degraded image answers to it"))
            elif one_each:
                found.unpaired.extend(
                    Unpaired(path, f"no degraded image of {group} answers to it")
                    for group, _ in sources
                    if (group, path) not in answered
                )
    if any(folder == clean for _, folder in sources):
        paired = used | {p.degraded for p in found.pairs} | {u.path for u in found.unpaired}
        found.others[:] = [path for path in found.others if path not in paired]


def _from_list(layout: Layout, folder: Path, found: _Gathered) -> None:
    """Read one pair a line: two paths, or the degraded one, whose clean bears the same name."""
    assert layout.degraded is not None
    assert layout.list_file is not None
    listing = folder / layout.list_file
    if not listing.is_file():
        return
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{listing} cannot be read ({error}); fetch it again") from error
    listed: set[Path] = set()
    for line in filter(None, map(str.strip, lines)):
        first, *rest = line.split(maxsplit=1)
        degraded = folder / first
        prefix = f"{layout.degraded}/"
        if rest:
            clean = folder / rest[0]
        elif first.startswith(prefix):
            clean = folder / layout.clean / first.removeprefix(prefix)
        else:
            found.unpaired.append(
                Unpaired(degraded, f"{layout.list_file} names it outside {layout.degraded}/")
            )
            continue
        if degraded in listed:
            found.unpaired.append(Unpaired(degraded, f"{layout.list_file} names it twice"))
            continue
        listed |= {degraded, clean}
        missing = [path for path in (degraded, clean) if not os.path.lexists(path)]
        for path in missing:
            found.unpaired.append(Unpaired(path, f"{layout.list_file} names it; it is missing"))
        if not missing:
            found.pairs.append(PairFiles(Path(first).stem, degraded, clean))
    for place, names in (
        (folder / layout.degraded, layout.degraded_names),
        (folder / layout.clean, layout.clean_names),
    ):
        for path in _images(place, names, found.others):
            if path not in listed:
                found.unpaired.append(Unpaired(path, f"{layout.list_file} does not name it"))


def _groups(layout: Layout, folder: Path) -> list[str]:
    if layout.groups != (ANY_GROUP,):
        return list(layout.groups)
    first = layout.degraded or layout.clean
    subfolders = sorted(path.name for path in _entries(folder) if path.is_dir())
    return [name for name in subfolders if (folder / first.replace(GROUP, name)).is_dir()]


def _images(folder: Path, pattern: str, others: list[Path]) -> Iterator[Path]:
    """Yield image files that match ``pattern``, by name; what is none goes to ``others``."""
    for path in _entries(folder):
        image = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        if image and not path.is_dir() and fnmatch.fnmatchcase(path.name, pattern):
            yield path
        else:
            others.append(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise HarnessError(
            f"folder {folder} cannot be listed: {error.strerror}; change its permissions"
        ) from error


def _named(group: str, stem: str) -> str:
    return f"{group}/{stem}" if group else stem


def _unique(pairs: Sequence[PairFiles]) -> Iterator[PairFiles]:
    """Give files that share a stem, as 1.png and 1.jpg, their suffix as part of the name."""
    times = Counter(pair.image for pair in pairs)
    for pair in pairs:
        suffix = (pair.degraded or pair.clean).suffix if times[pair.image] > 1 else ""
        yield PairFiles(pair.image + suffix, pair.degraded, pair.clean, pair.group)
