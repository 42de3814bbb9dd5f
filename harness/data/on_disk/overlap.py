"""Images that two splits share: what is learnt or chosen on them makes scores too high."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.data.on_disk.duplicates import find_duplicates, read_thumbnails

_COMPARED_AT_ONCE = 1000
_NAMED = 3
_CONSEQUENCES = {
    ("training", "test"): "their scores are too high for every method",
    ("training", "validation"): "a choice by them favours what was learnt by heart",
    ("validation", "test"): "what is chosen on validation images is chosen on them",
}


def overlap_notes(splits: dict[str, Sequence[Path]], way_out: str) -> list[str]:
    """Return a sentence on every two splits that share images.

    Args:
        splits: clean images of ``training``, ``validation`` and ``test``, those of them there are.
        way_out: how many images are compared, as the rest of a sentence.
    """
    notes = []
    for (one, other), consequence in _CONSEQUENCES.items():
        first, second = splits.get(one, ()), splits.get(other, ())
        if not first or not second:
            continue
        if len(first) > _COMPARED_AT_ONCE:
            notes.append(
                f"{len(first)} {one} images are not compared with the {other} images; {way_out}"
            )
            continue
        count, names = _shared(one, first, other, second)
        if count:
            notes.append(
                f"{count} {other} images are among the {one} images too, such as "
                f"{', '.join(names[:_NAMED])}; {consequence}"
            )
    return notes


def _shared(
    one: str, first: Sequence[Path], other: str, second: Sequence[Path]
) -> tuple[int, list[str]]:
    """Return how many files of ``second`` show an image of ``first``, and their names."""
    found = find_duplicates(
        read_thumbnails(one, [(path.name, path) for path in first]),
        read_thumbnails(other, [(path.name, path) for path in second]),
    )
    count = len({duplicate.second.path for duplicate in found})
    return count, sorted({duplicate.second.image for duplicate in found})
