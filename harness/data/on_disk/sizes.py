"""Sizes of a data set's images, checked from their headers before anything is computed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError
from harness.data.images.cache import default_folder
from harness.data.images.read import image_size
from harness.data.on_disk.found_set import PairFiles
from harness.data.parallel_map import OnProgress, map_files, no_progress

_NAMED = 5


@dataclass(frozen=True)
class SizeRule:
    """What the images of a set must be.

    Attributes:
        least_px: the least length of both sides.
        what: what needs it, in words that follow "smaller than".
        way_out: what a person can do about smaller ones.
    """

    least_px: int
    what: str
    way_out: str


@dataclass(frozen=True)
class _PairSizes:
    """Height and width of the images of one pair, the degraded one first."""

    pair: PairFiles
    sizes: tuple[tuple[int, int], ...]

    @property
    def shortest_px(self) -> int:
        return min(map(min, self.sizes))

    @property
    def differ(self) -> bool:
        return len(set(self.sizes)) > 1

    def text(self) -> str:
        parts = []
        for path, (height, width) in zip(self.pair.paths, self.sizes, strict=True):
            parts.append(f"{path} ({width}x{height})")
        return " and ".join(parts) if self.differ else parts[0]


def check_sizes(
    name: str,
    pairs: Sequence[PairFiles],
    content_sha256: str,
    rule: SizeRule,
    on_progress: OnProgress = no_progress,
) -> None:
    """Refuse pairs of different sizes and images below ``rule``, by name.

    The shortest side of contents that were found in order is stored by their hash, so that a
    large set is looked through once.

    Raises:
        HarnessError: names the files; or a file is no image.
    """
    known_px = _stored().get(content_sha256)
    if known_px is not None and known_px >= rule.least_px:
        return
    measured = map_files(_measured, pairs, on_progress)
    differing = [item.text() for item in measured if item.differ]
    if differing:
        raise HarnessError(
            f"{len(differing)} of {len(pairs)} pairs of {name} differ in size: "
            f"{_listed(differing)}; fetch the set again, or take these files out"
        )
    small = [item.text() for item in measured if item.shortest_px < rule.least_px]
    if small:
        raise HarnessError(
            f"{len(small)} of {len(pairs)} images of {name} are smaller than {rule.what}: "
            f"{_listed(small)}; {rule.way_out}"
        )
    _store(content_sha256, min(item.shortest_px for item in measured))


def _measured(pair: PairFiles) -> _PairSizes:
    return _PairSizes(pair, tuple(map(image_size, pair.paths)))


def _listed(texts: Sequence[str]) -> str:
    named = "; ".join(texts[:_NAMED])
    more = len(texts) - _NAMED
    return f"{named}; and {more} more" if more > 0 else named


def _file() -> Path | None:
    folder = default_folder()
    return None if folder is None else folder.parent / "shortest_sides.jsonl"


def _stored() -> dict[str, int]:
    """Return the shortest side in pixels by hash; what cannot be read is measured again."""
    known: dict[str, int] = {}
    file = _file()
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file is not None else []
    except (OSError, UnicodeDecodeError):
        return known
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, OverflowError, RecursionError):
            digest, shortest_px = json.loads(line)
            known[str(digest)] = int(shortest_px)
    return known


def _store(content_sha256: str, shortest_px: int) -> None:
    file = _file()
    if file is None:
        return
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as target:
            target.write(json.dumps([content_sha256, shortest_px]) + "\n")
