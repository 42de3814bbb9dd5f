"""Is a data set whole: every file there, readable, of its partner's size, and which release?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.config.data_sets import PSNR_TOLERANCE_DB, Variant
from harness.config.errors import HarnessError
from harness.data.images.arrays import Image8
from harness.data.images.read import read_image
from harness.data.on_disk.found_set import FoundSet, PairFiles
from harness.data.on_disk.names import readable
from harness.data.parallel_map import OnProgress, map_files, no_progress

Kind = Literal["count", "unpaired", "size", "unreadable"]
_MOST_GROUPS = 16


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a set; ``text`` names the file."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class SetReport:
    """What a check found.

    Attributes:
        found: the data set.
        problems: what is wrong, empty for a whole set.
        sizes: number of clean images by (width, height).
        degraded_psnr_rgb_db: mean over pairs of the PSNR of the degraded images, of those that
            differ from their clean one; None without any.
        identical: the degraded images that are identical to their clean one.
        variants: the releases that all evidence agrees with.
    """

    found: FoundSet
    problems: tuple[Problem, ...]
    sizes: dict[tuple[int, int], int]
    degraded_psnr_rgb_db: float | None
    identical: tuple[Path, ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class _Decoded:
    """What is known once a clean image and all its degraded ones are decoded."""

    problems: tuple[Problem, ...]
    size_px: tuple[int, int] | None
    psnrs_db: tuple[float, ...]
    identical: tuple[Path, ...]


def check_set(found: FoundSet, on_progress: OnProgress = no_progress) -> SetReport:
    """Decode every image of ``found``, several at a time; a damaged one is a problem, no error."""
    by_clean: dict[Path, list[PairFiles]] = defaultdict(list)
    for pair in found.pairs:
        by_clean[pair.clean].append(pair)
    decoded = map_files(_decode, list(by_clean.values()), on_progress)
    problems = [*_count_problems(found), *_unpaired_problems(found)]
    psnrs_db: list[float] = []
    identical: list[Path] = []
    sizes: Counter[tuple[int, int]] = Counter()
    for item in decoded:
        problems += item.problems
        psnrs_db += item.psnrs_db
        identical += item.identical
        if item.size_px is not None:
            sizes[item.size_px] += 1
    mean_db = math.fsum(psnrs_db) / len(psnrs_db) if psnrs_db else None
    variants = [v for v in found.spec.variants if _agrees(v, found, sizes, mean_db)]
    return SetReport(
        found, tuple(problems), dict(sizes), mean_db, tuple(identical), tuple(variants)
    )


def _count_problems(found: FoundSet) -> Iterator[Problem]:
    pairs = "pairs" if found.layout.degraded else "images"
    for name, count, expected in (
        (pairs, len(found.pairs), found.expected.pairs),
        ("distinct clean images", len(found.clean_files), found.expected.clean),
    ):
        if expected is not None and count != expected:
            text = f"{found.folder}: {count} {name}{_by_group(found)} where {expected} are expected"
            yield Problem("count", text)


def _by_group(found: FoundSet) -> str:
    groups = Counter(pair.group for pair in found.pairs if pair.group)
    if not groups or len(groups) > _MOST_GROUPS:
        return ""
    counts = [f"{group} {count}" for group, count in sorted(groups.items())]
    return f" ({', '.join(counts)})"


def _unpaired_problems(found: FoundSet) -> Iterator[Problem]:
    """Yield the files without a counterpart, then those of them that cannot be read."""
    paired = set(found.clean_files)
    files = []
    for item in found.unpaired:
        yield Problem("unpaired", f"{readable(item.path)}: {item.reason}")
        if item.path.is_file() and item.path not in paired:
            files.append(item.path)
    for problem in map_files(_unreadable, files):
        if problem is not None:
            yield problem


def _unreadable(path: Path) -> Problem | None:
    try:
        read_image(path)
    except HarnessError as error:
        return Problem("unreadable", str(error))
    return None


def _decode(pairs: Sequence[PairFiles]) -> _Decoded:
    """Decode one clean image once and compare all its degraded ones to it."""
    problems: list[Problem] = []
    psnrs_db: list[float] = []
    identical: list[Path] = []
    clean = _read(pairs[0].clean, problems)
    for pair in pairs:
        degraded = None if pair.degraded is None else _read(pair.degraded, problems)
        if degraded is None or clean is None:
            continue
        if degraded.shape != clean.shape:
            sizes = f"{_size(degraded)} and {_size(clean)}"
            text = f"{pair.degraded} and {pair.clean} differ in size: {sizes}"
            problems.append(Problem("size", text))
        elif np.array_equal(degraded, clean):
            identical.append(pair.paths[0])
        else:
            psnrs_db.append(_psnr_db(degraded, clean))
    size_px = None if clean is None else (clean.shape[1], clean.shape[0])
    return _Decoded(tuple(problems), size_px, tuple(psnrs_db), tuple(identical))


def _read(path: Path, problems: list[Problem]) -> Image8 | None:
    try:
        return read_image(path)
    except HarnessError as error:
        problems.append(Problem("unreadable", str(error)))
        return None


def _size(image: Image8) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _psnr_db(first: Image8, second: Image8) -> float:
    difference = np.subtract(first, second, dtype=np.int16).astype(np.float32).ravel()
    mean_square = float(np.dot(difference, difference)) / difference.size
    return 10 * math.log10(255**2 / mean_square)


def _agrees(
    variant: Variant,
    found: FoundSet,
    sizes: dict[tuple[int, int], int],
    psnr_db: float | None,
) -> bool:
    """Return whether there is evidence for a release and none against it."""
    evidence: list[bool] = []
    if variant.clean_suffix is not None:
        suffixes = {path.suffix.lower() for path in found.clean_files}
        evidence.append(suffixes == {variant.clean_suffix})
    if variant.size_px is not None:
        either_way = {tuple(sorted(size)) for size in sizes}
        evidence.append(either_way == {tuple(sorted(variant.size_px))})
    if variant.degraded_psnr_rgb_db is not None:
        difference_db = abs((psnr_db or 0.0) - variant.degraded_psnr_rgb_db)
        evidence.append(difference_db <= PSNR_TOLERANCE_DB)
    return bool(evidence) and all(evidence)
