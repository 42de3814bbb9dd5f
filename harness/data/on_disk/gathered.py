"""The files of a folder, each in one of three lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.on_disk.found_set import PairFiles, Unpaired


@dataclass
class Gathered:
    """The files of a folder: in a pair, without a counterpart, or no part of the set."""

    pairs: list[PairFiles] = field(default_factory=list)
    unpaired: list[Unpaired] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def reject(self, path: Path, reason: str) -> None:
        """Add a file or folder that has no counterpart."""
        self.unpaired.append(Unpaired(path, reason))

    def keep_others_apart(self, listed: Iterable[Path] = ()) -> None:
        """Take off ``others`` what is part of the set under another pattern for the same folder.

        ``listed`` are files of the set that may be in no pair and have a counterpart all the same.
        """
        known = {*listed, *(item.path for item in self.unpaired)}
        for pair in self.pairs:
            known.update(pair.paths)
        self.others = [path for path in self.others if path not in known]
