"""Pairs of files in a folder that follows a documented layout; no file is dropped silently.

Every file of the layout's folders ends in a pair, among the unpaired with the reason, or among
the others (no image, hidden, or not of the layout's name pattern). All orders are by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.config.data_sets import DataSetSpec, Layout
from harness.data.on_disk.found_set import FoundSet, PairFiles, Unpaired
from harness.data.on_disk.gathered import Gathered
from harness.data.on_disk.matching import gather_by_names, gather_clean
from harness.data.on_disk.pair_lists import gather_by_list


def fit(spec: DataSetSpec, layout: Layout, folder: Path) -> FoundSet | None:
    """Return the files of ``folder`` under ``layout``, or None if not one pair is there.

    Raises:
        HarnessError: a folder or list cannot be read; the message names it.
    """
    gathered = _gather(layout, folder)
    if not gathered.pairs:
        return None
    pairs = sorted(_unique(gathered.pairs), key=lambda pair: pair.image)
    unpaired = sorted(set(gathered.unpaired), key=lambda item: (item.path, item.reason))
    others = sorted(set(gathered.others))
    return FoundSet(spec, folder, layout, tuple(pairs), tuple(unpaired), tuple(others))


def unpaired_files(layout: Layout, folder: Path) -> list[Unpaired]:
    """Return the files of ``folder`` that have no counterpart under ``layout``, by name."""
    gathered = _gather(layout, folder)
    files = [item for item in set(gathered.unpaired) if item.path.is_file()]
    return sorted(files, key=lambda item: (item.path, item.reason))


def _gather(layout: Layout, folder: Path) -> Gathered:
    if layout.pairing == "list-file":
        return gather_by_list(layout, folder)
    if layout.pairing == "clean-only":
        return gather_clean(layout, folder)
    return gather_by_names(layout, folder)


def _unique(pairs: Sequence[PairFiles]) -> list[PairFiles]:
    """Give files that share a stem, as 1.png and 1.jpg, their suffix as part of the name."""
    times = Counter(pair.image for pair in pairs)
    named = []
    for pair in pairs:
        suffix = pair.paths[0].suffix if times[pair.image] > 1 else ""
        named.append(replace(pair, image=pair.image + suffix))
    return named
