"""Test images that are among the training images, too: their scores are too high."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.data.on_disk.duplicates import find_duplicates, read_thumbnails

_COMPARED_AT_ONCE = 1000
_NAMED = 3


def overlap_note(trained: Sequence[Path], tested: Sequence[Path], way_out: str) -> str:
    """Return a sentence on test images that are trained on, empty if there are none.

    Args:
        trained: clean training images.
        tested: clean test images.
        way_out: how many images are compared, as the rest of a sentence.
    """
    if len(trained) > _COMPARED_AT_ONCE:
        return f"{len(trained)} training images are not compared with the test images; {way_out}"
    first = read_thumbnails("training", [(path.name, path) for path in trained])
    second = read_thumbnails("test", [(path.name, path) for path in tested])
    found = find_duplicates(first, second)
    if not found:
        return ""
    names = sorted({duplicate.second.image for duplicate in found})
    count = len({duplicate.second.path for duplicate in found})
    return (
        f"{count} test images are among the training images too, such as "
        f"{', '.join(names[:_NAMED])}; their scores are too high for every method"
    )
