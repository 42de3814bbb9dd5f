"""Pairs that a list file names, one a line: two paths, or one that both files share a name of."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.data_sets import Layout
from harness.config.errors import HarnessError
from harness.data.on_disk.found_set import PairFiles
from harness.data.on_disk.gathered import Gathered
from harness.data.on_disk.listing import entries, images
from harness.data.on_disk.names import compared_name


def gather_by_list(layout: Layout, folder: Path) -> Gathered:
    """Gather the pairs that the layout's list names; what it does not name has no counterpart.

    Raises:
        HarnessError: the list cannot be read.
    """
    assert layout.degraded is not None
    assert layout.list_file is not None
    listing = folder / layout.list_file
    if not listing.is_file():
        return Gathered()
    reader = _ListReader(folder, layout.degraded, layout.clean, layout.list_file)
    for line in _lines(listing):
        reader.read(line)
    reader.reject_unlisted(folder / layout.degraded, layout.degraded_names)
    reader.reject_unlisted(folder / layout.clean, layout.clean_names)
    reader.gathered.others = [path for path in reader.gathered.others if path != listing]
    reader.gathered.keep_others_apart()
    return reader.gathered


def _lines(listing: Path) -> list[str]:
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{listing} cannot be read ({error}); fetch it again") from error
    return [line.strip() for line in lines if line.strip()]


@dataclass
class _ListReader:
    folder: Path
    degraded_folder: str
    clean_folder: str
    list_file: str
    gathered: Gathered = field(default_factory=Gathered)
    listed: set[Path] = field(default_factory=set)
    by_folder: dict[Path, dict[str, Path]] = field(default_factory=dict)

    def read(self, line: str) -> None:
        """Add the pair of one line, or say why it is none."""
        first, *rest = line.split(maxsplit=1)
        degraded = self._present(self.folder / first)
        clean = self._present(self.folder / rest[0]) if rest else self._clean_of(first)
        if clean is None:
            reason = f"{self.list_file} names it outside {self.degraded_folder}/"
            self.gathered.reject(degraded, reason)
            return
        if degraded in self.listed:
            self.gathered.reject(degraded, f"{self.list_file} names it twice")
            return
        self.listed |= {degraded, clean}
        missing = [path for path in (degraded, clean) if not os.path.lexists(path)]
        for path in missing:
            self.gathered.reject(path, f"{self.list_file} names it; it is missing")
        if not missing:
            self.gathered.pairs.append(PairFiles(Path(first).stem, degraded, clean))

    def _clean_of(self, degraded: str) -> Path | None:
        """Return the clean file of the same name, None outside the folder of degraded ones."""
        prefix = f"{self.degraded_folder}/"
        if not degraded.startswith(prefix):
            return None
        return self._present(self.folder / self.clean_folder / degraded.removeprefix(prefix))

    def _present(self, path: Path) -> Path:
        """Return the file that a line means, whose name may be written in another form."""
        if os.path.lexists(path):
            return path
        return self._names_in(path.parent).get(compared_name(path), path)

    def _names_in(self, folder: Path) -> dict[str, Path]:
        """Return the files of a folder by their names as they are compared."""
        if folder not in self.by_folder:
            self.by_folder[folder] = {compared_name(path): path for path in entries(folder)}
        return self.by_folder[folder]

    def reject_unlisted(self, folder: Path, pattern: str) -> None:
        """Reject the images of a folder that no line names."""
        for path in images(folder, pattern, self.gathered):
            if path not in self.listed:
                self.gathered.reject(path, f"{self.list_file} does not name it")
