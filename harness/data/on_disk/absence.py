"""Why a data set is not found: no such folder, no layout that fits, or names that do not pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.config.data_sets import DataSetSpec, Layout
from harness.config.errors import HarnessError
from harness.config.files import load_data_set
from harness.data.on_disk.found_set import Unpaired
from harness.data.on_disk.layouts import unpaired_files
from harness.data.on_disk.locate import DataRoots, candidate_folders, how_to_name_a_root
from harness.data.on_disk.matching import WITHOUT_DEGRADED
from harness.data.on_disk.names import readable


@dataclass(frozen=True)
class NearMiss:
    """A folder whose files lie in a layout's folders, and none of which has a counterpart."""

    folder: Path
    layout: Layout
    files: tuple[Unpaired, ...]

    @property
    def has_both_kinds(self) -> bool:
        """Whether there are degraded and clean images, so that only their names do not fit."""
        return 0 < sum(map(is_clean, self.files)) < len(self.files)

    def sentence(self, name: str) -> str:
        """Return what was found and why nothing pairs."""
        first = next((item for item in self.files if not is_clean(item)), self.files[0])
        return (
            f"data set '{name}' lies in {self.folder}, but none of its {len(self.files)} files "
            f"pairs in layout {self.layout.name} (pairing {self.layout.pairing}): "
            f"{readable(first.path)}: {first.reason}"
        )


def is_clean(item: Unpaired) -> bool:
    """Return whether a file without counterpart is a clean image."""
    return item.reason.startswith(WITHOUT_DEGRADED)


def near_miss(spec: DataSetSpec, roots: DataRoots) -> NearMiss | None:
    """Return the folder and layout of a set with most files, none of which pairs."""
    best: NearMiss | None = None
    for folder in candidate_folders(spec, roots):
        for layout in spec.layouts:
            found = NearMiss(folder, layout, tuple(unpaired_files(layout, folder)))
            if found.files and (best is None or _rank(found) > _rank(best)):
                best = found
    return best


def _rank(found: NearMiss) -> tuple[bool, int]:
    return found.has_both_kinds, len(found.files)


def refuse_unpaired(spec: DataSetSpec, roots: DataRoots) -> None:
    """Refuse a set whose degraded and clean images are there and do not pair; it is not absent.

    Raises:
        HarnessError: says which folder was found and why nothing pairs.
    """
    found = near_miss(spec, roots)
    if found is not None and found.has_both_kinds:
        raise HarnessError(
            f"{found.sentence(spec.name)}; rename the files, or take the folder out of the data "
            "root"
        )


def why_absent(spec: DataSetSpec, roots: DataRoots) -> str:
    """Return one sentence on why a set is not found, and the way out."""
    if not roots:
        return f"data set '{spec.name}': no folder is known; {how_to_name_a_root()}"
    folders = candidate_folders(spec, roots)
    show = f"python -m harness data show {spec.name} lists"
    if not folders:
        return (
            f"data set '{spec.name}' is not found below {_where(roots)}; {show} the names that its "
            "folder may have"
        )
    found = near_miss(spec, roots)
    if found is not None:
        return f"{found.sentence(spec.name)}; rename the files"
    return (
        f"data set '{spec.name}' is not found: {', '.join(map(str, folders))} follows none of its "
        f"layouts; {show} them"
    )


def none_is_there(names: Iterable[str], roots: DataRoots) -> str:
    """Return one sentence for a request none of whose data sets is found."""
    known = list(names)
    reasons: list[str] = []
    for name in known:
        reasons.append(why_absent(load_data_set(name), roots))
    return f"none of {', '.join(known)} is there: {'; '.join(reasons)}"


def _where(roots: DataRoots) -> str:
    return f"{roots.folder or 'the folders'} (from {roots.origin})"
