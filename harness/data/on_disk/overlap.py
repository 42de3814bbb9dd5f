"""Images that two splits share: what is learnt or chosen on them makes scores too high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.data.on_disk.duplicates import Thumbnail, find_duplicates, read_thumbnails

_COMPARED_AT_ONCE = 1000
_NAMED = 3
_CONSEQUENCES = {
    ("training", "test"): "their scores are too high for every method",
    ("training", "validation"): "a choice by them favours what was learnt by heart",
    ("validation", "test"): "what is chosen on validation images is chosen on them",
}


def overlap_notes(splits: Mapping[str, Sequence[Path]], way_out: str) -> list[str]:
    """Return a sentence on every two splits that share images.

    Args:
        splits: clean images of ``training``, ``validation`` and ``test``, those of them there are.
        way_out: how many images are compared, as the rest of a sentence.
    """
    notes = []
    thumbnails: dict[str, list[Thumbnail]] = {}
    for (one, other), consequence in _CONSEQUENCES.items():
        first, second = splits.get(one, ()), splits.get(other, ())
        if not first or not second:
            continue
        if len(first) > _COMPARED_AT_ONCE:
            notes.append(
                f"{len(first)} {one} images are not compared with the {other} images; {way_out}"
            )
            continue
        for name in (one, other):
            if name not in thumbnails:
                found = [(path.name, path) for path in splits[name]]
                thumbnails[name] = read_thumbnails(name, found)
        shared = [match.second for match in find_duplicates(thumbnails[one], thumbnails[other])]
        if shared:
            names = sorted({thumbnail.image for thumbnail in shared})
            notes.append(
                f"{len({thumbnail.path for thumbnail in shared})} {other} images are among the "
                f"{one} images too, such as {', '.join(names[:_NAMED])}; {consequence}"
            )
    return notes
