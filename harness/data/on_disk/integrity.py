"""Is a data set whole: every file there, readable, of its partner's size, and which release?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.config.data_sets import PSNR_TOLERANCE_DB, Variant
from harness.config.errors import HarnessError
from harness.data.images.arrays import Image8
from harness.data.images.read import read_image
from harness.data.on_disk.layouts import FoundSet, PairFiles
from harness.data.parallel_map import OnProgress, map_files, no_progress

Kind = Literal["count", "unpaired", "size", "unreadable"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a set; ``text`` names the file."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class SetReport:
    """What a check found.

    ``degraded_psnr_rgb_db`` is the mean over pairs of the PSNR of the degraded images (infinite if
    one pair is identical), None without degraded images; ``variants`` are those of the card that
    no evidence speaks against; ``sizes`` counts clean images by (width, height).
    """

    found: FoundSet
    problems: tuple[Problem, ...]
    sizes: dict[tuple[int, int], int]
    degraded_psnr_rgb_db: float | None
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class _Looked:
    """What decoding a clean image and all its degraded ones tells."""

    problems: tuple[Problem, ...]
    size_px: tuple[int, int] | None
    psnrs_db: tuple[float, ...]


def check_set(found: FoundSet, on_progress: OnProgress = no_progress) -> SetReport:
    """Decode every image of ``found``, several at a time; a damaged one is a problem, no error."""
    by_clean: dict[Path, list[PairFiles]] = defaultdict(list)
    for pair in found.pairs:
        by_clean[pair.clean].append(pair)
    looked = map_files(_look, list(by_clean.values()), on_progress)
    alone = [u.path for u in found.unpaired if u.path.is_file() and u.path not in by_clean]
    unread = [problem for problem in map_files(_readable, alone) if problem is not None]
    problems = [
        *_count_problems(found),
        *(Problem("unpaired", f"{item.path}: {item.reason}") for item in found.unpaired),
        *unread,
        *(problem for item in looked for problem in item.problems),
    ]
    psnrs = [value for item in looked for value in item.psnrs_db]
    psnr_db = math.fsum(psnrs) / len(psnrs) if psnrs else None
    sizes = Counter(item.size_px for item in looked if item.size_px is not None)
    variants = tuple(v for v in found.spec.variants if _may_be(v, found, sizes, psnr_db))
    return SetReport(found, tuple(problems), dict(sizes), psnr_db, variants)


def _count_problems(found: FoundSet) -> list[Problem]:
    problems = []
    for name, count, expected in (
        ("pairs" if found.layout.degraded else "images", len(found.pairs), found.expected.pairs),
        ("distinct clean images", len(found.clean_files), found.expected.clean),
    ):
        if expected is not None and count != expected:
            groups = Counter(pair.group for pair in found.pairs)
            each = ", ".join(f"{group} {groups[group]}" for group in sorted(groups) if group)
            among = f" ({each})" if each and len(groups) <= 16 else ""
            text = f"{found.folder}: {count} {name}{among} where {expected} are expected"
            problems.append(Problem("count", text))
    return problems


def _readable(path: Path) -> Problem | None:
    try:
        read_image(path)
    except HarnessError as error:
        return Problem("unreadable", str(error))
    return None


def _look(pairs: Sequence[PairFiles]) -> _Looked:
    """Decode one clean image once and compare all its degraded ones to it."""
    problems: list[Problem] = []
    psnrs = []
    clean = _read(pairs[0].clean, problems)
    for pair in pairs:
        degraded = None if pair.degraded is None else _read(pair.degraded, problems)
        if degraded is None or clean is None:
            continue
        if degraded.shape != clean.shape:
            sizes = f"{_size(degraded)} and {_size(clean)}"
            text = f"{pair.degraded} and {pair.clean} differ in size: {sizes}"
            problems.append(Problem("size", text))
        else:
            psnrs.append(_psnr_db(degraded, clean))
    size = None if clean is None else (clean.shape[1], clean.shape[0])
    return _Looked(tuple(problems), size, tuple(psnrs))


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
    squares = float(np.dot(difference, difference)) / difference.size
    return 10 * math.log10(255**2 / squares) if squares > 0 else math.inf


def _may_be(
    variant: Variant,
    found: FoundSet,
    sizes: dict[tuple[int, int], int],
    psnr_db: float | None,
) -> bool:
    """Tell whether there is evidence for a variant and none against it."""
    agrees = []
    if variant.clean_suffix is not None:
        suffixes = {path.suffix.lower() for path in found.clean_files}
        agrees.append(suffixes == {variant.clean_suffix})
    if variant.size_px is not None:
        agrees.append({tuple(sorted(size)) for size in sizes} == {tuple(sorted(variant.size_px))})
    if variant.degraded_psnr_rgb_db is not None:
        apart = abs((psnr_db or 0.0) - variant.degraded_psnr_rgb_db)
        agrees.append(apart <= PSNR_TOLERANCE_DB)
    return bool(agrees) and all(agrees)
